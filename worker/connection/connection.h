// worker/connection/connection.h: one client's connection: reads, writes, waits, ends.
#pragma once

#include <event2/event_struct.h>

#include <cstdint>
#include <memory>
#include <span>

#include "worker/connection/output.h"
#include "worker/connection/peer.h"
#include "worker/connection/session.h"
#include "worker/connection/transport.h"
#include "worker/execution/deadlines.h"

namespace worker::connection {

class Connections;

/// A connection between two requests, on its way from one loop to another.
struct Traveller {
    ipc::UniqueFd socket;
    Peer peer;
    std::uint32_t address = 0;
    std::uint64_t id = 0;
    Memory memory{};
};

/// Its place among the open ones.
class Registered : public execution::Link {};

/// Idle it holds no buffer: input is read into the loop's own, output is borrowed while there is some.
/// Owned by `Connections`; its session is its own. Loop thread only.
class Connection final : private execution::Deadline, public Registered {
 public:
    Connection(Connections& owner, ipc::UniqueFd socket, const Peer& peer, std::uint32_t address,
               std::uint64_t id);
    ~Connection() override;

    /// Gives it its protocol and starts: what has come already is served before this returns.
    void start(std::unique_ptr<Session> session);

    // For the session.

    /// Where its answer goes; borrowed at the first call.
    [[nodiscard]] Output& output();
    /// The handler that `Wants::nothing` waited for is done. Takes effect on the loop's next turn.
    void wake() noexcept;
    [[nodiscard]] const Peer& peer() const noexcept { return peer_; }
    /// Our own end, asked of the kernel.
    [[nodiscard]] const Peer& local() noexcept {
        if (!local_) local_ = transport_.local();
        return *local_;
    }
    [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
    /// Which listener it came in by: index into `conf::listen_plan`.
    [[nodiscard]] std::uint32_t address() const noexcept { return address_; }
    [[nodiscard]] bool secure() const noexcept { return transport_.secure(); }
    [[nodiscard]] std::uint64_t bytes_sent() const noexcept { return sent_; }
    [[nodiscard]] std::uint64_t bytes_received() const noexcept { return received_; }
    /// Whether the session may produce more before what it produced is sent.
    [[nodiscard]] bool has_room() const noexcept;
    /// Whether all that was produced is in the kernel's hands.
    [[nodiscard]] bool all_sent() const noexcept { return !output_ || output_->empty(); }

    // For the owner.

    void drain();
    /// Its socket goes; it has none then, and is closed.
    [[nodiscard]] Traveller leave();
    [[nodiscard]] bool has_left() const noexcept { return transport_.fd() < 0; }

 private:
    // receiving ──answer──▶ sending ──sent, keep-alive──▶ receiving
    //     │ └──handler──▶ handling ──woken──▶ │ └──sent, last──▶ lingering ──peer ended, or late──▶ closed
    // receiving ──handler works piece by piece──▶ streaming ──answered──▶ sending
    // any state ──peer gone, or too slow────────────────────────────────────────────────────────▶ closed
    // receiving, sending ──answered, and the next request is for somebody else──▶ closed, without its socket
    enum class State : std::uint8_t { receiving, handling, streaming, sending, lingering, closed };

    static void on_event(evutil_socket_t, short what, void* self) noexcept;
    void on_deadline() noexcept override;

    void advance();
    [[nodiscard]] State step();
    void enter(State next);
    void wait();

    [[nodiscard]] State receive();
    [[nodiscard]] State stream();
    [[nodiscard]] State stream_late();
    [[nodiscard]] State end_stream();
    [[nodiscard]] bool stream_output();
    [[nodiscard]] bool stream_input();
    [[nodiscard]] bool peer_left();
    void time_stream(bool moved);
    [[nodiscard]] State send();
    [[nodiscard]] Sent send_output();
    void note_answered() noexcept;
    [[nodiscard]] std::size_t turn_bytes_left() const noexcept;
    [[nodiscard]] State discard();
    /// Where the session's wish leads.
    [[nodiscard]] State proceed();
    [[nodiscard]] bool fill();
    void park();
    void unpark();
    void yield() noexcept;
    void watch();
    void watch_writable();
    void break_off();

    Connections& owner_;
    Transport transport_;
    std::unique_ptr<Session> session_;
    std::unique_ptr<Output> output_;
    std::unique_ptr<char[]> parked_;  ///< input that waits for more, or for its turn
    event event_{};
    std::unique_ptr<event> writable_event_;  ///< only once the peer has been too slow for us
    std::uint64_t sent_ = 0, received_ = 0;
    std::uint64_t sent_before_ = 0;  ///< this turn
    std::uint64_t id_;
    Peer peer_;
    std::optional<Peer> local_;  ///< once somebody has asked for it
    std::uint32_t parked_size_ = 0;
    std::uint32_t woken_in_ = ~std::uint32_t{0};  ///< the last turn in which it was woken
    std::uint32_t address_;
    State state_ = State::receiving;
    // What the kernel said and no call has contradicted since: events are edges, each is told once.
    bool watched_ = false;
    bool readable_ = true;
    bool writable_ = true;
    bool ending_ = false;  ///< the peer's end of stream is behind the bytes that wait
    bool ended_ = false;   ///< and has been read
    bool woken_ = false;
    bool peek_ = false;    ///< something came while nobody reads: it may be the end
    bool failed_ = false;  ///< sending did, while streaming
    bool yields_ = false;  ///< as soon as it is watched
    bool later_ = false;   ///< goes on in the next turn
    bool late_ = false;
    bool long_ = false;        ///< what is being sent takes several turns
    std::uint8_t rounds_ = 0;  ///< reads and sends of this turn
};

}  // namespace worker::connection
