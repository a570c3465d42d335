#include "worker/jobs/neighbours.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "ipc/clock.h"
#include "worker/jobs/unix_clock.h"

namespace worker::jobs {
namespace {

using std::chrono::milliseconds;

constexpr int beats_a_lease = 3;
constexpr milliseconds beat_again{500};  ///< one that was not stored
/// After a while in which the store could not be had everybody finds it again, and extends, before anybody is
/// taken for gone.
milliseconds grace_of(milliseconds lease) { return std::min(lease * 5 / 6, milliseconds(8'000)); }

}  // namespace

Neighbours::Neighbours(Terms terms)
    : terms_(std::move(terms)), beat_(ipc::Event::timer<&Neighbours::on_beat>(this, terms_.loop.base())) {}

void Neighbours::begin() {
    begun_ = true;
    able_since_ms_ = 0;
    if (terms_.bell && !bell_)
        bell_ = terms_.bell(terms_.loop, {.queue =
                                              [this](const std::string& queue) {
                                                  if (!queue.empty()) return terms_.runners.wake(queue);
                                                  for (auto& runner : terms_.runners.all()) runner.wake();
                                              },
                                          .cancel = terms_.cancel});
    on_beat(0);
}

void Neighbours::end() {
    begun_ = false;
    beat_.disarm();
    if (bell_) bell_->hush();
}

void Neighbours::on_beat(short) {
    terms_.loop.enter();
    if (!begun_) return;
    beat_.arm(terms_.lease / beats_a_lease);
    for (const auto& owner : terms_.with_us()) extend(owner);
    Extend ours;
    ours.owner = terms_.owner;
    ours.lease_until = unix_ms() + terms_.lease.count();
    terms_.keeping.submit(
        std::move(ours), [this](Operation&&, const ipc::Error* failure) { on_extended(failure == nullptr); });
}

/// Of one that has given the store to us, and runs its last jobs.
void Neighbours::extend(const std::string& owner) {
    Extend theirs;
    theirs.owner = owner;
    theirs.lease_until = unix_ms() + terms_.lease.count();
    terms_.keeping.submit(std::move(theirs), [](Operation&&, const ipc::Error*) {});
}

void Neighbours::on_extended(bool stored) {
    if (!begun_) return;
    if (!stored) {
        able_since_ms_ = 0;
        return beat_.arm(std::min(beat_again, terms_.lease / beats_a_lease));
    }
    const auto now = ipc::monotonic_ms();
    if (able_since_ms_ == 0) able_since_ms_ = now;
    if (now - able_since_ms_ >= static_cast<std::uint64_t>(grace_of(terms_.lease).count())) recover();
}

void Neighbours::recover() {
    Recover lost;
    lost.by_lease = true;
    terms_.keeping.submit(std::move(lost), [this](Operation&& over, const ipc::Error* failure) {
        const auto& answer = std::get<Recover>(over).answer;
        if (failure != nullptr || answer.recovered == 0) return;
        spdlog::warn("jobs of a machine that is not heard of any more are ready again jobs={}",
                     answer.recovered);
        for (auto& runner : terms_.runners.all()) runner.wake();
        if (answer.more) recover();
    });
}

void Neighbours::note(const Operation& operation) {
    if (const auto* stats = std::get_if<Stats>(&operation)) {
        // the bell may be silent, or not have been rung
        const auto now = unix_ms();
        for (const auto& queue : stats->answer.queues)
            if (queue.ready > 0 || (queue.next_scheduled != 0 && queue.next_scheduled <= now))
                terms_.runners.wake(queue.name);
        return;
    }
    if (!bell_) return;
    if (const auto* enqueue = std::get_if<Enqueue>(&operation)) {
        if (enqueue->answer.what == Enqueue::Answer::What::created) bell_->ring(enqueue->job.queue);
    } else if (const auto* fire = std::get_if<Fire>(&operation)) {
        if (fire->enqueue.answer.what == Enqueue::Answer::What::created) bell_->ring(fire->enqueue.job.queue);
    } else if (const auto* retry = std::get_if<Retry>(&operation)) {
        if (retry->answer.what == Retry::Answer::What::ready) bell_->ring(retry->answer.queue);
    } else if (const auto* pause = std::get_if<Pause>(&operation)) {
        if (!pause->paused) bell_->ring(pause->queue);
    } else if (const auto* cancel = std::get_if<Cancel>(&operation)) {
        if (cancel->answer.what == Cancel::Answer::What::running && cancel->answer.owner != terms_.owner)
            bell_->cancel(cancel->id, cancel->answer.fence);
    }
}

}  // namespace worker::jobs
