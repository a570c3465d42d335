// worker/life.h: a worker's life after READY: what the master says, and how it ends.
#pragma once

#include <atomic>
#include <optional>
#include <vector>

#include "conf/config.h"
#include "ipc/channel.h"
#include "ipc/event.h"
#include "ipc/message.h"
#include "ipc/seat.h"
#include "worker/crew.h"
#include "worker/observe/log_writer.h"

namespace worker {

// ready ──Serve──▶ serving ──Unready──▶ announced ──Drain──▶ draining ──idle, or the limit──▶ gone
//    │ └──Drain, master dead, SIGQUIT──────▶ │
// any ──Stop, SIGTERM────────────────────────────────────────────────────────▶ gone
/// Refers to all else. Main thread only.
class Life {
 public:
    struct Rooms {
        const conf::Config& config;
        Crew& crew;
        observe::LogWriter& log_writer;
        std::atomic<bool>& ready;  ///< what the `ready` route says
    };

    Life(Rooms rooms, ipc::Seat& seat);
    Life(const Life&) = delete;
    Life& operator=(const Life&) = delete;

    /// Tells the master; on its word the seat's listeners are served.
    [[nodiscard]] ipc::Result<void> begin();

 private:
    void serve();
    void on_channel(short what);
    void on_message(ipc::Received received);
    void reopen(std::uint32_t request, std::vector<ipc::UniqueFd> descriptors);
    void reopen_logs(short what);
    void on_reopened(short what);
    void on_signal(short what);
    void on_limit(short what);
    void drain(std::chrono::milliseconds limit);
    void leave();

    Rooms rooms_;
    ipc::Seat& seat_;
    ipc::UniqueFd signals_;
    ipc::Event channel_readable_, signal_came_, reopened_, flush_limit_, limit_;
    std::vector<std::uint32_t> reopens_;  ///< asked for and not yet confirmed, in order
    /// Access logs to go on in, once all loops have handed over what they wrote before.
    std::optional<std::vector<ipc::UniqueFd>> new_logs_;
    std::optional<int> level_;  ///< of the log, when it was told to be another one
    bool draining_ = false;
};

}  // namespace worker
