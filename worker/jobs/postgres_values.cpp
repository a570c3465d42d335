#include "worker/jobs/postgres_values.h"

#include <type_traits>

namespace worker::jobs {
namespace {

constexpr std::uint32_t oid_of_bytes = 17, oid_of_number = 20, oid_of_integer = 23;  // pg_type.dat

/// In network order.
template <class T>
void append(std::string& to, T value) {
    using Unsigned = std::make_unsigned_t<T>;
    const auto bits = static_cast<Unsigned>(value);
    for (int shift = static_cast<int>(sizeof bits) * 8 - 8; shift >= 0; shift -= 8)
        to.push_back(static_cast<char>(static_cast<unsigned char>(bits >> shift)));
}

/// An array of one dimension whose elements are numbered from 1, without nulls.
std::string head_of_array(std::uint32_t element, std::size_t count) {
    std::string head;
    append<std::int32_t>(head, count == 0 ? 0 : 1);
    append<std::int32_t>(head, 0);
    append(head, element);
    if (count == 0) return head;
    append(head, static_cast<std::int32_t>(count));
    append<std::int32_t>(head, 1);
    return head;
}

template <class T>
std::string array_of(std::uint32_t element, const std::vector<T>& values) {
    std::string array = head_of_array(element, values.size());
    array.reserve(array.size() + values.size() * (sizeof(T) + 4));
    for (const T value : values) {
        append(array, static_cast<std::int32_t>(sizeof value));
        append(array, value);
    }
    return array;
}

}  // namespace

PostgresParams& PostgresParams::number(std::int64_t value) {
    append(values_.emplace_back().bytes, value);
    return *this;
}

PostgresParams& PostgresParams::integer(std::int32_t value) {
    append(values_.emplace_back().bytes, value);
    return *this;
}

PostgresParams& PostgresParams::flag(bool value) {
    values_.emplace_back().bytes.push_back(value ? '\1' : '\0');
    return *this;
}

PostgresParams& PostgresParams::bytes(std::string_view value) {
    values_.emplace_back().bytes = value;
    return *this;
}

PostgresParams& PostgresParams::null() {
    values_.emplace_back().null = true;
    return *this;
}

PostgresParams& PostgresParams::numbers(const std::vector<std::int64_t>& values) {
    values_.push_back({array_of(oid_of_number, values)});
    return *this;
}

PostgresParams& PostgresParams::integers(const std::vector<std::int32_t>& values) {
    values_.push_back({array_of(oid_of_integer, values)});
    return *this;
}

PostgresParams& PostgresParams::all_bytes(const std::vector<std::string_view>& values) {
    std::string array = head_of_array(oid_of_bytes, values.size());
    std::size_t size = array.size();
    for (const auto value : values) size += value.size() + 4;
    array.reserve(size);
    for (const auto value : values) {
        append(array, static_cast<std::int32_t>(value.size()));
        array += value;
    }
    values_.push_back({std::move(array)});
    return *this;
}

PostgresParams::Raw PostgresParams::raw() const {
    Raw raw;
    raw.values.reserve(values_.size());
    raw.lengths.reserve(values_.size());
    raw.formats.assign(values_.size(), 1);
    for (const auto& value : values_) {
        raw.values.push_back(value.null ? nullptr : value.bytes.data());
        raw.lengths.push_back(static_cast<int>(value.bytes.size()));
    }
    return raw;
}

bool PostgresRows::null(int row, int column) const noexcept {
    return PQgetisnull(result_.get(), row, column) != 0;
}

std::int64_t PostgresRows::number(int row, int column) const noexcept {
    const int size = PQgetlength(result_.get(), row, column);
    const auto* bytes = PQgetvalue(result_.get(), row, column);
    if (size <= 0 || size > 8) return 0;
    std::uint64_t bits = (static_cast<unsigned char>(bytes[0]) & 0x80) != 0 ? ~std::uint64_t{0} : 0;
    for (int i = 0; i < size; ++i) bits = bits << 8 | static_cast<unsigned char>(bytes[i]);
    return static_cast<std::int64_t>(bits);
}

bool PostgresRows::flag(int row, int column) const noexcept {
    return PQgetlength(result_.get(), row, column) == 1 && *PQgetvalue(result_.get(), row, column) != 0;
}

std::string PostgresRows::bytes(int row, int column) const {
    return {PQgetvalue(result_.get(), row, column),
            static_cast<std::size_t>(PQgetlength(result_.get(), row, column))};
}

}  // namespace worker::jobs
