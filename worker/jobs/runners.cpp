#include "worker/jobs/runners.h"

#include <algorithm>
#include <utility>

#include <spdlog/spdlog.h>

#include "conf/callbacks.h"

namespace worker::jobs {
namespace {

constexpr std::chrono::milliseconds telling_time{2'000};  // for what was given back, once it has ended

}  // namespace

Runners::Runners(const Rooms& rooms, Keeping& keeping, const std::string& owner)
    : loop_(rooms.loop),
      last_words_(telling_time),
      limit_(ipc::Event::timer<&Runners::on_limit>(this, rooms.loop.base())) {
    for (const conf::Queue& queue : rooms.config.queues) {
        PoolDoor* door = queue.pool.empty() ? nullptr : door_of(rooms, queue.pool);
        Target& target = targets_.emplace_back(queue, rooms.upstreams, door, rooms.loop);
        runners_.emplace_back(target, keeping, owner);
        if (door != nullptr)
            last_words_ = std::max(last_words_, PoolDoor::ending_time(door->pool()) + telling_time);
    }
    connect();
}

/// Ends make jobs of another queue, of which nobody else is told.
void Runners::connect() {
    for (QueueRunner& runner : runners_)
        if (QueueRunner* const telling = find(conf::callbacks_queue_of(runner.name())))
            runner.when_told_of([telling] { telling->wake(); });
}

void Runners::wake_callbacks() {
    for (QueueRunner& runner : runners_)
        if (conf::is_callbacks_queue(runner.name())) runner.wake();
}

/// One a pool, however many queues have it.
PoolDoor* Runners::door_of(const Rooms& rooms, const std::string& pool) {
    const auto there = std::find_if(doors_.begin(), doors_.end(),
                                    [&](const PoolDoor& door) { return door.pool().name == pool; });
    if (there != doors_.end()) return &*there;
    const auto& pools = rooms.config.pools;
    const auto found =
        std::find_if(pools.begin(), pools.end(), [&](const conf::Pool& one) { return one.name == pool; });
    if (found == pools.end() || rooms.pools == nullptr) std::abort();  // the configuration was checked
    return &doors_.emplace_back(*found, *rooms.pools, static_cast<std::uint32_t>(found - pools.begin()),
                                rooms.row, rooms.loop);
}

bool Runners::ends_any() const noexcept {
    return std::any_of(doors_.begin(), doors_.end(), [](const PoolDoor& door) { return door.ends_any(); });
}

QueueRunner* Runners::find(std::string_view queue) noexcept {
    const auto found = std::find_if(runners_.begin(), runners_.end(),
                                    [&](const QueueRunner& one) { return one.name() == queue; });
    return found == runners_.end() ? nullptr : &*found;
}

void Runners::start() {
    for (QueueRunner& runner : runners_) runner.wake();
}

void Runners::on_enqueued(std::string_view queue, UnixMs run_at) {
    if (QueueRunner* runner = find(queue)) runner->on_enqueued(run_at);
}

void Runners::wake(std::string_view queue) {
    if (QueueRunner* runner = find(queue)) runner->wake();
}

void Runners::set_paused(std::string_view queue, bool paused) {
    if (QueueRunner* runner = find(queue)) runner->set_paused(paused);
}

bool Runners::cancel(std::string_view id, std::int64_t fence) {
    return std::any_of(runners_.begin(), runners_.end(),
                       [&](QueueRunner& runner) { return runner.cancel(id, fence); });
}

void Runners::claim_no_more() noexcept {
    for (QueueRunner& runner : runners_) runner.claim_no_more();
}

void Runners::keep_with(Keeping& keeping) {
    for (QueueRunner& runner : runners_) runner.keep_with(keeping);
}

void Runners::ask_for_wishes() {
    for (QueueRunner& runner : runners_) runner.ask_for_wishes();
}

// ---- the end --------------------------------------------------------------------------------------

void Runners::drain(std::chrono::milliseconds limit, std::function<void(std::size_t)> done) {
    done_ = std::move(done);
    for (QueueRunner& runner : runners_) {
        runner.on_idle([this] { look_for_end(); });
        runner.drain();
    }
    if (!given_back_) limit_.arm(limit);
    look_for_end();
}

void Runners::look_for_end() {
    if (!done_ || !std::all_of(runners_.begin(), runners_.end(),
                               [](const QueueRunner& runner) { return runner.idle(); }))
        return;
    limit_.disarm();
    loop_.after_turn([done = std::exchange(done_, nullptr)] { done(0); });
}

void Runners::on_limit(short) {
    loop_.enter();
    if (!std::exchange(given_back_, true)) {
        for (QueueRunner& runner : runners_) runner.give_back();
        return limit_.arm(last_words_);
    }
    std::size_t unstored = 0;
    for (const QueueRunner& runner : runners_) unstored += runner.figures().places;
    spdlog::error("jobs are left behind, their end is not stored jobs={}", unstored);
    if (const auto done = std::exchange(done_, nullptr)) done(unstored);
}

}  // namespace worker::jobs
