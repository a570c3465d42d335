// worker/handler/range.h: the Range header for bytes (RFC 9110 14).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace worker::handler {

/// Both ends belong to it.
struct ByteRange {
    std::uint64_t first = 0;
    std::uint64_t last = 0;

    [[nodiscard]] std::uint64_t size() const { return last - first + 1; }
    bool operator==(const ByteRange&) const = default;
};

enum class RangeVerdict : std::uint8_t {
    whole,         ///< as if there were no Range: 200
    partial,       ///< 206 with what is in `out`
    unsatisfiable  ///< 416
};

/// More members than this in one header are not served one by one.
constexpr std::size_t ranges_max = 16;

/// What of `size` bytes to send. `out` is overwritten: for `partial` at least one range, each inside the
/// representation, in the order asked for, those that touch or overlap joined where the first of them stood;
/// else empty. A header that is malformed, has another unit, more than `ranges_max` members, or asks for more
/// bytes in sum than there are, means `whole`. So does a suffix of an empty representation.
[[nodiscard]] RangeVerdict parse_range(std::string_view header, std::uint64_t size,
                                       std::vector<ByteRange>& out);

}  // namespace worker::handler
