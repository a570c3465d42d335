// worker/keeper.cpp: who has the store when, and what the master says.
#include "worker/keeper.h"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "ipc/clock.h"
#include "ipc/event.h"
#include "worker/crash_handler.h"
#include "worker/error_log.h"
#include "worker/jobs/keepers_desk.h"
#include "worker/jobs/owner_name.h"
#include "worker/jobs/postgres_bell.h"
#include "worker/jobs/postgres_store.h"
#include "worker/jobs/sqlite_store.h"
#include "worker/jobs/store_folder.h"
#include "worker/leave_signals.h"
#include "worker/limits.h"
#include "worker/object_map.h"
#include "worker/privileges.h"
#include "worker/sandbox.h"

namespace worker {
namespace {

using std::chrono::milliseconds;

constexpr char keeper_role[] = "keeper";

jobs::Batcher::Open opener(const conf::Store& store) {
    if (store.shared())
        return [url = store.url, timeout = store.timeout] {
            return jobs::PostgresStore::open(
                url, {.timeout = timeout,
                      .is_gone = [](const std::string& owner) { return jobs::owner_is_gone(owner); }});
        };
    return [path = store.path(), wal_max = store.wal_max, timeout = store.timeout] {
        return jobs::SqliteStore::open(path, {.wal_max = wal_max, .timeout = timeout});
    };
}

jobs::Bell::Open bell_of(const conf::Store& store) {
    if (!store.shared()) return {};
    return [url = store.url, timeout = store.timeout](execution::Loop& loop, jobs::Bell::Heard heard) {
        return std::make_unique<jobs::PostgresBell>(loop, url, timeout, std::move(heard));
    };
}

/// Runs a loop; all of it is this thread's, but for what the store's thread does.
class Keeper {
 public:
    Keeper(const conf::Config& config, ipc::Seat& seat)
        : config_(config),
          seat_(seat),
          loop_(seat.vitals->loop, config.reeve.slow_loop),
          signals_(open_leave_signals()),
          desk_({.config = config,
                 .loop = loop_,
                 .board = *seat.scoreboard,
                 .cell = seat.cell,
                 .pools = seat.pools,
                 .socket = seat.keeper_socket.get(),
                 .address = "/proc/self/fd/" + std::to_string(seat.keeper_address.get()),
                 .owner = jobs::owner_name(),
                 .older = seat.generation > 1,
                 .open = opener(config.store),
                 .lease = config.store.shared() ? config.store.lease : milliseconds(0),
                 .bell = bell_of(config.store)},
                [this] { loop_.stop(); }),
          channel_readable_(ipc::Event::calling<&Keeper::on_channel>(this, loop_.base(), seat.channel.fd(),
                                                                     EV_READ | EV_PERSIST)),
          signal_came_(ipc::Event::calling<&Keeper::on_signal>(this, loop_.base(), signals_.get(),
                                                               EV_READ | EV_PERSIST)) {}

    ipc::Result<void> run() {
        channel_readable_.arm();
        signal_came_.arm();
        desk_.begin([this](const ipc::Result<bool>& opened) { on_begun(opened); });
        loop_.run();
        if (failure_) return tl::make_unexpected(std::move(*failure_));
        spdlog::info("leaving");
        return {};
    }

 private:
    /// The first try is over: the store is open, or another keeper has it, or it cannot be had.
    void on_begun(const ipc::Result<bool>& opened) {
        if (!opened && !seat_.started) {
            failure_ = opened.error();
            return loop_.stop();
        }
        if (auto told = seat_.channel.send(ipc::Ready{.slot = seat_.slot}); !told) {
            spdlog::error("could not say ready why={:?}", told.error().text());
            return loop_.stop();
        }
        spdlog::info("ready generation={} store={} queues={}", seat_.generation,
                     !opened   ? "unavailable"
                     : *opened ? "open"
                               : "with another keeper",
                     config_.queues.size());
    }

    /// QUIT also comes when the master has died: then it says what the end of the channel does.
    void on_signal(short) {
        loop_.enter();
        signalfd_siginfo came{};
        while (::read(signals_.get(), &came, sizeof came) == static_cast<ssize_t>(sizeof came)) {
            if (came.ssi_signo == SIGQUIT && ::getppid() != seat_.master_pid)
                leave_after_workers();
            else
                leave(milliseconds(0));
        }
    }

    void on_channel(short) {
        loop_.enter();
        for (;;) {
            ipc::Received received;
            const auto got = seat_.channel.receive(received);
            if (!got || *got == ipc::Got::closed) {
                spdlog::warn("the master is gone, draining");
                channel_readable_.disarm();
                return leave_after_workers();
            }
            if (*got == ipc::Got::nothing) return;
            on_message(received);
        }
    }

    void on_message(ipc::Received& received) {
        if (std::holds_alternative<ipc::Serve>(received.message)) return desk_.serve();
        if (const auto* release = std::get_if<ipc::Release>(&received.message))
            return release->queue == ipc::Release::other_store ? desk_.give_up_clients()
                                                               : desk_.give_up_store();
        if (const auto* drain = std::get_if<ipc::Drain>(&received.message))
            return desk_.drain(milliseconds(drain->limit_ms));
        if (std::holds_alternative<ipc::Alone>(received.message)) return desk_.alone(false);
        if (std::holds_alternative<ipc::Stop>(received.message)) return leave(milliseconds(0));
        if (const auto* level = std::get_if<ipc::SetLevel>(&received.message)) {
            level_ = static_cast<int>(level->level);
            ipc::set_log_level(*level_);
        }
        if (const auto* reopen = std::get_if<ipc::Reopen>(&received.message)) on_reopen(*reopen, received);
    }

    void on_reopen(const ipc::Reopen& reopen, ipc::Received& received) {
        if (!received.descriptors.empty())
            if (const auto opened =
                    open_error_log(config_.reeve, keeper_role, received.descriptors.back().get());
                !opened)
                spdlog::error("could not reopen the error log why={:?}", opened.error().text());
        if (level_) ipc::set_log_level(*level_);
        if (const auto told = seat_.channel.send(ipc::Reopened{.request = reopen.request}); !told)
            spdlog::error("could not confirm the reopening of logs why={:?}", told.error().text());
    }

    /// They leave too, and some have jobs yet.
    void leave_after_workers() {
        desk_.drain(config_.reeve.shutdown_timeout);
        desk_.alone(true);
    }

    void leave(milliseconds limit) {
        desk_.drain(limit);
        desk_.alone(false);
    }

    const conf::Config& config_;
    ipc::Seat& seat_;
    execution::Loop loop_;
    ipc::UniqueFd signals_;
    jobs::KeepersDesk desk_;
    ipc::Event channel_readable_, signal_came_;
    std::optional<int> level_;  ///< of the log, when it was told to be another one
    std::optional<ipc::Error> failure_;
};

ipc::Result<void> keep_jobs(const conf::Config& config, ipc::Seat& seat) {
    note_crashes(seat.vitals->crash, ObjectMap::of_process({}));
    if (auto limited = limit_core(config.reeve.core_max); !limited) return limited;
    if (!config.store.shared())
        if (auto made = jobs::make_store_folder(config.store.path(), config.reeve.user); !made) return made;
    const bool was_root = ::geteuid() == 0;
    if (auto dropped = drop_privileges(config.reeve.user, seat.master_pid); !dropped) return dropped;
    // libpq looks for certificates and passwords in the home of who it runs as: not in root's any more
    if (was_root && ::geteuid() != 0) ::unsetenv("HOME");
    if (config.reeve.sandbox)
        if (auto entered = enter_sandbox(true, true, true, true, config.store.shared()); !entered)
            return entered;
    Keeper keeper(config, seat);
    return keeper.run();
}

}  // namespace

int keep(const conf::Config& config, ipc::Seat seat) {
    if (auto opened = open_error_log(config.reeve, keeper_role, ipc::log_descriptor()); !opened)
        return EXIT_FAILURE;
    const auto served = keep_jobs(config, seat);
    if (served) return EXIT_SUCCESS;
    spdlog::error("keeper cannot keep jobs why={:?}", served.error().text());
    (void)seat.channel.send(ipc::Failed{.why = served.error().text()});
    return EXIT_FAILURE;
}

}  // namespace worker
