// worker/station.h: one event loop and the rooms around it: all that serves a connection.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "conf/config.h"
#include "conf/models.h"
#include "ipc/seat.h"
#include "worker/connection/buffers.h"
#include "worker/connection/connections.h"
#include "worker/dispatch/dispatcher.h"
#include "worker/dispatch/gate.h"
#include "worker/dispatch/handler_threads.h"
#include "worker/dispatch/visit.h"
#include "worker/execution/pool_queue.h"
#include "worker/execution/thread_pools.h"
#include "worker/handler/make_handlers.h"
#include "worker/http/http1.h"
#include "worker/jobs/keeper_client.h"
#include "worker/listener/acceptors.h"
#include "worker/listener/turn_acceptor.h"
#include "worker/observe/log_writer.h"
#include "worker/observe/recorder.h"

namespace worker {

/// What all loops and threads of a process share. Read only, or made for several threads. Outlives them.
struct House {
    const conf::Config& config;
    const ipc::Seat& seat;
    conf::Crew crew;
    const std::vector<conf::Listen>& plan;
    const dispatch::Router& router;
    observe::LogWriter& log_writer;
    const execution::ThreadPools& thread_pools;
    connection::Census& census;
    connection::BufferTotals& buffer_totals;
    const std::optional<connection::SpillFolder>& spill_folder;  ///< of buffered bodies
    const std::atomic<bool>& ready;                              ///< what the `ready` route says
    const module::Modules& modules;
    handler::Status::About about;

    /// Where the executor of that number counts.
    [[nodiscard]] ipc::Desk desk(std::uint32_t number) const {
        return {seat.slot, seat.crew.at(number), seat.scoreboard};
    }
};

/// Built, run and destroyed by one thread; all calls are its own.
class Station {
 public:
    /// What it tells of; called in its thread.
    struct Tidings {
        /// A connection that is not to stay has been served, and has left, or ended. Empty: they stay.
        std::function<void(std::optional<connection::Traveller>)> visit_over;
        std::function<void()> connection_gone;
        /// With `processes_max`: there is a client now.
        std::function<void()> occupied;
    };

    /// `loop`: which of the worker's.
    Station(const House& house, std::uint32_t loop, Tidings tidings);
    Station(const Station&) = delete;
    Station& operator=(const Station&) = delete;
    ~Station();

    [[nodiscard]] execution::Loop& loop() noexcept { return loop_; }
    [[nodiscard]] connection::Connections& connections() noexcept { return connections_; }

    void accept_from(ipc::SeatListener listener);
    void release(std::uint32_t queue);
    /// Takes what waits in the queues, then accepts no more; every response is its connection's last.
    void drain();
    /// Quiet clients are in the way of others.
    void crowd(bool on);
    /// All log lines go to the writer.
    void flush() { recorder_.flush(); }
    /// Ends the threads beside it, before anything that they use goes. After the loop has stopped.
    void stop();

 private:
    /// With `processes_max`: a client, and then the next.
    class OneAtATime;

    [[nodiscard]] std::unique_ptr<dispatch::HandlerThreads> make_threads(std::uint32_t loop);
    [[nodiscard]] std::vector<std::unique_ptr<http::Handler>> make_handlers();
    void on_connection_gone();

    const House& house_;
    Tidings tidings_;
    execution::Loop loop_;
    handler::FileCache files_;
    connection::Buffers buffers_;
    upstream::Upstreams upstreams_;
    execution::PoolQueues queues_;
    execution::ThreadDesk thread_desk_;
    std::optional<jobs::KeeperClient> keeper_;  ///< none: there are no jobs
    observe::Recorder recorder_;
    dispatch::Limiter limiter_;
    std::unique_ptr<dispatch::HandlerThreads> threads_;
    dispatch::Dispatcher dispatcher_;
    http::Service service_;
    http::Http1Factory http_;
    std::optional<dispatch::Gate> gate_;
    std::optional<dispatch::GatedFactory> gated_;
    std::optional<dispatch::VisitFactory> visits_;
    connection::Connections connections_;
    std::unique_ptr<OneAtATime> one_at_a_time_;
    std::unique_ptr<listener::TurnAcceptor> turns_;
    listener::Acceptors acceptors_;
    bool draining_ = false;
};

/// What waiting costs at most, by the configuration.
[[nodiscard]] dispatch::Patience patience_of(const conf::Execution& execution);

}  // namespace worker
