#include "worker/jobs/place.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace worker::jobs {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t progress_every_ms = 1'000;
constexpr milliseconds ask_again_time{1'000};
constexpr Backoff tell_again{std::chrono::milliseconds(50), std::chrono::milliseconds(1'000)};

}  // namespace

Place::Place(Target& target, Claimed job, Owner& owner)
    : target_(target),
      job_(std::move(job)),
      owner_(owner),
      run_(target, job_, *this),
      timer_(ipc::Event::timer<&Place::on_time>(this, target.loop.base())) {}

void Place::on_progress(std::string text) {
    text_ = std::move(text);
    news_ = true;
    const std::uint64_t now = target_.loop.clock().now_ms();
    if (now - told_ms_ >= progress_every_ms) return tell_progress();
    if (!timer_.armed()) timer_.arm(std::chrono::milliseconds(told_ms_ + progress_every_ms - now));
}

void Place::tell_progress() {
    if (!std::exchange(news_, false)) return;
    told_ms_ = target_.loop.clock().now_ms();
    ++under_way_;
    owner_.keeping().submit(Progress{job_.id, job_.fence, std::exchange(text_, {}), {}},
                            [this](Operation&& operation, const ipc::Error* failure) {
                                on_answer(std::move(operation), failure);
                            });
}

void Place::ask_for_wishes() {
    asks_again_ = false;
    if (run_.phase() == JobRun::Phase::over || std::exchange(asks_, true)) return;
    ++under_way_;
    owner_.keeping().submit(Get{.id = job_.id, .answer = {}},
                            [this](Operation&& operation, const ipc::Error* failure) {
                                on_answer(std::move(operation), failure);
                            });
}

void Place::on_run_over() {
    timer_.disarm();
    tell_progress();  // the last one too
    const Verdict& verdict = run_.verdict();
    finish_.id = job_.id;
    finish_.fence = job_.fence;
    finish_.ending = verdict.ending;
    finish_.error = verdict.error;
    const bool again = verdict.ending == Ending::failed || verdict.ending == Ending::timed_out;
    if (again && job_.attempts == 0 && job_.attempt >= target_.queue.attempts) {
        // made by a store, which knows of no bound
        finish_.ending = Ending::permanent;
        finish_.error += fmt::format(", in the last of {} attempts", target_.queue.attempts);
    }
    if (verdict.ending == Ending::done) {
        finish_.result = std::move(run_.result());
        finish_.result_type = std::move(run_.result_type());
        finish_.result_cut = run_.result_cut();
        finish_.result_status = run_.result_status();
        finish_.result_fields = std::move(run_.result_fields());
    } else {
        const UnixMs now = target_.loop.clock().unix_ms();
        const auto& range = target_.queue.backoff;
        const Backoff backoff{range.min, range.max};
        finish_.again_at = now + backoff.after(job_.attempt, owner_.random()).count();
        if (verdict.again_at != 0) {
            const UnixMs wait = std::max(verdict.again_at - now, std::min<UnixMs>(1'000, range.min.count()));
            // Many may have been told the same: not all at once.
            const auto spread = static_cast<std::uint64_t>(wait / 10 + 1);
            finish_.again_at = now + wait + static_cast<UnixMs>(owner_.random() % spread);
        }
    }
    owner_.on_run_over(*this);
    tell_end();
}

void Place::tell_end() {
    ++under_way_;
    owner_.keeping().submit(std::move(finish_), [this](Operation&& operation, const ipc::Error* failure) {
        on_answer(std::move(operation), failure);
    });
}

void Place::on_answer(Operation&& operation, const ipc::Error* failure) {
    --under_way_;
    if (auto* progress = std::get_if<Progress>(&operation)) {
        if (failure == nullptr && progress->answer.cancelling) run_.end(Ending::cancelled, "cancelled");
        return leave_if_told();
    }
    if (const auto* get = std::get_if<Get>(&operation)) {
        asks_ = false;
        if (failure == nullptr && get->answer.job.cancelling) run_.end(Ending::cancelled, "cancelled");
        if (failure != nullptr && run_.phase() != JobRun::Phase::over) {
            asks_again_ = true;
            if (!timer_.armed()) timer_.arm(ask_again_time);
        }
        return leave_if_told();
    }
    auto* finish = std::get_if<Finish>(&operation);
    if (finish == nullptr) return;
    finish_ = std::move(*finish);
    if (failure != nullptr) {
        if (refusals_++ == 0)
            spdlog::error("end of job not stored, will be told again queue={} job={} why={:?}",
                          target_.queue.name, job_.id, failure->text());
        return timer_.arm(tell_again.after(std::min(refusals_, 10u), owner_.random()));
    }
    if (refusals_ > 0)
        spdlog::info("end of job stored queue={} job={} refusals={}", target_.queue.name, job_.id, refusals_);
    if (!finish_.answer.accepted)
        spdlog::warn("end of job came too late, another claim was made queue={} job={} fence={}",
                     target_.queue.name, job_.id, job_.fence);
    told_ = true;
    leave_if_told();
}

void Place::leave_if_told() {
    if (told_ && under_way_ == 0) owner_.on_stored(*this, finish_);
}

void Place::on_time(short) {
    target_.loop.enter();
    if (run_.phase() == JobRun::Phase::over) return tell_end();
    if (asks_again_) ask_for_wishes();
    tell_progress();
}

}  // namespace worker::jobs
