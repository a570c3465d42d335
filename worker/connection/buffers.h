// worker/connection/buffers.h: the memory and the files that the buffered bodies of a loop are kept in, and
// the bounds of all of them together.
#pragma once

#include <sys/types.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "ipc/buffer_use.h"
#include "ipc/unique_fd.h"
#include "worker/connection/shared.h"
#include "worker/connection/spill_folder.h"

namespace worker::connection {

/// In bytes.
struct BufferBounds {
    std::uint64_t memory = 0;
    std::uint64_t file = 0;
};

class Buffers;

/// Memory of a body; counted until nobody sends from it any more.
class Block final : public Shared {
 public:
    Block(Buffers& owner, std::size_t bytes);
    ~Block() override;

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::size_t room() const noexcept { return size_ - used_; }
    /// As much as there is room for; where it stands.
    [[nodiscard]] std::string_view append(std::string_view bytes) noexcept;

 private:
    Buffers& owner_;
    std::unique_ptr<char[]> bytes_;
    std::size_t size_, used_ = 0;
};

/// A file of a body; counted likewise.
class SpillFile final : public Shared {
 public:
    SpillFile(Buffers& owner, ipc::UniqueFd file) noexcept : owner_(owner), file_(std::move(file)) {}
    ~SpillFile() override;

    [[nodiscard]] int fd() const noexcept { return file_.get(); }
    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
    /// Writes behind what is there; into the page cache, as a rule. Returns how much; less than all: `why`.
    [[nodiscard]] std::size_t append(std::string_view bytes, ipc::BufferRefusal& why);

 private:
    Buffers& owner_;
    ipc::UniqueFd file_;
    std::uint64_t size_ = 0;
};

/// What all loops of a process have for bodies together. Any thread.
class BufferTotals {
 public:
    explicit BufferTotals(const BufferBounds& bounds) noexcept : bounds_(bounds) {}

    /// False: there is no room for so much, and nothing was taken.
    [[nodiscard]] bool take_memory(std::uint64_t bytes) noexcept {
        if (memory_.fetch_add(bytes, std::memory_order_relaxed) + bytes <= bounds_.memory) return true;
        give_back_memory(bytes);
        return false;
    }
    /// Bounds or not.
    void add_memory(std::uint64_t bytes) noexcept { memory_.fetch_add(bytes, std::memory_order_relaxed); }
    void give_back_memory(std::uint64_t bytes) noexcept {
        memory_.fetch_sub(bytes, std::memory_order_relaxed);
    }
    /// Returns how much of that there was room for.
    [[nodiscard]] std::uint64_t take_file(std::uint64_t bytes) noexcept {
        const auto before = file_.fetch_add(bytes, std::memory_order_relaxed);
        const std::uint64_t room = bounds_.file - std::min(bounds_.file, before);
        if (room >= bytes) return bytes;
        give_back_file(bytes - room);
        return room;
    }
    void give_back_file(std::uint64_t bytes) noexcept { file_.fetch_sub(bytes, std::memory_order_relaxed); }

 private:
    const BufferBounds bounds_;
    std::atomic<std::uint64_t> memory_{0}, file_{0};
};

/// One a loop; outlives all blocks and files. Loop thread only.
class Buffers {
 public:
    /// Without a folder there are no files. The others must outlive it.
    Buffers(BufferTotals& totals, std::optional<SpillFolder> folder, ipc::BufferUse& use);
    Buffers(const Buffers&) = delete;
    Buffers& operator=(const Buffers&) = delete;

    /// Empty: there is no room for so many bytes. `beyond`: they must be kept, bounds or not.
    [[nodiscard]] Ref<Block> take(std::size_t bytes, bool beyond = false);
    /// Empty: it cannot be made, and the log says why.
    [[nodiscard]] Ref<SpillFile> make_file();
    void count(ipc::BufferedBody body, ipc::BufferRefusal refusal) noexcept;

    [[nodiscard]] std::uint64_t memory() const noexcept { return memory_; }
    [[nodiscard]] std::uint64_t file() const noexcept { return file_; }

 private:
    friend class Block;
    friend class SpillFile;

    void add_memory(std::uint64_t bytes) noexcept { use_.memory.set(memory_ += bytes); }
    void add_file(std::uint64_t bytes) noexcept { use_.file.set(file_ += bytes); }
    void tell_failure(int error);

    BufferTotals& totals_;
    std::optional<SpillFolder> folder_;
    ipc::BufferUse& use_;
    std::uint64_t memory_ = 0, file_ = 0;
    std::uint64_t told_ms_ = 0, untold_ = 0;  ///< failures in the log
};

}  // namespace worker::connection
