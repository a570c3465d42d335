// master/reopening.cpp: the master opens, workers confirm, the caller hears.
#include "master/reopening.h"

#include <spdlog/fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <utility>

#include "ipc/clock.h"

namespace master {

Reopening::Reopening(event_base& loop, Generations generations)
    : generations_(std::move(generations)), late_(ipc::Event::timer<&Reopening::on_late>(this, loop)) {}

void Reopening::begin(Done done) {
    if (pending_.size() >= pending_max) return done("too many reopens at once");
    Pending pending{.asked = {},
                    .late_ms = ipc::monotonic_ms() + static_cast<std::uint64_t>(confirm_time.count()),
                    .done = std::move(done)};
    for (Generation* generation : generations_()) {
        if (const auto opened = generation->logs().reopen(); !opened) {
            spdlog::error("logs cannot be reopened, the old ones are kept why={:?}", opened.error().text());
            return pending.done(opened.error().text());
        }
        pending.asked.push_back({generation->number(), generation->reopen()});
    }
    pending_.push_back(std::move(pending));
    check();
}

std::vector<std::string> Reopening::unconfirmed(const Pending& pending) const {
    std::vector<std::string> names;
    for (Generation* generation : generations_())
        for (const auto& asked : pending.asked)
            if (asked.generation == generation->number())
                for (const auto& name : generation->unconfirmed(asked.request))
                    names.push_back(fmt::format("{} of generation {}", name, asked.generation));
    return names;
}

void Reopening::check() {
    const auto now = ipc::monotonic_ms();
    for (std::size_t index = 0; index < pending_.size();) {
        const auto waiting = unconfirmed(pending_[index]);
        if (!waiting.empty() && now < pending_[index].late_ms) {
            ++index;
            continue;
        }
        const auto ended = std::move(pending_[index]);
        pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(index));
        const auto failure = waiting.empty()
                                 ? std::string()
                                 : fmt::format("not confirmed in time by {}", fmt::join(waiting, ", "));
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
