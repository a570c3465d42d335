#include "worker/jobs/job_run.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "conf/callbacks.h"
#include "ipc/clock.h"
#include "worker/http/head.h"
#include "worker/http/host.h"
#include "worker/jobs/answer_fields.h"
#include "worker/jobs/callback.h"
#include "worker/jobs/job_head.h"
#include "worker/jobs/plain_text.h"

namespace worker::jobs {
namespace {

constexpr std::size_t error_body_max = 256;          // of an answer that is none of success
constexpr std::chrono::milliseconds look_again{20};  // whether a process has ended

std::string_view value_of(const http::ResponseHead& head, std::string_view name) {
    for (const http::Field& field : head.fields)
        if (http::equals_ignore_case(head.view(field.name), name)) return head.view(field.value);
    return {};
}

}  // namespace

JobRun::JobRun(Target& target, const Claimed& job, Owner& owner)
    : target_(target),
      job_(job),
      owner_(owner),
      call_(target.upstreams, *this),
      about_(fmt::format("attempt {}", job.attempt)),
      timer_(ipc::Event::timer<&JobRun::on_time>(this, target.loop.base())) {}

JobRun::~JobRun() {
    if (target_.door != nullptr) target_.door->forget(*this);
    if (phase_ != Phase::working && !asked_to_end()) return;
    call_.cancel();
    give_back(PoolDoor::End::overdue);
}

void JobRun::begin(const ipc::PoolTask& member) {
    member_ = member;
    begun_us_ = ipc::monotonic_us();
    if (!is_of(StoredRequest::Wire::fastcgi)) return;
    std::string params;
    if (request_)
        append_request_params(params, *request_, job_, target_.queue);
    else
        append_job_params(params, job_, target_.queue);
    upstream::append_question(head_, {.params = params, .body = !job_.body.empty()});
    ask(target_.upstream.admit().ticket, &target_.upstream.peers()[member.member]);
}

void JobRun::begin() {
    begun_us_ = ipc::monotonic_us();
    if (!is_of(StoredRequest::Wire::http)) return;
    if (target_.queue.internal) {
        const auto& callbacks = target_.queue.callbacks;
        const auto told = conf::callback_url(callbacks, job_.callback);  // as the configuration is now
        if (!told) return over({Ending::permanent, told.error(), 0});
        if (!append_callback_head(head_, job_, callbacks, *told, target_.loop.clock().unix_ms()))
            return over({Ending::failed, "it cannot be signed", 0});
    }
    const upstream::Admission admission = target_.upstream.admit();
    if (!admission.admitted()) {
        refused_seconds_ = std::max<std::uint64_t>(1, admission.retry_after_seconds);
        return over({Ending::released, std::string(admission.refusal), 0});
    }
    if (request_)
        append_request_head(head_, *request_, job_, target_.queue);
    else if (!target_.queue.internal)
        append_job_head(head_, job_, target_.queue, target_.upstream.name());
    ask(admission.ticket, nullptr);
}

/// What was made for a pool is none for an upstream, which the queue may have meanwhile, nor the other way
/// round.
bool JobRun::is_of(StoredRequest::Wire wire) {
    if (job_.request.empty()) return true;
    request_ = unpack(job_.request);
    if (request_ && request_->wire == wire) return true;
    give_back(PoolDoor::End::whole);
    over({Ending::permanent, "its request was made for what its queue does not have any more", 0});
    return false;
}

void JobRun::ask(const ipc::Ticket& ticket, upstream::Peer* bound) {
    phase_ = Phase::working;
    timer_.arm(target_.queue.timeout);
    body_.bytes = job_.body.data();
    body_.size = job_.body.size();
    upstream::Question question;
    question.head = head_;
    question.wire = target_.door != nullptr ? upstream::Wire::fastcgi : upstream::Wire::http;
    question.keep = false;
    if (!job_.body.empty()) question.whole = {&body_, 1};
    question.key = upstream::hash_of(job_.key.empty() ? job_.id : job_.key);
    question.bound = bound;
    question.terms = &target_.terms;
    question.ticket = ticket;
    call_.start(target_.upstream, question);
}

void JobRun::end(Ending ending, std::string_view why) {
    Verdict verdict{ending, std::string(why), 0};
    switch (phase_) {
        case Phase::waiting: return over(std::move(verdict));
        case Phase::working: return give_up(std::move(verdict), PoolDoor::End::overdue);
        case Phase::ending:  // what came first is why
        case Phase::over: return;
    }
}

/// Nobody reads the answer any more. Whatever the reason is, nothing is told before its process is gone:
/// whoever claims the job next, perhaps another keeper, must not meet it.
void JobRun::give_up(Verdict verdict, PoolDoor::End how) {
    if (member_ && target_.door->shares()) {
        if (!call_.ask_to_abort()) {  // nobody has it yet
            call_.cancel();
            give_back(PoolDoor::End::whole);
            return over(std::move(verdict));
        }
        if (phase_ != Phase::working) return;  // it has just ended
        asked_ = true;
        verdict_ = std::move(verdict);
        phase_ = Phase::ending;
        return timer_.arm(target_.door->pool().kill_grace);
    }
    call_.cancel();
    give_back(how);
    if (!member_ || how != PoolDoor::End::overdue) return over(std::move(verdict));
    wait_for_process(std::move(verdict));
}

/// Somebody else's thread does not end: the process has to.
void JobRun::on_condemned() {
    call_.cancel();
    if (asked_to_end()) return wait_for_process(std::move(verdict_));
    wait_for_process({Ending::released, "its process is ended, for another job's sake", 0});
}

void JobRun::wait_for_process(Verdict verdict) {
    asked_ = false;
    const auto patience = PoolDoor::ending_time(target_.door->pool());
    patient_until_ms_ = ipc::monotonic_ms() + static_cast<std::uint64_t>(patience.count());
    verdict_ = std::move(verdict);
    phase_ = Phase::ending;
    timer_.arm(look_again);
}

void JobRun::on_time(short) {
    target_.loop.enter();
    switch (phase_) {
        case Phase::working:
            if (member_) target_.door->counters().timeouts.add_shared();
            return give_up(
                {Ending::timed_out, fmt::format("took longer than {} ms", target_.queue.timeout.count()), 0},
                PoolDoor::End::overdue);
        case Phase::ending:
            if (asked_) {  // it does not hear
                call_.cancel();
                give_back(PoolDoor::End::overdue);
                return wait_for_process(std::move(verdict_));
            }
            if (target_.door->still_ending(*member_) && ipc::monotonic_ms() < patient_until_ms_)
                return timer_.arm(look_again);
            return over(std::move(verdict_));
        case Phase::waiting:
        case Phase::over: return;
    }
}

void JobRun::on_response(const http::ResponseHead& head, http::Framing framing, std::uint64_t length) {
    if (phase_ != Phase::working) return;
    const auto judge = request_ ? judge_answer : target_.queue.internal ? judge_callback : judge_status;
    verdict_ = judge(head.status, value_of(head, "retry-after"), target_.loop.clock().unix_ms());
    if (verdict_.ending != Ending::done) return;
    if (request_) {
        result_status_ = head.status;
        result_fields_ = answer_fields(head, request_->hidden);
    }
    result_type_.assign(head.value(http::Known::content_type).substr(0, plain_text_max));
    if (framing != http::Framing::length) return;
    result_.reserve(std::min(length, target_.queue.result_max));
}

void JobRun::on_payload(std::string_view bytes) {
    if (phase_ != Phase::working) return;
    const bool done = verdict_.ending == Ending::done;
    const std::size_t most = done ? target_.queue.result_max : error_body_max;
    const std::size_t room = most - result_.size();
    result_.append(bytes.substr(0, room));
    if (done && bytes.size() > room) cut_ = true;  // the rest is read, and forgotten
}

void JobRun::on_end(std::string_view) {
    if (phase_ != Phase::working && !asked_to_end()) return;
    give_back(PoolDoor::End::whole);
    if (phase_ == Phase::ending) return over(std::move(verdict_));
    if (verdict_.ending != Ending::done) {
        if (const std::string text = plain_text(result_, error_body_max); !text.empty())
            verdict_.error.append(": ").append(text);
        return over(std::move(verdict_));
    }
    over(judge_exit(call_.exit_status().value_or(0)));
}

void JobRun::on_stderr(std::string_view bytes) {
    progress_.take(bytes, [this](std::string_view rest) { target_.log.add(lines_, rest, about()); });
    if (auto text = progress_.said()) owner_.on_progress(std::move(*text));
}

void JobRun::on_failure(const upstream::Failure& failure) {
    if (asked_to_end()) {  // its thread is done, and has said so; or the process died
        give_back(call_.exit_status() ? PoolDoor::End::whole : PoolDoor::End::broken);
        return over(std::move(verdict_));
    }
    // A script that prints nothing has said with its exit status how it went.
    const bool silent = failure.silent && call_.exit_status().has_value();
    Verdict verdict = silent ? judge_exit(*call_.exit_status())
                             : judge_failure(failure, member_.has_value(), call_.exit_status().has_value());
    if (verdict.ending == Ending::crashed && target_.door != nullptr)
        target_.door->counters().died.add_shared();
    give_back(silent ? PoolDoor::End::whole : PoolDoor::End::broken);
    over(std::move(verdict));
}

void JobRun::give_back(PoolDoor::End how) {
    if (!member_) return;
    target_.door->give_back(*member_, how, begun_us_, *this);
}

void JobRun::over(Verdict verdict) {
    timer_.disarm();
    if (target_.door != nullptr) target_.door->forget(*this);
    target_.log.end(lines_, about());
    if (verdict.ending != Ending::done) {
        result_.clear();
        result_type_.clear();
        result_fields_.clear();
        result_status_ = 0;
        cut_ = false;
    }
    verdict_ = std::move(verdict);
    phase_ = Phase::over;
    if (begun_us_ != 0) worked_us_ = ipc::monotonic_us() - begun_us_;
    owner_.on_run_over();
}

observe::ProgramLog::About JobRun::about() const noexcept {
    return {.peer = peer_, .request = about_, .id = job_.id};
}

}  // namespace worker::jobs
