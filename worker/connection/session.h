// worker/connection/session.h: the protocol that speaks on a connection, as the connection sees it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace worker::connection {

/// What a session needs next.
enum class Wants : std::uint8_t {
    input,    ///< more bytes from the peer
    nothing,  ///< a handler is at work: it will `wake` the connection
    stream,   ///< both ways at once, piece by piece: output goes as it comes, input while `reads`
    close,    ///< done, and the peer has nothing more to say
    linger,   ///< done, but the peer may still be sending: see that it gets the answer
    leave,    ///< between two requests; once what has come is used up, somebody else takes the connection
};

/// What a session remembers between two requests: enough for another one to go on.
struct Memory {
    std::uint64_t requests = 0;     ///< that the connection has had
    std::uint64_t patience_ms = 0;  ///< how long the next may take to begin; 0: as for the first
};

/// Owned by its connection and called by nobody else. What it produces goes to `Connection::output`.
/// Nothing here is called from within a call of the session's own to the connection.
class Session {
 public:
    virtual ~Session() = default;

    /// Takes bytes from the front of `input`, not empty; returns how many. Called only while it wants input.
    /// What was taken stays readable until the next `on_input` or `on_park`.
    [[nodiscard]] virtual std::size_t on_input(std::span<char> input) = 0;
    /// The turn ends and the input's memory goes: keep what you still look at.
    virtual void on_park() = 0;
    /// The peer ended its stream; nothing more will come in. Not called while it streams and does not read:
    /// then the connection counts as broken.
    virtual void on_end_of_input() = 0;
    /// All output is in the kernel's hands. While it streams: called after each piece.
    virtual void on_sent() = 0;
    /// Sending held up the loop for so many ticks of an `execution::Stopwatch`: a file that the disk was slow
    /// to give. Called before `on_sent`.
    virtual void on_slow_send(std::uint64_t ticks) = 0;
    /// A handler woke the connection.
    virtual void on_wake() = 0;
    /// Input was wanted and did not come in time. May produce a last answer.
    virtual void on_too_slow() = 0;
    /// The worker wants to go: finish what is begun.
    virtual void on_drain() = 0;
    /// The connection broke before the session was done with it.
    virtual void on_broken() = 0;

    [[nodiscard]] virtual Wants wants() const = 0;
    /// Whether a request has begun to come and is not over.
    [[nodiscard]] virtual bool serves() const = 0;
    /// While it does not serve.
    [[nodiscard]] virtual Memory memory() const = 0;
    /// While it streams: whether input is welcome now. When it is not, nothing is read, and the peer feels
    /// it.
    [[nodiscard]] virtual bool reads() const = 0;
    /// Whether the connection ends once its output is sent, so that the end can go with the last bytes.
    [[nodiscard]] virtual bool ends_after_output() const = 0;
    /// How long input may take from now on, in milliseconds; 0: the deadline goes on as armed.
    [[nodiscard]] virtual std::uint64_t patience_ms() = 0;
    /// How long the peer may take none of our output, in milliseconds.
    [[nodiscard]] virtual std::uint64_t send_patience_ms() const = 0;
};

}  // namespace worker::connection
