#include "worker/connection/body_buffer.h"

#include <algorithm>
#include <utility>

namespace worker::connection {
namespace {

// Blocks grow with the body, so that a small one takes little.
constexpr std::uint64_t block_bytes_min = 4 * 1024, block_bytes_max = 64 * 1024;

}  // namespace

void BodyBuffer::begin(ipc::BufferedBody body, const BufferBounds& bounds) {
    clear();
    body_ = body;
    bounds_ = bounds;
}

std::string_view BodyBuffer::append(std::string_view bytes) {
    while (!bytes.empty()) {
        // Behind a file there is a file, until all of it is sent.
        std::size_t taken = file_ ? 0 : to_memory(bytes);
        if (taken == 0) taken = to_file(bytes);
        if (taken == 0) break;
        bytes.remove_prefix(taken);
    }
    if (!bytes.empty() && !std::exchange(refused_, true)) buffers_.count(body_, refusal_);
    return bytes;
}

std::size_t BodyBuffer::to_memory(std::string_view bytes) {
    if (!block_ || block_->room() == 0) {
        const std::uint64_t left = bounds_.memory - std::min(bounds_.memory, memory_);
        const std::uint64_t wanted =
            std::max<std::uint64_t>(bytes.size(), std::clamp(memory_, block_bytes_min, block_bytes_max));
        refusal_ = ipc::BufferRefusal::size;
        if (left == 0) return 0;
        refusal_ = ipc::BufferRefusal::total;
        auto block = buffers_.take(static_cast<std::size_t>(std::min(left, wanted)));
        if (!block) return 0;
        block_ = std::move(block);
        memory_ += block_->size();
    }
    const std::string_view kept = block_->append(bytes);
    push(kept);
    return kept.size();
}

std::size_t BodyBuffer::to_file(std::string_view bytes) {
    if (bounds_.file == 0) return 0;  // what memory said counts
    refusal_ = ipc::BufferRefusal::disk;
    if (broken_) return 0;
    if (!file_) file_ = buffers_.make_file();
    broken_ = !file_;
    if (broken_) return 0;
    refusal_ = ipc::BufferRefusal::size;
    const std::uint64_t at = file_->size();
    const std::uint64_t left = bounds_.file - std::min(bounds_.file, at);
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), left));
    if (wanted == 0) return 0;
    const std::size_t written = file_->append(bytes.substr(0, wanted), refusal_);
    broken_ = written < wanted && refusal_ == ipc::BufferRefusal::disk;
    if (written > 0) push({file_, nullptr, file_->fd(), static_cast<off_t>(at), written});
    return written;
}

void BodyBuffer::hold(std::string_view bytes) {
    if (bytes.empty()) return;
    block_ = buffers_.take(bytes.size(), true);
    memory_ += block_->size();
    push(block_->append(bytes));
}

void BodyBuffer::push(std::string_view in_block) { push({block_, in_block.data(), -1, 0, in_block.size()}); }

/// Together with the one before, where it goes on there.
void BodyBuffer::push(const Chunk& chunk) {
    size_ += chunk.size;
    if (!chunks_.empty() && chunks_.back().keeper.get() == chunk.keeper.get()) {
        chunks_.back().size += chunk.size;
        return;
    }
    chunks_.push_back(chunk);
}

bool BodyBuffer::full() const noexcept {
    if (file_) return broken_ || file_->size() >= bounds_.file;
    return memory_ >= bounds_.memory && (bounds_.file == 0 || broken_);
}

void BodyBuffer::passed_on() noexcept {
    chunks_.clear();
    size_ = 0;
    block_ = {};
    passed_ = memory_;
}

void BodyBuffer::sent() noexcept {
    memory_ -= std::exchange(passed_, 0);
    const auto in_file = [](const Chunk& chunk) { return chunk.file >= 0; };
    if (std::any_of(chunks_.begin(), chunks_.end(), in_file)) return;
    file_ = {};  // its room is free again; what comes next may find some in memory
    if (chunks_.empty()) broken_ = false;
}

void BodyBuffer::clear() noexcept {
    chunks_.clear();
    size_ = memory_ = passed_ = 0;
    block_ = {};
    file_ = {};
    refused_ = broken_ = false;
}

}  // namespace worker::connection
