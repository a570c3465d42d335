#include "worker/observe/log_writer.h"

#include <pthread.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace worker::observe {

namespace {

constexpr auto complaint_pause = std::chrono::minutes(1);

std::uint64_t drain(int eventfd) {
    std::uint64_t count = 0;
    return ::read(eventfd, &count, sizeof count) == sizeof count ? count : 0;
}

/// While it lives, threads that start have all signals blocked but those of their own faults:
/// signals belong to the loop, and a pipe without a reader is an error of `write`.
class SignalsBlocked {
 public:
    SignalsBlocked() {
        sigset_t blocked;
        sigfillset(&blocked);
        for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) sigdelset(&blocked, fault);
        ::pthread_sigmask(SIG_SETMASK, &blocked, &before_);
    }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;
    ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
    sigset_t before_{};
};

}  // namespace

// ---- loops --------------------------------------------------------------------------------------

ipc::Result<std::unique_ptr<LogWriter>> LogWriter::start(std::vector<Target> targets,
                                                         std::chrono::milliseconds patience) {
    ipc::UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    ipc::UniqueFd done(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!wake || !done) return ipc::system_error("eventfd for the access log");

    std::unique_ptr<LogWriter> writer(new LogWriter(patience, std::move(wake), std::move(done)));
    for (auto& target : targets) writer->lanes_.emplace_back(std::move(target), writer->wake_.get());
    if (!writer->lanes_.empty()) writer->start_thread();
    return writer;
}

LogWriter::LogWriter(std::chrono::milliseconds patience, ipc::UniqueFd wake, ipc::UniqueFd done)
    : patience_(patience), wake_(std::move(wake)), done_(std::move(done)) {}

void LogWriter::start_thread() {
    const SignalsBlocked blocked;
    thread_ = std::thread([this] { run(); });
    ::pthread_setname_np(thread_.native_handle(), "access log");
}

std::uint64_t LogWriter::lines_lost() const noexcept {
    std::uint64_t lost = 0;
    for (const auto& lane : lanes_) lost += lane.file.lines_lost();
    return lost;
}

std::uint64_t LogWriter::lines_lost_untold() noexcept {
    const std::uint64_t lost = lines_lost();
    std::uint64_t told = lost_told_.load();
    while (told < lost && !lost_told_.compare_exchange_weak(told, lost)) continue;
    return lost > told ? lost - told : 0;
}

void LogWriter::reopen(std::vector<ipc::UniqueFd> descriptors) {
    descriptors.resize(lanes_.size());
    for (std::size_t i = 0; i < lanes_.size(); ++i) lanes_[i].file.reopen(std::move(descriptors[i]));

    const std::uint64_t one = 1;
    const int wake = lanes_.empty() ? done_.get() : wake_.get();
    [[maybe_unused]] const auto written =
        ::write(wake, &one, sizeof one);  // fails only when it is set already
}

std::uint64_t LogWriter::reopens_done() noexcept { return drain(done_.get()); }

void LogWriter::close() {
    if (!thread_.joinable()) return;
    closing_.store(true, std::memory_order_release);
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof one);
    thread_.join();
}

// ---- the thread ---------------------------------------------------------------------------------

void LogWriter::run() {
    std::vector<pollfd> waiting;
    for (;;) {
        const bool last =
            closing_.load(std::memory_order_acquire);  // before the orders are taken: none is missed
        waiting.assign(1, pollfd{.fd = wake_.get(), .events = POLLIN, .revents = 0});
        int timeout_ms = -1;
        for (auto& lane : lanes_) {
            if (!advance(lane)) continue;
            waiting.push_back({.fd = lane.sink.fd(), .events = POLLOUT, .revents = 0});
            if (!lane.give_up) continue;
            const auto left =
                std::chrono::ceil<std::chrono::milliseconds>(*lane.give_up - Clock::now()).count();
            const int left_ms = static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
            timeout_ms = timeout_ms < 0 ? left_ms : std::min(timeout_ms, left_ms);
        }
        report_reopens();
        if (last && waiting.size() == 1) return;
        if (::poll(waiting.data(), waiting.size(), timeout_ms) > 0 && waiting[0].revents != 0)
            drain(wake_.get());
    }
}

bool LogWriter::advance(Lane& lane) {
    for (;;) {
        if (lane.next == lane.orders.size()) {
            lane.orders.clear();
            lane.next = 0;
            lane.file.take(lane.orders);
            if (lane.orders.empty()) return false;
        }
        auto& order = lane.orders[lane.next];
        if (auto* batch = std::get_if<LogBatch>(&order)) {
            if (!write(lane, *batch)) return true;
            lane.file.recycle(std::move(*batch));
        } else {
            auto& descriptor = std::get<ipc::UniqueFd>(order);
            if (descriptor) lane.sink.reopen(std::move(descriptor));
            ++lane.reopens;
            lane.give_up.reset();
        }
        ++lane.next;
    }
}

/// False: the batch, or its rest, must wait. Otherwise it is done with, written or lost.
bool LogWriter::write(Lane& lane, const LogBatch& batch) {
    if (lane.rest.empty()) lane.rest = batch.text;
    switch (lane.sink.write(lane.rest)) {
        case LogSink::Outcome::written: break;
        case LogSink::Outcome::blocked:
            if (may_wait(lane)) return false;
            lose_rest(lane, ETIMEDOUT);
            break;
        case LogSink::Outcome::failed: lose_rest(lane, errno); break;
    }
    return true;
}

/// A blocked pipe is waited for without limit, until somebody waits for us.
bool LogWriter::may_wait(Lane& lane) {
    const bool awaited = closing_.load(std::memory_order_acquire) ||
                         lane.file.reopens_asked_.load(std::memory_order_relaxed) != lane.reopens;
    if (!awaited) return true;
    const auto now = Clock::now();
    if (!lane.give_up) lane.give_up = now + patience_;
    return now < *lane.give_up;
}

void LogWriter::lose_rest(Lane& lane, int why) {
    lane.sink.abandon();
    lane.file.lose(static_cast<std::uint64_t>(std::count(lane.rest.begin(), lane.rest.end(), '\n')));
    lane.rest = {};

    const auto now = Clock::now();
    if (lane.complained && now - *lane.complained < complaint_pause) return;
    lane.complained = now;
    spdlog::error("access log not written file={} lines_lost={} error={:?}", lane.file.name(),
                  lane.file.lines_lost(), std::generic_category().message(why));
}

void LogWriter::report_reopens() {
    std::uint64_t done = lanes_.front().reopens;
    for (const auto& lane : lanes_) done = std::min(done, lane.reopens);
    if (done == reopens_reported_) return;
    const std::uint64_t more = done - std::exchange(reopens_reported_, done);
    [[maybe_unused]] const auto written =
        ::write(done_.get(), &more, sizeof more);  // never full: 2^64 - 2 fit
}

}  // namespace worker::observe
