#include "worker/jobs/queue_runner.h"

#include <algorithm>
#include <utility>

#include <spdlog/spdlog.h>

#include "ipc/clock.h"

namespace worker::jobs {
namespace {

constexpr std::uint32_t claim_max = 64;  // jobs at once: their bodies are in memory
constexpr UnixMs lease_ms = 60'000;
constexpr UnixMs due_look_ms = 60'000;  // clocks are set: no timer goes further than that
constexpr Backoff claim_again{std::chrono::milliseconds(50), std::chrono::milliseconds(1'000)};

}  // namespace

QueueRunner::QueueRunner(Target& target, Keeping& keeping, std::string owner)
    : target_(target),
      keeping_(&keeping),
      owner_(std::move(owner)),
      pace_(target.queue.rate),
      timer_(ipc::Event::timer<&QueueRunner::on_time>(this, target.loop.base())) {}

QueueRunner::~QueueRunner() {
    if (target_.door != nullptr) target_.door->leave(*this);
}

// ---- what may be there ----------------------------------------------------------------------------

void QueueRunner::wake() {
    hungry_ = again_ = true;
    pump();
}

void QueueRunner::on_enqueued(UnixMs run_at) {
    if (run_at <= target_.loop.clock().unix_ms()) return wake();
    note_due(run_at);
    plan();
}

void QueueRunner::note_due(UnixMs at) noexcept {
    if (at != 0 && (next_ == 0 || at < next_)) next_ = at;
}

void QueueRunner::set_paused(bool paused) {
    paused_ = paused;
    if (!paused) wake();  // it may have been so before we came, and only the store knew
}

void QueueRunner::on_time(short) {
    target_.loop.enter();
    pump();
}

/// The one timer: for what is due by the clock on the wall, and for what holds up a claim.
void QueueRunner::plan() {
    if (draining_ || paused_ || claiming_ || sated_) return;
    const auto& clock = target_.loop.clock();
    std::uint64_t wait = ~std::uint64_t{0};
    if (next_ != 0)
        wait = static_cast<std::uint64_t>(std::clamp<UnixMs>(next_ - clock.unix_ms(), 0, due_look_ms));
    if (hungry_ && places_.size() < target_.queue.concurrency) {
        const std::uint64_t now_us = ipc::monotonic_us(), now = now_us / 1000;
        const std::uint64_t paced = (pace_.next_us(now_us) - now_us + 999) / 1000;
        const std::uint64_t held = not_before_ms_ > now ? not_before_ms_ - now : 0;
        if (const std::uint64_t until = std::max(paced, held); until > 0) wait = std::min(wait, until);
    }
    if (wait != ~std::uint64_t{0}) timer_.arm(std::chrono::milliseconds(wait));
}

// ---- claims ---------------------------------------------------------------------------------------

void QueueRunner::on_chance() { pump(); }

/// Gives members to those who wait for one, and claims more where there is a place.
void QueueRunner::pump() {
    if (!give_members()) return;  // who has a job comes before one that has none
    if (next_ != 0 && next_ <= target_.loop.clock().unix_ms()) {
        next_ = 0;
        hungry_ = true;
    }
    if (claiming_ || !hungry_ || paused_ || draining_ || sated_) return plan();
    if (not_before_ms_ > ipc::monotonic_ms() || places_.size() >= target_.queue.concurrency) return plan();
    const auto free = target_.queue.concurrency - static_cast<std::uint32_t>(places_.size());
    std::uint32_t count = pace_.allowed(std::min(free, claim_max), ipc::monotonic_us());
    if (count == 0) return plan();
    std::uint32_t reserved = 0;
    if (target_.door != nullptr) {
        count = reserved = target_.door->reserve(count);
        if (count == 0) return target_.door->wait(*this);
    }
    claim(count, reserved);
}

void QueueRunner::claim(std::uint32_t count, std::uint32_t reserved) {
    claiming_ = true;
    again_ = false;
    claimed_us_ = ipc::monotonic_us();
    Claim wanted;
    wanted.queue = target_.queue.name;
    wanted.owner = owner_;
    wanted.count = count;
    wanted.key_concurrency = target_.queue.key_concurrency;
    wanted.running_max = target_.queue.concurrency;
    wanted.lease_until = target_.loop.clock().unix_ms() + lease_ms;
    keeping_->submit(std::move(wanted), [this, reserved](Operation&& operation, const ipc::Error* failure) {
        if (auto* done = std::get_if<Claim>(&operation)) on_claimed(std::move(*done), reserved, failure);
    });
}

void QueueRunner::on_claimed(Claim&& claim, std::uint32_t reserved, const ipc::Error* failure) {
    claiming_ = false;
    if (target_.door != nullptr) target_.door->settle(reserved);
    ++figures_.claims;
    figures_.claim_us += ipc::monotonic_us() - claimed_us_;
    if (failure != nullptr) {
        ++figures_.claims_failed;
        if (failures_++ == 0)
            spdlog::error("claim failed, will be made again queue={} why={:?}", name(), failure->text());
        const auto wait = claim_again.after(std::min(failures_, 10u), random_());
        not_before_ms_ = ipc::monotonic_ms() + static_cast<std::uint64_t>(wait.count());
        if (draining_ && idle() && idle_) return idle_();
        return plan();
    }
    failures_ = 0;
    const auto got = static_cast<std::uint32_t>(claim.answer.jobs.size());
    hungry_ = again_ || got >= claim.count;
    held_ = claim.answer.held;
    next_ = claim.answer.next;
    pace_.take(got);
    places_.reserve(places_.size() + got);
    for (Claimed& job : claim.answer.jobs) begin(std::move(job));
    if (draining_ && idle() && idle_) return idle_();
    pump();
}

// ---- jobs -----------------------------------------------------------------------------------------

void QueueRunner::begin(Claimed&& job) {
    Place::Owner& self = *this;
    Place& place = *places_.emplace_back(std::make_unique<Place>(target_, std::move(job), self));
    if (draining_) return place.run().end(Ending::released, "shutting down");
    if (target_.door == nullptr) return place.run().begin();
    if (const auto member = place.run().take_member()) place.run().begin(*member);
}

/// False: one of them has to wait.
bool QueueRunner::give_members() {
    if (target_.door == nullptr) return true;
    for (std::size_t at = 0; at < places_.size(); ++at) {
        JobRun& run = places_[at]->run();
        if (run.phase() != JobRun::Phase::waiting) continue;
        const auto member = run.take_member();
        if (!member) {
            target_.door->wait(*this);
            return false;
        }
        run.begin(*member);
    }
    return true;
}

bool QueueRunner::cancel(std::string_view id, std::int64_t fence) {
    const auto place = std::find_if(places_.begin(), places_.end(), [&](const auto& one) {
        return one->job().id == id && one->job().fence == fence;
    });
    if (place == places_.end()) return false;
    (*place)->run().end(Ending::cancelled, "cancelled");
    return true;
}

void QueueRunner::ask_for_wishes() {
    for (std::size_t at = 0; at < places_.size(); ++at) places_[at]->ask_for_wishes();
}

void QueueRunner::on_run_over(Place& place) {
    const JobRun& run = place.run();
    ++figures_.endings[static_cast<std::size_t>(run.verdict().ending)];
    figures_.run_us += run.worked_us();
    if (run.refused_seconds() == 0) return;
    not_before_ms_ = std::max(not_before_ms_, ipc::monotonic_ms() + run.refused_seconds() * 1000);
}

void QueueRunner::on_stored(Place& place, const Finish& finish) {
    const auto found =
        std::find_if(places_.begin(), places_.end(), [&](const auto& one) { return one.get() == &place; });
    if (leaving_.empty()) target_.loop.after_turn([this] { leaving_.clear(); });
    leaving_.push_back(std::move(*found));
    places_.erase(found);
    if (finish.answer.accepted && finish.answer.state == State::scheduled) note_due(finish.again_at);
    if (finish.answer.accepted && is_over(finish.answer.state) && !place.job().callback.empty() && told_of_)
        told_of_();
    const bool frees_key = target_.queue.key_concurrency > 0 && !place.job().key.empty();
    if ((finish.answer.accepted && finish.answer.state == State::ready) || frees_key || held_)
        hungry_ = again_ = true;
    if (draining_ && idle() && idle_) return idle_();
    pump();
}

// ---- the end --------------------------------------------------------------------------------------

void QueueRunner::drain() {
    draining_ = true;
    timer_.disarm();
    if (target_.door != nullptr) target_.door->leave(*this);
    for (std::size_t at = 0; at < places_.size(); ++at)
        if (places_[at]->run().phase() == JobRun::Phase::waiting)
            places_[at]->run().end(Ending::released, "shutting down");
}

void QueueRunner::give_back() {
    for (std::size_t at = 0; at < places_.size(); ++at)
        places_[at]->run().end(Ending::released, "shutting down");
}

RunnerFigures QueueRunner::figures() const {
    RunnerFigures all = figures_;
    all.places = static_cast<std::uint32_t>(places_.size());
    for (const auto& place : places_) {
        all.waiting += place->run().phase() == JobRun::Phase::waiting ? 1 : 0;
        all.untold += place->refusals() > 0 ? 1 : 0;
    }
    return all;
}

}  // namespace worker::jobs
