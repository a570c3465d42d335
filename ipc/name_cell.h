// ipc/name_cell.h: the addresses of a peer that is a name, in shared memory.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "ipc/counter.h"
#include "ipc/shared_text.h"

namespace ipc {

/// One address of a name, in network byte order.
struct NameAddress {
    std::array<std::uint8_t, 16> bytes{};  ///< of IPv4 the first four, the others 0
    std::uint16_t port = 0;                ///< in the order of this machine
    std::uint8_t family = 0;               ///< 4 or 6; 0: there is none
    std::uint8_t backup = 0;               ///< 1: of a service's lesser priority
    std::uint32_t weight = 1;              ///< of a service; else 1

    [[nodiscard]] explicit operator bool() const noexcept { return family != 0; }
    /// The same socket, whatever it weighs.
    [[nodiscard]] bool same_peer(const NameAddress& other) const noexcept {
        return family == other.family && port == other.port && bytes == other.bytes;
    }
    /// "10.0.0.1:80", "[::1]:80"; empty: there is none.
    [[nodiscard]] std::string text() const;
    bool operator==(const NameAddress&) const = default;
};
static_assert(sizeof(NameAddress) == 24, "no padding: it is copied word by word");

/// Outlives sentinels, workers and reloads. Only the sentinel that holds the lease for names writes. An
/// address keeps its place, by which workers and checks know it, until the name has it no more.
class NameCell {
 public:
    static constexpr std::size_t places_max = 64;
    using Places = std::array<NameAddress, places_max>;

    SharedText<128> name;  ///< "upstream/app.example:8080"

    /// All places at once; those behind `places` are empty.
    void write(std::span<const NameAddress> places) noexcept;
    /// Any process. A seqlock, and a checksum besides: neither a writer that died half-way nor a late one
    /// that is no longer the only one makes half an address readable. None: there is nothing that is whole
    /// (now).
    [[nodiscard]] std::optional<Places> read() const noexcept;
    /// Changes with every `write`; 0: there was none.
    [[nodiscard]] std::uint64_t version() const noexcept { return sequence_.load(std::memory_order_acquire); }

    Counter addresses;          ///< how many there are
    Counter answers, failures;  ///< ever
    Counter answered_ms;        ///< CLOCK_MONOTONIC of the last answer; 0: never
    Counter next_ms;            ///< CLOCK_MONOTONIC, when it will be asked for again
    Counter ttl_ms;             ///< of the last answer
    SharedText<64> reason;      ///< why the last try failed; empty: it did not

 private:
    static constexpr std::size_t words_of_one = sizeof(NameAddress) / sizeof(std::uint64_t);
    using Words = std::array<std::uint64_t, places_max * words_of_one>;
    [[nodiscard]] static std::uint64_t checksum(const Words& words) noexcept;

    std::atomic<std::uint64_t> sequence_{0};  ///< odd while a writer is at it
    std::atomic<std::uint64_t> checksum_{0};
    std::array<std::atomic<std::uint64_t>, places_max * words_of_one> words_{};
};

}  // namespace ipc
