#include "worker/jobs/neighbours.h"

#include <spdlog/spdlog.h>

#include <utility>
#include <variant>

#include "worker/jobs/unix_clock.h"

namespace worker::jobs {
namespace {

constexpr int beats_a_lease = 3;
/// After a while in which the store could not be had everybody extends before anybody is taken for gone.
constexpr std::uint32_t beats_to_judge = 2;

}  // namespace

Neighbours::Neighbours(Terms terms)
    : terms_(std::move(terms)), beat_(ipc::Event::timer<&Neighbours::on_beat>(this, terms_.loop.base())) {}

void Neighbours::begin() {
    begun_ = true;
    beats_ = 0;
    if (terms_.bell && !bell_)
        bell_ = terms_.bell(
            terms_.loop, {.queue =
                              [this](const std::string& queue) {
                                  if (!queue.empty()) return terms_.runners.wake(queue);
                                  for (auto& runner : terms_.runners.all()) runner.wake();
                              },
                          .cancel = [this](const std::string& id,
                                           std::int64_t fence) { (void)terms_.runners.cancel(id, fence); }});
    on_beat(0);
}

void Neighbours::end() {
    begun_ = false;
    beat_.disarm();
    bell_.reset();
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
    beats_ = stored ? beats_ + 1 : 0;
    if (begun_ && beats_ >= beats_to_judge) recover();
}

void Neighbours::recover() {
    Recover lost;
    lost.by_lease = true;
    terms_.keeping.submit(std::move(lost), [this](Operation&& over, const ipc::Error* failure) {
        const auto recovered = std::get<Recover>(over).answer.recovered;
        if (failure != nullptr || recovered == 0) return;
        spdlog::warn("jobs of a machine that is not heard of any more are ready again jobs={}", recovered);
        for (auto& runner : terms_.runners.all()) runner.wake();
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
