// worker/sentinel.cpp: a watch for each peer, the right to tell, and what the master says.
#include "worker/sentinel.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <deque>
#include <optional>
#include <utility>
#include <variant>

#include "ipc/clock.h"
#include "ipc/event.h"
#include "worker/crash_handler.h"
#include "worker/error_log.h"
#include "worker/leave_signals.h"
#include "worker/limits.h"
#include "worker/privileges.h"
#include "worker/sandbox.h"
#include "worker/upstream/health_watch.h"

namespace worker {
namespace {

constexpr char role[] = "sentinel";

/// Runs a loop; all of it is this thread's.
class Sentinel {
 public:
    Sentinel(const conf::Config& config, ipc::Seat& seat)
        : config_(config),
          seat_(seat),
          right_{seat.scoreboard->sentinel().lease, seat.term},
          loop_(seat.vitals->loop, config.reeve.slow_loop),
          signals_(open_leave_signals()),
          channel_readable_(ipc::Event::calling<&Sentinel::on_channel>(this, loop_.base(), seat.channel.fd(),
                                                                       EV_READ | EV_PERSIST)),
          signal_came_(
              ipc::Event::calling<&Sentinel::on_signal>(this, loop_.base(), signals_.get(), EV_READ)),
          renew_(ipc::Event::timer<&Sentinel::on_renew>(this, loop_.base())) {
        for (const conf::Upstream& upstream : config.upstreams) watch(upstream);
    }

    ipc::Result<void> run() {
        if (auto told = seat_.channel.send(ipc::Ready{.slot = seat_.slot}); !told) return told;
        spdlog::info("ready generation={} peers={}", seat_.generation, watches_.size());
        channel_readable_.arm();
        signal_came_.arm();
        on_renew(0);
        loop_.run();
        right_.lease.release(right_.term);
        spdlog::info("leaving");
        return {};
    }

 private:
    void watch(const conf::Upstream& upstream) {
        if (upstream.health.how == conf::HealthCheck::How::off) return;
        for (const conf::UpstreamPeer& peer : upstream.peers) {
            if (peer.down) continue;
            const auto index = seat_.scoreboard->peer(upstream.name, peer.address.text());
            if (index == 0)
                spdlog::warn("peer is not checked, there are too many upstream={} peer={}", upstream.name,
                             peer.address.text());
            else
                watches_.emplace_back(upstream, peer, loop_, seat_.scoreboard->peer_cell(index).health,
                                      right_);
        }
    }

    /// The sentinel of a newer generation may have the right, or may have died with it.
    void on_renew(short) {
        loop_.enter();
        if (right_.lease.hold(right_.term, ipc::monotonic_ms()))
            for (auto& each : watches_) each.begin();
        renew_.arm(std::chrono::milliseconds(ipc::HealthLease::renew_ms));
    }

    void on_signal(short) {
        loop_.enter();
        loop_.stop();  // by hand, or because the master died
    }

    void on_channel(short) {
        loop_.enter();
        for (;;) {
            ipc::Received received;
            const auto got = seat_.channel.receive(received);
            if (!got || *got == ipc::Got::closed) {
                spdlog::warn("the master is gone, leaving");
                channel_readable_.disarm();
                return loop_.stop();
            }
            if (*got == ipc::Got::nothing) return;
            on_message(received);
        }
    }

    void on_message(ipc::Received& received) {
        if (std::holds_alternative<ipc::Stop>(received.message) ||
            std::holds_alternative<ipc::Drain>(received.message))
            return loop_.stop();
        if (const auto* level = std::get_if<ipc::SetLevel>(&received.message)) {
            level_ = static_cast<int>(level->level);
            ipc::set_log_level(*level_);
        }
        if (const auto* reopen = std::get_if<ipc::Reopen>(&received.message)) {
            if (!received.descriptors.empty())
                if (const auto opened =
                        open_error_log(config_.reeve, role, received.descriptors.back().get());
                    !opened)
                    spdlog::error("could not reopen the error log why={:?}", opened.error().text());
            if (level_) ipc::set_log_level(*level_);
            if (const auto told = seat_.channel.send(ipc::Reopened{.request = reopen->request}); !told)
                spdlog::error("could not confirm the reopening of logs why={:?}", told.error().text());
        }
    }

    const conf::Config& config_;
    ipc::Seat& seat_;
    upstream::HealthRight right_;
    execution::Loop loop_;
    ipc::UniqueFd signals_;
    ipc::Event channel_readable_, signal_came_, renew_;
    std::optional<int> level_;  ///< of the log, when it was told to be another one
    std::deque<upstream::HealthWatch> watches_;
};

ipc::Result<void> stand_guard(const conf::Config& config, ipc::Seat& seat) {
    note_crashes(seat.vitals->crash);
    if (auto limited = limit_core(config.reeve.core_max); !limited) return limited;
    if (auto dropped = drop_privileges(config.reeve.user, seat.master_pid); !dropped) return dropped;
    if (config.reeve.sandbox)
        if (auto entered = enter_sandbox(true); !entered) return entered;
    Sentinel sentinel(config, seat);
    return sentinel.run();
}

}  // namespace

int watch(const conf::Config& config, ipc::Seat seat) {
    if (auto opened = open_error_log(config.reeve, role, ipc::log_descriptor()); !opened) return EXIT_FAILURE;
    const auto served = stand_guard(config, seat);
    if (served) return EXIT_SUCCESS;
    spdlog::error("sentinel cannot check why={:?}", served.error().text());
    (void)seat.channel.send(ipc::Failed{.why = served.error().text()});
    return EXIT_FAILURE;
}

}  // namespace worker
