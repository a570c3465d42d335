#include "worker/life.h"

#include <fcntl.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>

#include "worker/error_log.h"
#include "worker/leave_signals.h"
#include "worker/listener/thread_acceptor.h"

namespace worker {
namespace {

constexpr std::chrono::milliseconds flush_time(1000);  // for all loops to hand over their lines

}  // namespace

Life::Life(Rooms rooms, ipc::Seat& seat)
    : rooms_(rooms),
      seat_(seat),
      signals_(open_leave_signals()),
      channel_readable_(ipc::Event::calling<&Life::on_channel>(this, rooms.crew.loop().base(),
                                                               seat.channel.fd(), EV_READ | EV_PERSIST)),
      signal_came_(ipc::Event::calling<&Life::on_signal>(this, rooms.crew.loop().base(), signals_.get(),
                                                         EV_READ | EV_PERSIST)),
      reopened_(ipc::Event::calling<&Life::on_reopened>(this, rooms.crew.loop().base(),
                                                        rooms.log_writer.done_fd(), EV_READ | EV_PERSIST)),
      flush_limit_(ipc::Event::timer<&Life::reopen_logs>(this, rooms.crew.loop().base())),
      limit_(ipc::Event::timer<&Life::on_limit>(this, rooms.crew.loop().base())) {
    channel_readable_.arm();
    signal_came_.arm();
    reopened_.arm();
}

ipc::Result<void> Life::begin() {
    listener::prepare_interrupts();
    return seat_.channel.send(ipc::Ready{.slot = seat_.slot});
}

void Life::serve() {
    if (draining_) return;
    for (ipc::SeatListener& listener : seat_.listeners) rooms_.crew.accept_from(std::move(listener));
    seat_.listeners.clear();
    rooms_.ready = true;
}

void Life::on_channel(short) {
    rooms_.crew.loop().enter();
    for (;;) {
        ipc::Received received;
        const auto got = seat_.channel.receive(received);
        if (!got) {
            spdlog::error("channel to the master broke, draining why={:?}", got.error().text());
            channel_readable_.disarm();
            return drain(rooms_.config.reeve.shutdown_timeout);
        }
        switch (*got) {
            case ipc::Got::nothing: return;
            case ipc::Got::message: on_message(std::move(received)); break;
            case ipc::Got::closed:
                if (!draining_) spdlog::warn("the master is gone, draining");
                channel_readable_.disarm();
                return drain(rooms_.config.reeve.shutdown_timeout);
        }
    }
}

void Life::on_message(ipc::Received received) {
    struct Act {
        Life& life;
        std::vector<ipc::UniqueFd>& descriptors;

        void operator()(const ipc::Unready&) const { life.rooms_.ready = false; }
        void operator()(const ipc::Drain& drain) const {
            life.drain(std::chrono::milliseconds(drain.limit_ms));
        }
        void operator()(const ipc::Stop&) const { life.leave(); }
        void operator()(const ipc::Reopen& reopen) const {
            life.reopen(reopen.request, std::move(descriptors));
        }
        void operator()(const ipc::Adopt& adopt) const {
            if (descriptors.size() != 1 || life.draining_) return;
            const bool blocking = (::fcntl(descriptors.front().get(), F_GETFL) & O_NONBLOCK) == 0;
            life.rooms_.crew.adopt({.socket = std::move(descriptors.front()),
                                    .address = adopt.listener,
                                    .queue = adopt.queue,
                                    .blocking = blocking});
        }
        void operator()(const ipc::Release& release) const { life.rooms_.crew.release(release.queue); }
        void operator()(const ipc::Crowded& crowded) const { life.rooms_.crew.crowd(crowded.on != 0); }
        void operator()(const ipc::Serve&) const { life.serve(); }
        void operator()(const ipc::SetLevel& level) const {
            life.level_ = static_cast<int>(level.level);
            ipc::set_log_level(*life.level_);
        }
        // What only a worker says.
        void operator()(const ipc::Ready&) const {}
        void operator()(const ipc::Failed&) const {}
        void operator()(const ipc::Reopened&) const {}
        void operator()(const ipc::Occupied&) const {}
        // What is said before there is a seat, and to a preloader.
        void operator()(const ipc::Fork&) const {}
        void operator()(const ipc::Born&) const {}
        void operator()(const ipc::SeatRows&) const {}
        void operator()(const ipc::SeatLogs&) const {}
        void operator()(const ipc::SeatSockets&) const {}
        void operator()(const ipc::SeatWhole&) const {}
        // What a keeper is told.
        void operator()(const ipc::Alone&) const {}
    };
    std::visit(Act{*this, received.descriptors}, received.message);
}

void Life::reopen(std::uint32_t request, std::vector<ipc::UniqueFd> descriptors) {
    if (!descriptors.empty()) {  // the last one is the error log's
        if (const auto opened =
                open_error_log(rooms_.config.reeve, worker_role(seat_.slot), descriptors.back().get());
            !opened)
            spdlog::error("could not reopen the error log why={:?}", opened.error().text());
        if (level_) ipc::set_log_level(*level_);
        descriptors.pop_back();
    }
    if (new_logs_) reopen_logs(0);  // those of the request before
    reopens_.push_back(request);
    new_logs_ = std::move(descriptors);
    flush_limit_.arm(flush_time);
    rooms_.crew.flush([this] { reopen_logs(0); });
}

/// A loop that is frozen may write into the new files what belongs into the old ones: better than none.
void Life::reopen_logs(short) {
    flush_limit_.disarm();
    if (auto logs = std::exchange(new_logs_, std::nullopt)) rooms_.log_writer.reopen(std::move(*logs));
}

void Life::on_reopened(short) {
    rooms_.crew.loop().enter();
    for (std::uint64_t done = rooms_.log_writer.reopens_done(); done > 0 && !reopens_.empty(); --done) {
        const auto told = seat_.channel.send(ipc::Reopened{.request = reopens_.front()});
        if (!told) spdlog::error("could not confirm the reopening of logs why={:?}", told.error().text());
        reopens_.erase(reopens_.begin());
    }
}

void Life::on_signal(short) {
    rooms_.crew.loop().enter();
    signalfd_siginfo signal{};
    while (::read(signals_.get(), &signal, sizeof signal) == sizeof signal) {
        if (signal.ssi_signo == SIGTERM) return leave();
        drain(rooms_.config.reeve.shutdown_timeout);  // by hand, or because the master died
    }
}

void Life::drain(std::chrono::milliseconds limit) {
    if (std::exchange(draining_, true)) return;
    spdlog::info("draining connections={} limit_ms={}", rooms_.crew.connections(), limit.count());
    rooms_.ready = false;
    limit_.arm(limit);
    rooms_.crew.drain([this] { leave(); });
}

void Life::on_limit(short) {
    rooms_.crew.loop().enter();
    spdlog::warn("drain took too long, closing what is left connections={}", rooms_.crew.connections());
    leave();
}

void Life::leave() { rooms_.crew.loop().stop(); }

}  // namespace worker
