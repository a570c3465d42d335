// ipc/name_cell.cpp: words, a sequence around them, and a checksum over them.
#include "ipc/name_cell.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <algorithm>
#include <bit>

namespace ipc {

std::string NameAddress::text() const {
    if (family == 0) return {};
    std::array<char, INET6_ADDRSTRLEN> host{};
    ::inet_ntop(family == 6 ? AF_INET6 : AF_INET, bytes.data(), host.data(), host.size());
    const std::string text(host.data());
    return (family == 6 ? "[" + text + "]" : text) + ":" + std::to_string(port);
}

/// FNV-1a by words: tells a mixture from what one writer wrote.
std::uint64_t NameCell::checksum(const Words& words) noexcept {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const auto word : words) {
        hash = (hash ^ word) * 0x100000001b3;
        hash ^= hash >> 32;
    }
    return hash;
}

void NameCell::write(std::span<const NameAddress> places) noexcept {
    Words words{};
    for (std::size_t place = 0; place < std::min(places.size(), places_max); ++place) {
        const auto one = std::bit_cast<std::array<std::uint64_t, words_of_one>>(places[place]);
        std::copy(one.begin(), one.end(), words.begin() + static_cast<std::ptrdiff_t>(place * words_of_one));
    }
    // Odd, also behind a writer that died at it. Each word is stored with release and loaded with acquire:
    // whoever sees a new word also sees the odd sequence.
    const auto before = sequence_.load(std::memory_order_relaxed);
    const auto mine = before % 2 == 0 ? before + 1 : before + 2;
    sequence_.store(mine, std::memory_order_relaxed);
    for (std::size_t word = 0; word < words.size(); ++word)
        words_[word].store(words[word], std::memory_order_release);
    checksum_.store(checksum(words), std::memory_order_release);
    sequence_.store(mine + 1, std::memory_order_release);
    addresses.set(static_cast<std::uint64_t>(
        std::count_if(places.begin(), places.end(), [](const NameAddress& one) { return one.family != 0; })));
}

std::optional<NameCell::Places> NameCell::read() const noexcept {
    constexpr int tries_max = 4;
    for (int tries = 0; tries < tries_max; ++tries) {
        const auto before = sequence_.load(std::memory_order_acquire);
        if (before == 0) return std::nullopt;
        if (before % 2 != 0) continue;
        Words words{};
        for (std::size_t word = 0; word < words.size(); ++word)
            words[word] = words_[word].load(std::memory_order_acquire);
        const auto sum = checksum_.load(std::memory_order_acquire);
        if (sequence_.load(std::memory_order_relaxed) != before || sum != checksum(words)) continue;
        Places places;
        for (std::size_t place = 0; place < places.size(); ++place) {
            std::array<std::uint64_t, words_of_one> one{};
            std::copy_n(words.begin() + static_cast<std::ptrdiff_t>(place * words_of_one), words_of_one,
                        one.begin());
            places[place] = std::bit_cast<NameAddress>(one);
        }
        return places;
    }
    return std::nullopt;
}

}  // namespace ipc
