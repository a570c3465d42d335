// worker/jobs/postgres_values.h: what is said to a PostgreSQL and what it answers, in its binary format.
#pragma once

#include <libpq-fe.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace worker::jobs {

/// The parameters of a statement, in order. Strings are copied.
class PostgresParams {
 public:
    PostgresParams& number(std::int64_t value);     ///< bigint
    PostgresParams& integer(std::int32_t value);    ///< integer
    PostgresParams& flag(bool value);               ///< boolean
    PostgresParams& bytes(std::string_view value);  ///< bytea, or text that is plain
    PostgresParams& null();
    PostgresParams& numbers(const std::vector<std::int64_t>& values);
    PostgresParams& integers(const std::vector<std::int32_t>& values);
    PostgresParams& all_bytes(const std::vector<std::string_view>& values);

    [[nodiscard]] int count() const noexcept { return static_cast<int>(values_.size()); }
    /// Valid until the next one is added.
    struct Raw {
        std::vector<const char*> values;
        std::vector<int> lengths, formats;
    };
    [[nodiscard]] Raw raw() const;

 private:
    struct Value {
        std::string bytes;
        bool null = false;
    };
    std::vector<Value> values_;
};

/// The rows that a statement answered with.
class PostgresRows {
 public:
    PostgresRows() = default;
    explicit PostgresRows(PGresult* result) : result_(result) {}

    [[nodiscard]] int rows() const noexcept { return result_ ? PQntuples(result_.get()) : 0; }
    [[nodiscard]] bool null(int row, int column) const noexcept;
    /// Of a smallint, integer or bigint; 0 where it is null.
    [[nodiscard]] std::int64_t number(int row, int column) const noexcept;
    [[nodiscard]] bool flag(int row, int column) const noexcept;
    /// Of a bytea or text; empty where it is null.
    [[nodiscard]] std::string bytes(int row, int column) const;
    template <class T>
    [[nodiscard]] T as(int row, int column) const noexcept {
        return static_cast<T>(number(row, column));
    }

 private:
    struct Clear {
        void operator()(PGresult* result) const noexcept { PQclear(result); }
    };
    std::unique_ptr<PGresult, Clear> result_;
};

}  // namespace worker::jobs
