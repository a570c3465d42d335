// worker/connection/output.h: what is on its way to the peer, in order: text, shared memory, pieces of files.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "worker/connection/shared.h"
#include "worker/connection/transport.h"

namespace worker::connection {

/// A piece of a body: bytes in memory, a stretch of a file, or what is in a pipe; `keeper` holds each in
/// place.
struct Chunk {
    Ref<Shared> keeper;
    const char* bytes = nullptr;  ///< null: the piece is in `file`
    int file = -1;
    off_t offset = 0;
    std::uint64_t size = 0;
    bool pipe = false;  ///< `file` is the end of a pipe that is read, and all of `size` is in it
};

/// How one turn of sending went.
enum class Sent : std::uint8_t {
    all,
    blocked,  ///< the peer reads too slowly
    yielded,  ///< the turn's budget is used up; go on next turn
    failed,
};

/// Ordered and unbounded in itself: the protocol above stops producing while it is not empty.
class Output {
 public:
    /// Bytes up to here are copied behind the text before them, which saves a vector and a reference.
    static constexpr std::size_t copied_max = 4096;

    void append(std::string_view text);
    /// Room for `size` more bytes of text, uninitialised; `commit` what was used of it.
    [[nodiscard]] char* reserve(std::size_t size);
    void commit(std::size_t used) noexcept;
    void append(const Chunk& chunk);

    /// Sends until all is gone, the socket is full, or about `budget` bytes went. Adds to `sent`.
    /// `last`: the end of the stream follows at once, and saves a segment when it goes with the last bytes.
    [[nodiscard]] Sent send(Transport& transport, std::size_t budget, bool last, std::uint64_t& sent);

    [[nodiscard]] bool empty() const noexcept { return pieces_.empty(); }
    /// Bytes that the kernel has not taken yet.
    [[nodiscard]] std::uint64_t pending() const noexcept;
    [[nodiscard]] std::size_t text_bytes() const noexcept { return text_size_; }
    [[nodiscard]] bool only_text() const noexcept { return pieces_.size() <= 1; }
    /// Forgets everything, keeps the memory unless it grew large.
    void clear();

 private:
    struct Piece {
        Ref<Shared> keeper;
        const char* bytes;  // null with file < 0: text, from `offset` on
        int file;
        off_t offset;
        std::uint64_t size;
        bool pipe = false;
    };

    void grow_text(std::size_t size);
    Piece& text_piece();
    [[nodiscard]] Moved send_piece(Transport& transport, const Piece& piece, bool more);
    [[nodiscard]] Moved send_memory(Transport& transport, bool last);
    void advance(std::uint64_t bytes);

    std::vector<char> text_;
    std::size_t text_size_ = 0;
    std::vector<Piece> pieces_;
    std::size_t first_ = 0;  // pieces before it are gone
    bool corked_ = false;
};

}  // namespace worker::connection
