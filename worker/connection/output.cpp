#include "worker/connection/output.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace worker::connection {
namespace {

constexpr std::size_t text_kept_max = 128 * 1024;  // whoever streams needs it again and again
constexpr std::size_t vectors_max = 64;
// Files from here on leave in many sendfile calls, each of which would end with a short segment.
constexpr std::uint64_t corked_min = 512 * 1024;

}  // namespace

void Output::grow_text(std::size_t size) {
    if (text_.size() - text_size_ >= size) return;
    text_.resize(std::max<std::size_t>({text_.size() * 2, text_size_ + size, 4096}));
}

Output::Piece& Output::text_piece() {
    const bool joins = !pieces_.empty() && pieces_.back().bytes == nullptr && pieces_.back().file < 0;
    if (!joins) pieces_.push_back({{}, nullptr, -1, static_cast<off_t>(text_size_), 0});
    return pieces_.back();
}

void Output::append(std::string_view text) {
    if (text.empty()) return;
    std::memcpy(reserve(text.size()), text.data(), text.size());
    commit(text.size());
}

char* Output::reserve(std::size_t size) {
    grow_text(size);
    return text_.data() + text_size_;
}

void Output::commit(std::size_t used) noexcept {
    if (used == 0) return;
    text_piece().size += used;
    text_size_ += used;
}

void Output::append(const Chunk& chunk) {
    if (chunk.size == 0) return;
    if (chunk.bytes != nullptr && chunk.size <= copied_max)
        return append(std::string_view(chunk.bytes, static_cast<std::size_t>(chunk.size)));
    pieces_.push_back({chunk.keeper, chunk.bytes, chunk.file, chunk.offset, chunk.size, chunk.pipe});
}

Sent Output::send(Transport& transport, std::size_t budget, bool last, std::uint64_t& sent) {
    std::size_t spent = 0;
    while (first_ < pieces_.size()) {
        if (spent >= budget) return Sent::yielded;
        const Piece& piece = pieces_[first_];
        Moved moved;
        if (piece.pipe) {
            const auto size = std::min<std::uint64_t>(piece.size, budget - spent);
            moved = transport.send_pipe(piece.file, static_cast<std::size_t>(size));
        } else if (piece.file >= 0) {
            if (!corked_ && piece.size >= corked_min) transport.cork(corked_ = true);
            const auto size = std::min<std::uint64_t>(piece.size, budget - spent);
            moved = transport.send_file(piece.file, piece.offset, static_cast<std::size_t>(size));
        } else {
            moved = send_memory(transport, last);
        }
        if (moved.io == Io::blocked) return Sent::blocked;
        if (moved.io == Io::ended) return Sent::failed;
        sent += moved.bytes;
        spent += moved.bytes;
        advance(moved.bytes);
    }
    if (std::exchange(corked_, false)) transport.cork(false);
    clear();
    return Sent::all;
}

Moved Output::send_piece(Transport& transport, const Piece& piece, bool more) {
    const char* bytes = piece.bytes != nullptr ? piece.bytes : text_.data();
    return transport.send(bytes + piece.offset, static_cast<std::size_t>(piece.size), more);
}

/// All memory up to the next piece of a file, in one call.
Moved Output::send_memory(Transport& transport, bool last) {
    if (first_ + 1 == pieces_.size()) return send_piece(transport, pieces_[first_], last);
    std::array<iovec, vectors_max> vectors;
    std::size_t count = 0;
    std::size_t at = first_;
    for (; at < pieces_.size() && count < vectors.size() && pieces_[at].file < 0; ++at) {
        const Piece& piece = pieces_[at];
        const char* bytes = piece.bytes != nullptr ? piece.bytes : text_.data();
        vectors[count++] = {const_cast<char*>(bytes + piece.offset), static_cast<std::size_t>(piece.size)};
    }
    const bool more = last || at < pieces_.size();
    if (count == 1) return send_piece(transport, pieces_[first_], more);
    return transport.send(std::span(vectors).first(count), more);
}

void Output::advance(std::uint64_t bytes) {
    while (bytes > 0) {
        Piece& piece = pieces_[first_];
        if (bytes < piece.size) {
            if (!piece.pipe) piece.offset += static_cast<off_t>(bytes);
            piece.size -= bytes;
            return;
        }
        bytes -= piece.size;
        piece.size = 0;
        piece.keeper = {};
        ++first_;
    }
}

std::uint64_t Output::pending() const noexcept {
    std::uint64_t sum = 0;
    for (std::size_t at = first_; at < pieces_.size(); ++at) sum += pieces_[at].size;
    return sum;
}

void Output::clear() {
    pieces_.clear();
    first_ = 0;
    text_size_ = 0;
    corked_ = false;
    if (text_.size() > text_kept_max) {
        text_.clear();
        text_.shrink_to_fit();
    }
}

}  // namespace worker::connection
