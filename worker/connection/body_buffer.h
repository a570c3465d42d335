// worker/connection/body_buffer.h: one body on its way, or what is left of it: in memory up to a bound, then
// in a file.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "worker/connection/buffers.h"
#include "worker/connection/output.h"

namespace worker::connection {

/// First in, first out. A body that is kept whole is read by `chunks`, as often as needed; of one that passes
/// through, `passed_on` says that its chunks are on their way, and `sent` that they have arrived. Chunks hold
/// what they are made of: they outlive the buffer. Loop thread only.
class BodyBuffer {
 public:
    /// `buffers` must outlive it.
    explicit BodyBuffer(Buffers& buffers) noexcept : buffers_(buffers) {}

    /// As new: a body with these bounds; no file where that of files is 0.
    void begin(ipc::BufferedBody body, const BufferBounds& bounds);
    /// Keeps as much as it may. Returns the rest; unless that is empty, `refusal` says why, and it is counted
    /// the first time.
    [[nodiscard]] std::string_view append(std::string_view bytes);
    /// Keeps all of it in memory, whatever the bounds say: what is here already and cannot be given back.
    void hold(std::string_view bytes);
    [[nodiscard]] ipc::BufferRefusal refusal() const noexcept { return refusal_; }

    [[nodiscard]] bool empty() const noexcept { return chunks_.empty(); }
    /// Its own bounds leave no room for more, whatever others leave.
    [[nodiscard]] bool full() const noexcept;
    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
    /// Until the next call that changes it.
    [[nodiscard]] std::span<const Chunk> chunks() const noexcept { return chunks_; }

    void passed_on() noexcept;
    void sent() noexcept;
    /// Gives up what nobody sends.
    void clear() noexcept;

 private:
    [[nodiscard]] std::size_t to_memory(std::string_view bytes);
    [[nodiscard]] std::size_t to_file(std::string_view bytes);
    void push(const Chunk& chunk);
    void push(std::string_view in_block);

    Buffers& buffers_;
    BufferBounds bounds_;
    std::vector<Chunk> chunks_;
    std::uint64_t size_ = 0;                 ///< of the chunks
    std::uint64_t memory_ = 0, passed_ = 0;  ///< bytes of blocks that are not sent; of these passed on
    Ref<Block> block_;                       ///< the last one
    Ref<SpillFile> file_;
    ipc::BufferedBody body_ = ipc::BufferedBody::request;
    ipc::BufferRefusal refusal_ = ipc::BufferRefusal::size;
    bool refused_ = false;  ///< and counted
    bool broken_ = false;   ///< no file could be made, or written
};

}  // namespace worker::connection
