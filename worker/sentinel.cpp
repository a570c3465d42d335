// worker/sentinel.cpp: a watch for each peer and name, the right to tell, and what the master says.
#include "worker/sentinel.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "ipc/clock.h"
#include "ipc/event.h"
#include "worker/crash_handler.h"
#include "worker/error_log.h"
#include "worker/leave_signals.h"
#include "worker/limits.h"
#include "worker/privileges.h"
#include "worker/sandbox.h"
#include "worker/upstream/dns_channel.h"
#include "worker/upstream/health_watch.h"
#include "worker/upstream/watched_name.h"

namespace worker {
namespace {

constexpr char role[] = "sentinel";
/// A start waits for names no longer; the master waits a second more.
constexpr std::chrono::milliseconds first_answers_max{5000};

/// Runs a loop; all of it is this thread's.
class Sentinel {
 public:
    Sentinel(const conf::Config& config, ipc::Seat& seat)
        : config_(config),
          seat_(seat),
          right_{seat.scoreboard->sentinel().lease, seat.term},
          names_right_{seat.scoreboard->sentinel().names, seat.term},
          loop_(seat.vitals->loop, config.reeve.slow_loop),
          signals_(open_leave_signals()),
          channel_readable_(ipc::Event::calling<&Sentinel::on_channel>(this, loop_.base(), seat.channel.fd(),
                                                                       EV_READ | EV_PERSIST)),
          signal_came_(
              ipc::Event::calling<&Sentinel::on_signal>(this, loop_.base(), signals_.get(), EV_READ)),
          renew_(ipc::Event::timer<&Sentinel::on_renew>(this, loop_.base())),
          first_answers_late_(ipc::Event::timer<&Sentinel::on_late>(this, loop_.base())) {}

    /// Before `run`.
    ipc::Result<void> prepare() {
        for (const conf::Upstream& upstream : config_.upstreams) {
            watch_peers(upstream);
            if (auto watched = watch_names(upstream); !watched) return watched;
        }
        return {};
    }

    ipc::Result<void> run() {
        channel_readable_.arm();
        signal_came_.arm();
        first_answers_late_.arm(std::min(first_answers_max, config_.reeve.start_timeout / 2));
        on_renew(0);
        loop_.run();
        right_.lease.release(right_.term);
        names_right_.lease.release(names_right_.term);
        spdlog::info("leaving");
        return {};
    }

 private:
    void watch_peers(const conf::Upstream& upstream) {
        if (upstream.health.how == conf::HealthCheck::How::off) return;
        for (const conf::UpstreamPeer& peer : upstream.peers) {
            if (peer.down || peer.is_name()) continue;
            const auto index = seat_.scoreboard->peer(upstream.name, peer.address.text());
            if (index == 0)
                spdlog::warn("peer is not checked, there are too many upstream={} peer={}", upstream.name,
                             peer.address.text());
            else
                watches_.emplace_back(upstream, peer, loop_, seat_.scoreboard->peer_cell(index).health,
                                      right_);
        }
    }

    ipc::Result<void> watch_names(const conf::Upstream& upstream) {
        upstream::DnsChannel* channel = nullptr;
        for (const conf::UpstreamPeer& peer : upstream.peers) {
            if (!peer.is_name()) continue;
            if (channel == nullptr) {
                auto made = upstream::DnsChannel::make(upstream.resolver, loop_);
                if (!made) return tl::make_unexpected(std::move(made.error()));
                channel = channels_.emplace_back(std::move(*made)).get();
            }
            const auto cell = seat_.scoreboard->name(upstream.name, peer.text());
            if (cell == 0) return ipc::failure("the scoreboard does not know " + peer.text());
            names_.emplace_back(
                upstream::WatchedName::Surroundings{
                    {upstream, peer, *channel, loop_, *seat_.scoreboard, cell, names_right_}, right_},
                [this] { say_ready_if_settled(); });
        }
        return {};
    }

    /// The sentinel of a newer generation may have a right, or may have died with it. Peers are checked when
    /// the generation serves; names are resolved before, so that it can.
    void on_renew(short) {
        loop_.enter();
        const auto now = ipc::monotonic_ms();
        if (!names_.empty() && names_right_.lease.hold(names_right_.term, now))
            for (auto& name : names_) name.begin();
        if (serving_ && right_.lease.hold(right_.term, now)) {
            for (auto& each : watches_) each.begin();
            for (auto& name : names_) name.begin_checks();
        }
        say_ready_if_settled();
        renew_.arm(std::chrono::milliseconds(ipc::HealthLease::renew_ms));
    }

    void on_late(short) {
        loop_.enter();
        if (!ready_) spdlog::warn("ready without the addresses of all names");
        say_ready();
    }

    void say_ready_if_settled() {
        if (std::all_of(names_.begin(), names_.end(), [](const auto& name) { return name.settled(); }))
            say_ready();
    }

    void say_ready() {
        if (std::exchange(ready_, true)) return;
        first_answers_late_.disarm();
        if (auto told = seat_.channel.send(ipc::Ready{.slot = seat_.slot}); !told) {
            spdlog::error("could not say ready why={:?}", told.error().text());
            return loop_.stop();
        }
        spdlog::info("ready generation={} peers={} names={}", seat_.generation, watches_.size(),
                     names_.size());
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
        if (std::holds_alternative<ipc::Serve>(received.message) && !std::exchange(serving_, true))
            on_renew(0);
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
    upstream::HealthRight right_, names_right_;
    execution::Loop loop_;
    ipc::UniqueFd signals_;
    ipc::Event channel_readable_, signal_came_, renew_, first_answers_late_;
    bool serving_ = false;
    bool ready_ = false;
    std::optional<int> level_;  ///< of the log, when it was told to be another one
    std::deque<upstream::HealthWatch> watches_;
    std::vector<std::unique_ptr<upstream::DnsChannel>> channels_;  ///< one an upstream with names
    std::deque<upstream::WatchedName> names_;
};

ipc::Result<void> stand_guard(const conf::Config& config, ipc::Seat& seat) {
    note_crashes(seat.vitals->crash, ObjectMap::of_process({}));
    if (auto limited = limit_core(config.reeve.core_max); !limited) return limited;
    if (auto dropped = drop_privileges(config.reeve.user, seat.master_pid); !dropped) return dropped;
    if (config.reeve.sandbox)
        if (auto entered = enter_sandbox(true, true); !entered) return entered;
    Sentinel sentinel(config, seat);
    if (auto prepared = sentinel.prepare(); !prepared) return prepared;
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
