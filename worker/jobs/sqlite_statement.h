// worker/jobs/sqlite_statement.h: one prepared statement, used again and again.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "worker/jobs/sqlite_connection.h"

namespace worker::jobs {

/// Bytes, where a string would be text.
struct SqliteBlob {
    std::string_view bytes;
};
/// Text, and NULL instead of an empty one.
struct SqliteOptional {
    std::string_view text;
};

/// Prepared when it is used for the first time. Does not outlive its connection.
class SqliteStatement {
 public:
    /// One run of it, from the first row to its end. What was bound outlives it; one at a time.
    class Use {
     public:
        explicit Use(SqliteStatement& statement) : of_(statement) {}
        Use(const Use&) = delete;
        Use& operator=(const Use&) = delete;
        ~Use() {
            if (of_.statement_ != nullptr) sqlite3_reset(of_.statement_);
        }

        /// Goes to the next row. False: there is none, or it failed (the connection remembers).
        bool row();
        /// To its end.
        void run() {
            while (row()) {
            }
        }
        [[nodiscard]] std::int64_t integer(int column) const {
            return sqlite3_column_int64(of_.statement_, column);
        }
        template <class Number>
        [[nodiscard]] Number as(int column) const {
            return static_cast<Number>(integer(column));
        }
        /// Text or bytes; NULL is empty.
        [[nodiscard]] std::string text(int column) const;

     private:
        SqliteStatement& of_;
    };

    /// `sql` outlives it.
    SqliteStatement(SqliteConnection& connection, const char* sql) : connection_(connection), sql_(sql) {}
    SqliteStatement(const SqliteStatement&) = delete;
    SqliteStatement& operator=(const SqliteStatement&) = delete;
    ~SqliteStatement() { sqlite3_finalize(statement_); }

    /// Binds `values` to ?1, ?2, … without copying them.
    template <class... Values>
    [[nodiscard]] Use with(const Values&... values) {
        prepare();
        int index = 0;
        (bind(++index, values), ...);
        return Use(*this);
    }
    template <class... Values>
    void run(const Values&... values) {
        with(values...).run();
    }

 private:
    void prepare();
    void check(int code) {
        if (code != SQLITE_OK) connection_.fail(code);
    }
    template <class Number>
    void bind(int index, const Number& value) requires std::is_integral_v<Number> || std::is_enum_v<Number> {
        if (connection_.ok()) check(sqlite3_bind_int64(statement_, index, static_cast<std::int64_t>(value)));
    }
    void bind(int index, std::string_view text);
    void bind(int index, SqliteBlob blob);
    void bind(int index, SqliteOptional value);
    void bind(int index, std::nullptr_t);

    SqliteConnection& connection_;
    const char* sql_;
    sqlite3_stmt* statement_ = nullptr;
};

}  // namespace worker::jobs
