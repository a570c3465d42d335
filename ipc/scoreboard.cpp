// ipc/scoreboard.cpp: the shared mapping, and reading what another process is writing.
#include "ipc/scoreboard.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

namespace ipc {
namespace {

std::size_t bytes_for(std::uint32_t slots) { return std::size_t{slots} * sizeof(WorkerCell); }

constexpr int read_tries_max = 4;

}  // namespace

// Each word is stored with release and loaded with acquire: whoever sees a new word also sees the odd
// sequence. On x86 these are plain moves.
void InFlight::begin(std::string_view method, std::string_view target) noexcept {
    std::array<char, text_max> text;
    std::size_t length = 0;
    for (const std::string_view part : {method, std::string_view(" "), target}) {
        const auto size = std::min(part.size(), text.size() - length);
        std::memcpy(text.data() + length, part.data(), size);
        length += size;
    }

    const auto sequence = sequence_.load(std::memory_order_relaxed);
    sequence_.store(sequence + 1, std::memory_order_relaxed);
    for (std::size_t word = 0; word * sizeof(std::uint64_t) < length; ++word) {
        std::uint64_t value = 0;
        std::memcpy(&value, text.data() + word * sizeof value,
                    std::min(sizeof value, length - word * sizeof value));
        words_[word].store(value, std::memory_order_release);
    }
    length_.store(static_cast<std::uint32_t>(length), std::memory_order_release);
    sequence_.store(sequence + 2, std::memory_order_release);
}

std::string InFlight::text() const {
    Words words{};
    std::size_t length = 0;
    for (int tries = 0; tries < read_tries_max; ++tries) {
        const auto before = sequence_.load(std::memory_order_acquire);
        length = std::min<std::size_t>(length_.load(std::memory_order_acquire), text_max);
        for (std::size_t word = 0; word < words.size(); ++word)
            words[word] = words_[word].load(std::memory_order_acquire);
        if (before % 2 == 0 && sequence_.load(std::memory_order_relaxed) == before) break;
    }
    // A writer that died half-way, or never rests, leaves a mixture: still worth showing.
    std::string text(length, '\0');
    std::memcpy(text.data(), words.data(), length);
    std::replace_if(
        text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
    return text;
}

std::string_view name(SlotState state) {
    switch (state) {
        case SlotState::empty: return "empty";
        case SlotState::starting: return "starting";
        case SlotState::ready: return "ready";
        case SlotState::stuck: return "stuck";
        case SlotState::draining: return "draining";
        case SlotState::backing_off: return "backing_off";
    }
    std::abort();
}

Result<Scoreboard> Scoreboard::make(std::uint32_t slots) {
    if (slots == 0) return failure("make scoreboard: no slots");
    void* memory =
        ::mmap(nullptr, bytes_for(slots), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return system_error("map scoreboard");
    for (std::uint32_t slot = 0; slot < slots; ++slot)
        new (static_cast<WorkerCell*>(memory) + slot) WorkerCell;
    return Scoreboard(memory, slots);
}

Scoreboard::Scoreboard(Scoreboard&& other) noexcept
    : memory_(std::exchange(other.memory_, nullptr)), slots_(std::exchange(other.slots_, 0)) {}

Scoreboard& Scoreboard::operator=(Scoreboard&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(slots_, other.slots_);
    return *this;
}

Scoreboard::~Scoreboard() {
    if (memory_ != nullptr) ::munmap(memory_, bytes_for(slots_));
}

WorkerCell& Scoreboard::worker(std::uint32_t slot) noexcept {
    if (slot >= slots_) std::abort();
    return static_cast<WorkerCell*>(memory_)[slot];
}

const WorkerCell& Scoreboard::worker(std::uint32_t slot) const noexcept {
    if (slot >= slots_) std::abort();
    return static_cast<const WorkerCell*>(memory_)[slot];
}

}  // namespace ipc
