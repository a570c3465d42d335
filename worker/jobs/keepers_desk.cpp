#include "worker/jobs/keepers_desk.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <variant>
#include <vector>

#include "conf/callbacks.h"
#include "conf/postgres_url.h"
#include "ipc/clock.h"
#include "worker/jobs/unix_clock.h"

namespace worker::jobs {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds busy_again{10};  ///< another keeper lets go of the store any moment
constexpr milliseconds failed_again{500};
constexpr milliseconds owners_time{2000};       ///< in which older keepers say that they still run jobs
constexpr milliseconds ending_again{10};        ///< processes of a keeper before us are being ended
constexpr milliseconds others_margin{1000};     ///< beyond the last words of older keepers
constexpr milliseconds queues_look_time{1000};  ///< from one look at all queues to the next
constexpr std::uint64_t expire_every_ms = 10'000, opening_told_every_ms = 5'000, busy_told_ms = 5'000;

}  // namespace

/// Where operations of clients go.
class KeepersDesk::Counter final : public Keeping {
 public:
    explicit Counter(KeepersDesk& desk) : desk_(desk) {}
    void submit(Operation operation, Answered answered) override {
        submit_until(std::move(operation), 0, std::move(answered));
    }
    void submit_until(Operation operation, std::uint64_t until_ms, Answered answered) override {
        desk_.batcher_.submit_until(
            std::move(operation), until_ms,
            [this, answered = std::move(answered)](Operation&& over, const ipc::Error* failure) {
                if (failure == nullptr) desk_.on_stored(over);
                answered(std::move(over), failure);
            });
    }

 private:
    KeepersDesk& desk_;
};

KeepersDesk::KeepersDesk(Surroundings around, std::function<void()> over)
    : around_(std::move(around)),
      over_(std::move(over)),
      tally_(around_.board),
      strays_(around_.config, around_.board.jobs()),
      batcher_(around_.loop, tally_, {.wait = around_.config.store.timeout}),
      counter_(std::make_unique<Counter>(*this)),
      server_(around_.loop, *counter_, tally_, around_.socket, {}),
      upstreams_(around_.config, around_.loop, &around_.board, around_.cell),
      runners_({.config = around_.config,
                .loop = around_.loop,
                .upstreams = upstreams_,
                .pools = around_.pools,
                .row = around_.board.index_of(*around_.cell)},
               *this, around_.owner),
      schedules_(around_.config, around_.loop, around_.board, *counter_),
      again_(ipc::Event::timer<&KeepersDesk::on_again>(this, around_.loop.base())),
      owners_late_(ipc::Event::timer<&KeepersDesk::on_owners_late>(this, around_.loop.base())),
      look_(ipc::Event::timer<&KeepersDesk::on_look>(this, around_.loop.base())),
      waited_long_(ipc::Event::timer<&KeepersDesk::on_waited>(this, around_.loop.base())) {
    // Its connection broke; it may have run into a bound, and be back in a moment with its jobs still
    // running.
    server_.when_owner_leaves([this] {
        if (owners_known_) owner_has_left(owners_time);
    });
    tally_.mute();  // somebody else serves
    batcher_.when_stored([this](const Operation& operation) { server_.note(operation); });
    server_.when_one_leaves([this] { look_for_end(); });
    if (around_.lease.count() > 0)
        neighbours_ = std::make_unique<Neighbours>(Neighbours::Terms{
            .loop = around_.loop,
            .keeping = batcher_,
            .runners = runners_,
            .owner = around_.owner,
            .with_us = [this] { return server_.owners(); },
            .cancel = [this](const std::string& id, std::int64_t fence) { cancel(id, fence); },
            .lease = around_.lease,
            .bell = around_.bell});
}

KeepersDesk::~KeepersDesk() = default;

// ---- the store ------------------------------------------------------------------------------------------

void KeepersDesk::begin(std::function<void(const ipc::Result<bool>&)> done) {
    begun_ = std::move(done);
    look_.arm(queues_look_time);
    try_open();
}

void KeepersDesk::try_open() {
    if (state_ != State::away) return;
    state_ = State::opening;
    batcher_.open(around_.open, [this](const ipc::Result<void>& opened) { on_opened(opened); });
}

void KeepersDesk::on_opened(const ipc::Result<void>& opened) {
    around_.loop.enter();
    const bool busy = !opened && opened.error().why == std::errc::device_or_resource_busy;
    busy_ = busy;
    const auto begun = std::exchange(begun_, {});
    if (opened) {
        state_ = State::recovering;
        if (!begun) spdlog::info("the store of jobs is open");
        if (begun) begun(true);
        return attend();
    }
    state_ = State::away;
    const auto now = ipc::monotonic_ms();
    if (begun) {
        busy_since_ms_ = now;
        ipc::Result<bool> told = false;
        if (!busy) told = tl::make_unexpected(opened.error());
        begun(told);
    } else if (now - told_ms_ >= opening_told_every_ms && (!busy || now - busy_since_ms_ >= busy_told_ms)) {
        told_ms_ = now;
        spdlog::error("the store of jobs cannot be opened why={:?}", opened.error().text());
    }
    if (wants_store()) again_.arm(busy ? busy_again : failed_again);
    look_for_end();
}

void KeepersDesk::on_again(short) {
    around_.loop.enter();
    if (wants_store()) try_open();
}

void KeepersDesk::serve() {
    serving_ = true;
    if (wants_store()) tally_.speak();
    busy_since_ms_ = ipc::monotonic_ms();
    if (state_ == State::away && wants_store()) return try_open();
    attend();
}

/// The store is open, and it is our turn: clients may come. What runs elsewhere is known a little later.
void KeepersDesk::attend() {
    if (state_ != State::recovering || !serving_) return;
    if (gives_up_ || retired_) return close();
    state_ = State::keeping;
    around_.board.jobs().pid.set(static_cast<std::uint64_t>(::getpid()));
    tally_.note_able();
    server_.begin();
    if (neighbours_) neighbours_->begin();
    look_at_queues();
    if (!draining_) {
        runners_.start();
        schedules_.start();
    }
    owner_has_left(around_.older ? owners_time : milliseconds(0));
    look_for_end();
}

/// Its jobs are ready again after `time`, or when the processes that are at them have ended.
void KeepersDesk::owner_has_left(milliseconds time) {
    recover_by_ms_ = ipc::monotonic_ms() + static_cast<std::uint64_t>((time + runners_.last_words()).count());
    owners_late_.arm(time);
}

/// Jobs of owners who are no more are ready again: so many at a time that nobody waits for it. Older keepers
/// have a while to say that they live.
void KeepersDesk::recover() {
    if (state_ != State::keeping || !owners_known_ || retired_) return;
    // The master ends them before it starts us.
    if (runners_.ends_any() && ipc::monotonic_ms() < recover_by_ms_) return owners_late_.arm(ending_again);
    if (std::exchange(recovering_, true)) {
        recovering_again_ = true;  // somebody else is gone meanwhile
        return;
    }
    Recover recover;
    recover.alive = server_.owners();
    recover.alive.push_back(around_.owner);
    batcher_.submit(std::move(recover), [this](Operation&& over, const ipc::Error* failure) {
        recovering_ = false;
        const auto& answer = std::get<Recover>(over).answer;
        if (failure != nullptr) {
            recovering_again_ = true;  // with the next look
            return;
        }
        recovered_ += answer.recovered;
        if (answer.recovered > 0)
            for (auto& runner : runners_.all()) runner.wake();
        if (answer.more || std::exchange(recovering_again_, false)) return this->recover();
        if (const auto all = std::exchange(recovered_, 0); all > 0)
            spdlog::warn("jobs of a keeper that is gone are ready again jobs={}", all);
    });
}

void KeepersDesk::on_owners_late(short) {
    around_.loop.enter();
    owners_known_ = true;
    recover();
    look_for_end();
}

void KeepersDesk::give_up_store() {
    gives_up_ = true;
    again_.disarm();
    if (state_ == State::keeping || state_ == State::recovering) return close();
    look_for_end();
}

void KeepersDesk::give_up_clients() {
    if (gives_up_ || std::exchange(retired_, true)) return;
    spdlog::warn(
        "jobs stay in a store that is not configured any more, and run once it is again url={} jobs={}",
        conf::without_password(around_.config.store.url), strays_.waiting());
    tally_.mute();
    schedules_.stop();
    again_.disarm();
    if (state_ == State::recovering) return close();
    if (state_ != State::keeping) return;
    server_.pause();
    // When this is over, so is what clients have asked: they get their answers, then the way to the other
    // one.
    batcher_.submit(Progress{}, [this](Operation&&, const ipc::Error*) {
        around_.loop.after_turn([this] {
            server_.end_askers();
            look_for_end();
        });
    });
}

void KeepersDesk::close() {
    state_ = State::closing;
    owners_late_.disarm();
    schedules_.stop();
    if (neighbours_) neighbours_->end();
    server_.pause();
    if (gives_up_) {  // what ends from now on waits for whoever accepts next
        successor_ = std::make_unique<KeeperClient>(
            around_.loop,
            KeeperClient::Terms{.path = around_.address,
                                .owner = around_.owner,
                                .cancel = [this](const std::string& id,
                                                 std::int64_t fence) { (void)runners_.cancel(id, fence); },
                                .connected = [this] { runners_.ask_for_wishes(); }});
        runners_.claim_no_more();  // that is for the next one
        runners_.keep_with(*successor_);
    }
    batcher_.close([this] { on_closed(); });
}

void KeepersDesk::on_closed() {
    around_.loop.enter();
    state_ = State::closed;
    if (gives_up_) spdlog::info("the store of jobs is let go");
    if (around_.board.jobs().pid.get() == static_cast<std::uint64_t>(::getpid()))
        around_.board.jobs().pid.set(0);
    // The answers of the last batch go first.
    around_.loop.after_turn([this] {
        server_.end();
        look_for_end();
    });
}

// ---- those who ask, and those who run ---------------------------------------------------------------------

void KeepersDesk::submit(Operation operation, Answered answered) {
    if (successor_) return successor_->submit(std::move(operation), std::move(answered));
    if (auto* claim = std::get_if<Claim>(&operation); claim != nullptr) {
        if (neighbours_) claim->lease_until = unix_ms() + around_.lease.count();
        answered = [this, answered = std::move(answered), begun_us = ipc::monotonic_us()](
                       Operation&& claimed, const ipc::Error* failure) {
            if (failure == nullptr) tally_.note_latency(claimed, ipc::monotonic_us() - begun_us);
            answered(std::move(claimed), failure);
        };
    }
    batcher_.submit(std::move(operation), std::move(answered));
}

/// Another machine has been asked to.
void KeepersDesk::cancel(const std::string& id, std::int64_t fence) {
    if (runners_.cancel(id, fence)) return;
    for (const auto& owner : server_.owners()) server_.cancel(owner, id, fence);
}

void KeepersDesk::on_stored(const Operation& operation) {
    if (neighbours_) neighbours_->note(operation);
    if (const auto* enqueue = std::get_if<Enqueue>(&operation)) {
        if (enqueue->answer.what == Enqueue::Answer::What::created)
            runners_.on_enqueued(enqueue->job.queue, enqueue->job.run_at);
    } else if (const auto* fire = std::get_if<Fire>(&operation)) {
        if (fire->enqueue.answer.what == Enqueue::Answer::What::created)
            runners_.on_enqueued(fire->enqueue.job.queue, 0);
    } else if (const auto* retry = std::get_if<Retry>(&operation)) {
        if (retry->answer.what == Retry::Answer::What::ready) runners_.on_enqueued(retry->answer.queue, 0);
    } else if (const auto* cancel = std::get_if<Cancel>(&operation)) {
        const auto& answer = cancel->answer;
        if (answer.what == Cancel::Answer::What::cancelled) runners_.wake_callbacks();
        if (answer.what != Cancel::Answer::What::running) return;
        if (answer.owner == around_.owner)
            (void)runners_.cancel(cancel->id, answer.fence);  // it may be over by now
        else
            server_.cancel(answer.owner, cancel->id, answer.fence);
    } else if (const auto* pause = std::get_if<Pause>(&operation)) {
        runners_.set_paused(pause->queue, pause->paused);
        if (!pause->paused) runners_.wake(pause->queue);  // it may have been paused before we came
    } else if (std::holds_alternative<Finish>(operation)) {
        for (auto& runner : runners_.all())
            runner.wake();  // of an older keeper's: its place is free, and its place for a key
    }
}

// ---- once a second ----------------------------------------------------------------------------------------

void KeepersDesk::on_look(short) {
    around_.loop.enter();
    look_.arm(queues_look_time);
    if (state_ != State::keeping) return;
    if (retired_) return;
    if (std::exchange(recovering_again_, false)) recover();
    look_at_queues();
    if (ipc::monotonic_ms() - expired_ms_ >= expire_every_ms) expire();
}

void KeepersDesk::look_at_queues() {
    batcher_.submit(Stats{}, [this](Operation&& over, const ipc::Error* failure) {
        if (failure != nullptr || retired_) return;
        const auto& stats = std::get<Stats>(over);
        strays_.look(stats);
        // Callbacks are also made by what nobody hears of: claims that the store took back by itself.
        for (const auto& queue : stats.answer.queues)
            if (queue.ready > 0 && conf::is_callbacks_queue(queue.name)) runners_.wake(queue.name);
        if (neighbours_ && !draining_) neighbours_->note(over);
    });
}

/// A piece at a time, so that nobody waits for it.
void KeepersDesk::expire() {
    if (state_ != State::keeping || std::exchange(expiring_, true)) return;
    expired_ms_ = ipc::monotonic_ms();
    const auto now = unix_ms();
    Expire expire;
    expire.queues.reserve(around_.config.queues.size());
    for (const auto& queue : around_.config.queues)
        expire.queues.push_back(
            {queue.name, now - queue.retention.count(), now - queue.dead_retention.count()});
    batcher_.submit(std::move(expire), [this](Operation&& over, const ipc::Error* failure) {
        expiring_ = false;
        if (failure == nullptr && std::get<Expire>(over).answer.more) this->expire();
    });
}

// ---- the end ----------------------------------------------------------------------------------------------

void KeepersDesk::drain(milliseconds limit) {
    const auto until = ipc::monotonic_ms() + static_cast<std::uint64_t>(limit.count());
    if (draining_ && until >= drain_until_ms_) return;  // orders come from several sides
    draining_ = true;
    drain_until_ms_ = until;
    drained_ = false;
    schedules_.stop();
    waited_long_.arm(limit + runners_.last_words() + others_margin);
    runners_.drain(limit, [this](std::size_t unstored) {
        if (unstored > 0) spdlog::error("the ends of jobs are not stored jobs={}", unstored);
        drained_ = true;
        look_for_end();
    });
    look_for_end();
}

void KeepersDesk::alone(bool soon) {
    waits_for_clients_ = soon && (!alone_ || waits_for_clients_);
    alone_ = true;
    look_for_end();
}

void KeepersDesk::on_waited(short) {
    around_.loop.enter();
    waited_ = true;
    look_for_end();
}

/// Older keepers have ends to tell, or may have: whoever is there says so when it is our turn.
bool KeepersDesk::waits_for_others() const {
    if (waited_) return false;
    if (waits_for_clients_ && server_.clients() > 0) return true;
    return (around_.older && !owners_known_) || !server_.owners().empty();
}

void KeepersDesk::look_for_end() {
    if (!draining_ || !drained_ || over_told_) return;
    switch (state_) {
        case State::opening:
        case State::closing: return;
        case State::recovering:
            if (!alone_) return;
            return close();
        case State::keeping:
            if (!alone_ || waits_for_others()) return;
            return close();
        case State::away:
            // Others keep; or we are to, as soon as whoever has the store lets it go.
            if (wants_store() && !waited_ && (!alone_ || busy_)) return;
            break;
        case State::closed: break;
    }
    over_told_ = true;
    around_.loop.after_turn(over_);
}

}  // namespace worker::jobs
