#include "worker/handler/module_enqueue.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "conf/callbacks.h"
#include "worker/handler/job_request.h"
#include "worker/handler/module_visit.h"

namespace worker::handler {
namespace {

using Reason = reeve::NotEnqueued::Reason;
using NoJob = tl::unexpected<reeve::detail::Refusal>;

/// A sentence about what makes no sense; empty: nothing.
std::string wrong_options(const reeve::JobOptions& options, const conf::Queue& queue) {
    if (queue.internal) return "its jobs are made when others end, and by nobody else";
    const auto bad = [](std::string_view text, std::size_t bytes_max) {
        return !text.empty() && !is_job_text(text, bytes_max);
    };
    const auto text_rule = [](std::string_view what, std::size_t bytes_max) {
        return fmt::format("{} takes up to {} printable characters", what, bytes_max);
    };
    if (bad(options.type, job_type_max)) return text_rule("type", job_type_max);
    if (bad(options.key, job_key_max)) return text_rule("key", job_key_max);
    if (bad(options.unique, job_key_max)) return text_rule("unique", job_key_max);
    if (bad(options.idempotency_key, job_key_max)) return text_rule("idempotency_key", job_key_max);
    if (bad(options.callback, job_callback_max)) return text_rule("callback", job_callback_max);
    if (!options.callback.empty()) {
        const auto url = conf::callback_url(queue.callbacks, options.callback);
        if (!url) return "callback: " + url.error();
    }
    if (options.delay.count() != 0 && options.run_at) return "delay and run_at exclude each other";
    if (options.delay.count() < 0 || options.delay > job_delay_max)
        return "delay takes a time, up to ten years";
    if (options.priority &&
        (*options.priority < -conf::job_priority_max || *options.priority > conf::job_priority_max))
        return fmt::format("priority takes a number, {} to {}", -conf::job_priority_max,
                           conf::job_priority_max);
    if (options.attempts && (*options.attempts < 1 || *options.attempts > job_attempts_max))
        return fmt::format("attempts takes a number, 1 to {}", job_attempts_max);
    if (queue.idempotency_required && options.idempotency_key.empty())
        return fmt::format("[queue {}] wants an idempotency_key", queue.name);
    return {};
}

/// 0: at once.
jobs::UnixMs moment_to_run(const reeve::JobOptions& options, jobs::UnixMs now) {
    if (options.delay.count() != 0) return now + options.delay.count();
    if (!options.run_at) return 0;
    const auto since = options.run_at->time_since_epoch();
    const jobs::UnixMs at = std::chrono::ceil<std::chrono::milliseconds>(since).count();
    return at <= now ? 0 : at;
}

}  // namespace

tl::expected<jobs::Enqueue, reeve::detail::Refusal> make_job(const conf::Queue& queue, std::string&& body,
                                                             const reeve::JobOptions& options,
                                                             jobs::UnixMs now) {
    if (auto why = wrong_options(options, queue); !why.empty())
        return NoJob(reeve::detail::Refusal{Reason::refused, std::move(why)});
    if (body.size() > queue.job_size_max)
        return NoJob(reeve::detail::Refusal{
            Reason::too_large,
            fmt::format("[queue {}] takes {} bytes at most", queue.name, queue.job_size_max)});
    jobs::Enqueue enqueue;
    jobs::NewJob& job = enqueue.job;
    job.queue = queue.name;
    job.content_type = options.type;
    job.body = std::move(body);
    job.run_at = moment_to_run(options, now);
    if (job.run_at > now + job_delay_max.count())
        return NoJob(reeve::detail::Refusal{Reason::refused, "run_at takes a moment within ten years"});
    job.priority = options.priority.value_or(queue.priority);
    job.attempts = options.attempts.value_or(queue.attempts);
    job.key = options.key;
    job.unique = options.unique;
    job.callback = options.callback;
    if (!options.idempotency_key.empty()) {
        job.idempotency_key = options.idempotency_key;
        job.fingerprint = fingerprint_of(job);
        job.idempotency_until = now + queue.idempotency.count();
    }
    enqueue.room = {queue.size_max.jobs, queue.size_max.bytes};
    return enqueue;
}

ModuleEnqueue::ModuleEnqueue(ModuleVisit& visit, reeve::detail::Wait& wait, jobs::Enqueue&& wanted,
                             reeve::Enqueued& job, reeve::detail::Refusal& refusal)
    : ModuleWork(visit, wait), wanted_(std::move(wanted)), job_(job), refusal_(refusal) {}

bool ModuleEnqueue::start() {
    JobsAsked& asked = visit_.route().jobs_asked();
    number_ = asked.add(*this);
    wanted_.job.id = job_.id = asked.new_id();
    visit_.route().rooms().keeping->submit(
        std::move(wanted_), [&asked, number = number_](jobs::Operation&& over, const ipc::Error* failure) {
            const auto* enqueue = std::get_if<jobs::Enqueue>(&over);
            ModuleEnqueue* const waiting = asked.take(number);
            if (waiting != nullptr && enqueue != nullptr) waiting->on_answer(*enqueue, failure);
        });
    return true;
}

void ModuleEnqueue::stop() noexcept { (void)visit_.route().jobs_asked().take(number_); }

void ModuleEnqueue::on_answer(const jobs::Enqueue& enqueue, const ipc::Error* failure) {
    using What = jobs::Enqueue::Answer::What;
    if (failure != nullptr) {
        refusal_ = {Reason::unstored,
                    fmt::format("not known to be stored: {}", public_reason(failure->text()))};
        return finish();
    }
    switch (enqueue.answer.what) {
        case What::existing:  // its own, when the keeper was asked a second time
            job_.existing = enqueue.answer.id != job_.id;
            [[fallthrough]];
        case What::created:
            if (!enqueue.answer.id.empty()) job_.id = enqueue.answer.id;
            break;
        case What::mismatch:
            refusal_ = {Reason::other_request, "this idempotency key came with another job before"};
            break;
        case What::in_flight:
            refusal_ = {Reason::in_flight, "the first job with this idempotency key is not stored yet"};
            break;
        case What::full: refusal_ = {Reason::full, "the queue is full"}; break;
    }
    finish();
}

}  // namespace worker::handler
