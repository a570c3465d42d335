// master/reopening.cpp: the master opens, workers confirm, the caller hears.
#include "master/reopening.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <utility>

#include "ipc/clock.h"

namespace master {

Reopening::Reopening(event_base& loop, Logs& logs, Supervisor& supervisor)
    : logs_(logs), supervisor_(supervisor), late_(ipc::Event::timer<&Reopening::on_late>(this, loop)) {}

void Reopening::begin(Done done) {
    if (pending_.size() >= pending_max) return done("too many reopens at once");
    if (const auto opened = logs_.reopen(); !opened) {
        spdlog::error("logs cannot be reopened, the old ones are kept why={:?}", opened.error().text());
        return done(opened.error().text());
    }
    const auto late = ipc::monotonic_ms() + static_cast<std::uint64_t>(confirm_time.count());
    pending_.push_back({.request = supervisor_.reopen(), .late_ms = late, .done = std::move(done)});
    check();
}

void Reopening::check() {
    const auto now = ipc::monotonic_ms();
    for (std::size_t index = 0; index < pending_.size();) {
        const auto waiting = supervisor_.unconfirmed(pending_[index].request);
        if (!waiting.empty() && now < pending_[index].late_ms) {
            ++index;
            continue;
        }
        const auto ended = std::move(pending_[index]);
        pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(index));
        const auto failure =
            waiting.empty() ? std::string()
                            : fmt::format("not confirmed in time by worker {}", fmt::join(waiting, ", "));
        if (waiting.empty())
            spdlog::info("logs reopened");
        else
            spdlog::error("logs reopened, but {}", failure);
        ended.done(failure);
    }
    if (!pending_.empty()) {
        const auto next = pending_.front().late_ms;  // the oldest is first
        late_.arm(std::chrono::milliseconds(next > now ? next - now : 0));
    }
}

}  // namespace master
