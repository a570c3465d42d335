// worker/life.h: a worker's life after READY: what the master says, and how it ends.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "conf/config.h"
#include "ipc/channel.h"
#include "ipc/event.h"
#include "ipc/message.h"
#include "ipc/seat.h"
#include "worker/connection/connections.h"
#include "worker/http/http1.h"
#include "worker/listener/acceptor.h"
#include "worker/observe/log_writer.h"
#include "worker/observe/recorder.h"

namespace worker {

// ready ──Serve──▶ serving ──Unready──▶ announced ──Drain──▶ draining ──idle, or the limit──▶ gone
//    │ └──Drain, master dead, SIGQUIT──────▶ │
// any ──Stop, SIGTERM────────────────────────────────────────────────────────▶ gone
/// Holds the acceptors; refers to all else. Loop thread only.
class Life {
 public:
    struct Rooms {
        const conf::Config& config;
        execution::Loop& loop;
        connection::Connections& connections;
        http::Service& service;
        observe::Recorder& recorder;
        observe::LogWriter& log_writer;
        bool& ready;  ///< what the `ready` route says
    };

    Life(Rooms rooms, ipc::Seat& seat);
    Life(const Life&) = delete;
    Life& operator=(const Life&) = delete;

    /// Tells the master; on its word the seat's listeners are served.
    [[nodiscard]] ipc::Result<void> begin();

 private:
    /// An acceptor, and the queue it takes from: our slot's, or one that we have adopted.
    struct Taken {
        std::uint32_t queue;
        std::unique_ptr<listener::Acceptor> acceptor;
    };

    void serve();
    void accept_from(ipc::SeatListener listener, std::uint32_t queue);
    void on_channel(short what);
    void on_message(ipc::Received received);
    void reopen(std::uint32_t request, std::vector<ipc::UniqueFd> descriptors);
    void on_reopened(short what);
    void on_signal(short what);
    void on_limit(short what);
    void drain(std::chrono::milliseconds limit);
    void leave_if_idle();
    void leave();

    Rooms rooms_;
    ipc::Seat& seat_;
    std::vector<Taken> acceptors_;
    ipc::UniqueFd signals_;
    ipc::Event channel_readable_, signal_came_, reopened_, limit_;
    std::vector<std::uint32_t> reopens_;  ///< asked for and not yet confirmed, in order
    std::optional<int> level_;            ///< of the log, when it was told to be another one
    bool draining_ = false;
};

}  // namespace worker
