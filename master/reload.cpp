// master/reload.cpp: one on its way, at most one behind it.
#include "master/reload.h"

#include <spdlog/fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "ipc/clock.h"

namespace master {
namespace {

using std::chrono::milliseconds;

std::string lines(const std::vector<std::string>& all) { return fmt::format("{}", fmt::join(all, "\n")); }

}  // namespace

Reload::Reload(event_base& loop, ReloadHost& host)
    : loop_(loop),
      host_(host),
      late_(ipc::Event::timer<&Reload::on_late>(this, loop)),
      quiet_(ipc::Event::timer<&Reload::on_quiet>(this, loop)) {}

void Reload::wish(Done done) {
    const auto now = ipc::monotonic_ms();
    const auto since = now - std::exchange(last_wish_ms_, now);
    if (waiting_.empty()) first_wish_ms_ = now;
    if (idle() && since >= static_cast<std::uint64_t>(quiet_time.count())) {
        served_.push_back(std::move(done));
        return begin();
    }
    waiting_.push_back(std::move(done));
    if (step_ == Step::idle) plan_next();
}

void Reload::begin_with(Found found, Done done) {
    if (!idle()) return done({.kind = ReloadOutcome::Kind::failed, .text = "a reload is on its way"});
    served_.push_back(std::move(done));
    on_found(std::move(found));
}

void Reload::begin() {
    step_ = Step::reading;
    host_.began();
    reading_ = std::make_unique<Reading>(loop_, host_.reader(), host_.start_timeout(),
                                         [this](Found found) { on_found(std::move(found)); });
}

void Reload::on_found(Found found) {
    const auto reading = std::move(reading_);  // calls us: ended when we return
    if (!found.errors.empty()) {
        for (const auto& error : found.errors) spdlog::error("configuration refused why={:?}", error);
        return fail(ReloadOutcome::Kind::refused, lines(found.errors));
    }
    advice_ = std::move(found.advice);
    auto prepared = host_.prepare(std::move(found));
    if (!prepared) return fail(ReloadOutcome::Kind::failed, prepared.error().text());
    step_ = Step::starting;
    candidate_ = std::move(*prepared);
    late_.arm(candidate_->plan().reeve.start_timeout);
    candidate_->start();
    check();
}

void Reload::check() {
    if (step_ != Step::starting) return;
    if (const auto failure = candidate_->start_failure()) return fail(ReloadOutcome::Kind::failed, *failure);
    if (!candidate_->started()) return;
    const auto number = candidate_->number();
    const auto workers = candidate_->plan().workers;
    if (const auto committed = host_.commit(candidate_); !committed)
        return fail(ReloadOutcome::Kind::failed, committed.error().text());
    std::string text = fmt::format("generation {} serves, workers {}", number, workers);
    for (const auto& advice : advice_) text += "\nwarning: " + advice;
    end({.kind = ReloadOutcome::Kind::done, .text = std::move(text)});
}

void Reload::on_late(short) {
    fail(ReloadOutcome::Kind::failed, "not all workers of the new generation were ready in time");
}

void Reload::fail(ReloadOutcome::Kind kind, const std::string& why) {
    if (candidate_) host_.discard(std::move(candidate_));
    host_.failed(why);
    end({.kind = kind, .text = why});
}

void Reload::end(const ReloadOutcome& outcome) {
    step_ = Step::idle;
    late_.disarm();
    candidate_.reset();
    advice_.clear();
    const auto served = std::exchange(served_, {});
    plan_next();
    for (const auto& done : served) done(outcome);
}

void Reload::plan_next() {
    if (step_ != Step::idle || waiting_.empty()) return;
    const auto quiet_at = std::min(last_wish_ms_ + static_cast<std::uint64_t>(quiet_time.count()),
                                   first_wish_ms_ + static_cast<std::uint64_t>(wait_max.count()));
    const auto now = ipc::monotonic_ms();
    quiet_.arm(milliseconds(quiet_at > now ? quiet_at - now : 0));
}

void Reload::on_quiet(short) {
    if (step_ != Step::idle || waiting_.empty()) return;
    served_ = std::exchange(waiting_, {});
    begin();
}

void Reload::cancel(const std::string& why) {
    quiet_.disarm();
    reading_.reset();
    for (auto& done : waiting_) served_.push_back(std::move(done));
    waiting_.clear();
    if (!served_.empty() || candidate_) fail(ReloadOutcome::Kind::failed, why);
}

}  // namespace master
