#include "worker/pool/module_member.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <exception>
#include <utility>

#include "worker/pool/in_place.h"

namespace worker::pool {
namespace {

constexpr std::size_t whole_body_max = 256ull << 20;  ///< bytes
constexpr std::string_view too_large = "Status: 413\r\n\r\n";

/// False: it is too large, or nobody wants an answer any more.
bool take_body(FastcgiRequest& request, int leave) {
    while (!request.body_ended()) {
        if (request.body().size() > whole_body_max) return false;
        if (!wait_for_more(request, leave, -1)) return false;
    }
    return request.body().size() <= whole_body_max;
}

std::string field_name(std::string_view param) {
    std::string name(param);
    std::replace(name.begin(), name.end(), '_', '-');
    return name;
}

reeve::Request request_of(const FastcgiRequest& from) {
    reeve::Request request;
    request.method = from.param("REQUEST_METHOD");
    request.target = from.param("REQUEST_URI");
    request.path = std::string(from.param("SCRIPT_NAME")) + std::string(from.param("PATH_INFO"));
    request.query = from.param("QUERY_STRING");
    request.host = from.param("SERVER_NAME");
    request.client = from.param("REMOTE_ADDR");
    for (const auto& [name, value] : from.params()) {
        // A client's Job-Id would look like that of a job, which only the keeper tells.
        if (name.starts_with("HTTP_") && !name.starts_with("HTTP_JOB_"))
            request.fields.add(field_name(name.substr(5)), value);
        if (name == "CONTENT_TYPE" || name == "CONTENT_LENGTH" || name.starts_with("JOB_"))
            request.fields.add(field_name(name), value);
    }
    return request;
}

bool has_body(int status) { return status != 204 && status != 304; }

void answer(FastcgiRequest& request, InPlace& host, const reeve::Response& response) {
    if (host.begun()) return request.write(response.body);
    if (!has_body(response.status)) return request.write(cgi_head_of(response, std::nullopt));
    request.write(cgi_head_of(response, response.body.size()));
    request.write(response.body);
}

std::chrono::system_clock::time_point moment_of(std::string_view unix_ms) {
    std::int64_t ms = 0;
    std::from_chars(unix_ms.data(), unix_ms.data() + unix_ms.size(), ms);
    return std::chrono::system_clock::time_point(std::chrono::milliseconds(ms));
}

unsigned count_of(std::string_view text) {
    unsigned count = 0;
    std::from_chars(text.data(), text.data() + text.size(), count);
    return count;
}

reeve::Job job_of(const FastcgiRequest& from) {
    reeve::Job job;
    job.id = from.param("JOB_ID");
    job.queue = from.param("JOB_QUEUE");
    job.key = from.param("JOB_KEY");
    job.type = from.param("CONTENT_TYPE");
    job.trace = from.param("HTTP_TRACEPARENT");
    job.attempt = count_of(from.param("JOB_ATTEMPT"));
    job.attempts = count_of(from.param("JOB_ATTEMPTS"));
    job.enqueued = moment_of(from.param("REEVE_JOB_ENQUEUED"));
    return job;
}

bool is_failure(int status) { return status >= 400 && status < 600; }

void fail_handler(FastcgiRequest& request, const InPlace& host, int status, std::string_view why) {
    request.complain(fmt::format("handler failed: {}", why));
    if (host.begun()) return request.give_up();
    const std::string text = fmt::format("{}\n", status);
    request.write(fmt::format("Status: {}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{}",
                              status, text.size(), text));
}

}  // namespace

/// What code of the module runs, and for whom.
class ModuleMember::Running {
 public:
    Running(const ModuleMember& member, std::string_view kind, std::string_view name,
            std::string_view request)
        : in_flight_(member.in_flight_), note_(member.note_) {
        const std::string code = fmt::format("{} {}={}", member.module_.name(), kind, name);
        if (in_flight_ != nullptr) in_flight_->begin(request, code);
        if (note_ == nullptr) return;
        note_->about.set(request);
        note_->module.set(code);
    }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
    ~Running() {
        if (in_flight_ != nullptr) in_flight_->end();
        if (note_ == nullptr) return;
        note_->about.clear();
        note_->module.clear();
    }

 private:
    ipc::InFlight* in_flight_;
    execution::ThreadPool::Note* note_;
};

std::uint32_t ModuleMember::run(FastcgiRequest& request) const {
    // No client can say these: what it says is named HTTP_.
    if (const auto function = request.param("REEVE_COMPUTE"); !function.empty())
        compute(request, function);
    else if (const auto job = request.param("REEVE_JOB"); !job.empty())
        do_job(request, job);
    else
        handle(request);
    return 0;
}

void ModuleMember::compute(FastcgiRequest& request, std::string_view name) const {
    const auto say = [&](int status, std::string_view text) {
        request.write(fmt::format("Status: {}\r\nContent-Length: {}\r\n\r\n{}", status, text.size(), text));
    };
    const reeve::Function* function = module_.function(name);
    if (function == nullptr)
        return say(500, fmt::format("module {} has no function `{}`", module_.name(), name));
    if (!take_body(request, leave_)) return request.give_up();
    const auto result = [&] {
        const Running running(*this, "function", name, {});
        return (*function)(request.body());
    };
    try {
        say(200, result());
    } catch (const std::exception& thrown) {
        say(500, thrown.what());
    } catch (...) {
        say(500, "it threw something");
    }
}

void ModuleMember::do_job(FastcgiRequest& request, std::string_view name) const {
    const auto fail = [&](int status, std::string_view why, std::string_view fields = {}) {
        request.write(fmt::format("Status: {}\r\nContent-Type: text/plain\r\n{}Content-Length: {}\r\n\r\n{}",
                                  status, fields, why.size(), why));
    };
    const reeve::JobFunction* function = module_.job(name);
    if (function == nullptr) return fail(500, module_.missing_job(name));
    if (!take_body(request, leave_)) return request.gone() ? request.give_up() : request.write(too_large);
    InPlace host(module_, request, leave_, InPlace::For::job);
    reeve::JobContext context(host);
    reeve::Job job = job_of(request);
    job.body = std::exchange(request.body(), {});
    const Running running(*this, "job", name, fmt::format("job {} attempt {}", job.id, job.attempt));
    try {
        reeve::Task<reeve::JobResult> coroutine = (*function)(std::move(job), context);
        if (!coroutine.coroutine()) throw reeve::Failed(500, "it returned no coroutine");
        coroutine.coroutine().resume();
        host.tell_progress();
        if (request.gone()) return;  // nobody waits for it
        if (!coroutine.over()) throw reeve::Failed(500, "it waits for what never comes");
        reeve::Response response;
        reeve::JobResult result = coroutine.await_resume();
        if (!result.type.empty()) response.fields.add("Content-Type", std::move(result.type));
        const std::string head = cgi_head_of(response, result.body.size());
        request.write(head);
        request.write(result.body);
    } catch (const reeve::JobFailed& failed) {
        const auto after = failed.again_after();
        fail(failed.status(), failed.what(),
             after ? fmt::format("Retry-After: {}\r\n", std::max<std::int64_t>(0, after->count())) : "");
    } catch (const reeve::Failed& failed) {
        fail(is_failure(failed.status()) ? failed.status() : 500, failed.what());
    } catch (const std::exception& thrown) {
        fail(500, thrown.what());
    } catch (...) {
        fail(500, "it threw something");
    }
}

void ModuleMember::handle(FastcgiRequest& request) const {
    const auto* handler = module_.handler(handler_);
    if (handler == nullptr) return request.write("Status: 404\r\n\r\n");
    InPlace host(module_, request, leave_, InPlace::For::request);
    reeve::Context context(host);
    reeve::Request asked = request_of(request);
    if (handler->body == reeve::Body::whole) {
        if (!take_body(request, leave_)) return request.gone() ? request.give_up() : request.write(too_large);
        asked.body = std::exchange(request.body(), {});
    }
    const Running running(*this, "handler", handler->name, asked.method + " " + asked.target);
    try {
        reeve::Task<reeve::Response> coroutine = handler->handler(std::move(asked), context);
        if (!coroutine.coroutine()) throw reeve::Failed(500, "it returned no coroutine");
        coroutine.coroutine().resume();
        if (!coroutine.over()) return request.give_up();  // nobody waits for it, or it waits for nobody
        const reeve::Response response = coroutine.await_resume();
        answer(request, host, response);
    } catch (const reeve::Failed& failed) {
        fail_handler(request, host, is_failure(failed.status()) ? failed.status() : 500, failed.what());
    } catch (const std::exception& thrown) {
        fail_handler(request, host, 500, thrown.what());
    } catch (...) {
        fail_handler(request, host, 500, "it threw something");
    }
}

}  // namespace worker::pool
