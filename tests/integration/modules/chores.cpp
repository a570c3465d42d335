// A module for tests: job functions that say, wait, compute, fail and crash, and handlers that ask for jobs.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "worker/module/reeve.h"

using namespace std::chrono_literals;
using reeve::Context;
using reeve::Job;
using reeve::JobContext;
using reeve::JobFailed;
using reeve::JobResult;
using reeve::Request;
using reeve::Response;
using reeve::Task;

namespace {

bool is_there(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

void note(const std::string& path, std::string_view text) {
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    (void)!::write(file, text.data(), text.size());
    ::close(file);
}

/// Says so when it is destroyed.
class Grave {
 public:
    explicit Grave(std::string path) : path_(std::move(path)) {}
    Grave(const Grave&) = delete;
    Grave& operator=(const Grave&) = delete;
    ~Grave() { note(path_, "destroyed\n"); }

 private:
    std::string path_;
};

// ---- jobs: the body of most is the path of a file ----

/// All that it got.
Task<JobResult> tell(Job job, JobContext& context) {
    context.log(reeve::Level::info, "a word");
    const auto age = std::chrono::system_clock::now() - job.enqueued;
    const bool fresh = age >= -1s && age < 10min;
    co_return JobResult(job.queue + " " + std::to_string(job.attempt) + " of " +
                            std::to_string(job.attempts) + " key=" + job.key + " type=" + job.type +
                            " trace=" + job.trace + (fresh ? " fresh " : " stale ") + job.id + " " + job.body,
                        "application/x-tale");
}

void flood(JobContext& context, std::string_view last) {
    for (int i = 0; i < 50'000; ++i) context.progress("flood " + std::to_string(i));
    context.progress(last);
}

/// Says how far it is, and goes on when there is a file of that name.
Task<JobResult> steps(Job job, JobContext& context) {
    context.log(reeve::Level::info, "no line end");
    flood(context, "half");
    while (!is_there(job.body)) co_await context.sleep(5ms);
    flood(context, "nearly");
    co_return JobResult("done");
}

/// Waits, and is ended where it waits.
Task<JobResult> waits(Job job, JobContext& context) {
    const Grave grave(job.body);
    note(job.body, "begun\n");
    co_await context.sleep(1h);
    note(job.body, "went on\n");
    co_return JobResult();
}

/// Computes, and asks now and then.
Task<JobResult> asks(Job job, JobContext& context) {
    note(job.body, "begun\n");
    while (!context.ending()) ::usleep(500);
    note(job.body, "told\n");
    co_return JobResult("nobody wants this");
}

/// Computes, and never asks.
Task<JobResult> stuck(Job job, JobContext&) {
    note(job.body, "begun " + std::to_string(::getpid()) + "\n");
    for (volatile bool forever = true; forever;) {
    }
    co_return JobResult();
}

Task<JobResult> crash(Job job, JobContext&) {
    note(job.body, "run " + std::to_string(job.attempt) + "\n");
    std::abort();
    co_return JobResult();
}

/// As its body says.
Task<JobResult> fails(Job job, JobContext& context) {
    co_await context.sleep(1ms);
    if (job.body == "good") throw JobFailed::for_good("no such address");
    if (job.body == "later") throw JobFailed::later("busy", std::chrono::hours(1));
    if (job.body == "once" && job.attempt == 1) throw JobFailed::later("not now");
    if (job.body == "throw") throw std::runtime_error("a job's own trouble");
    if (job.body == "404") throw reeve::Failed(404, "not found");
    if (job.body == "begin") context.begin(Response(200));
    if (job.body == "enqueue") co_await context.enqueue("q", "x");
    co_return JobResult("as it should");
}

/// What waits for nobody.
struct Nobody {
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<>) const noexcept {}
    void await_resume() const noexcept {}
};
Task<JobResult> lost(Job, JobContext&) {
    const Nobody nobody;
    co_await nobody;
    co_return JobResult();
}

/// Waits until three are there.
Task<JobResult> meet(Job job, JobContext& context) {
    const std::string pid = std::to_string(::getpid());
    note(job.body, pid + "\n");
    for (struct stat file{}; file.st_size < static_cast<off_t>(3 * (pid.size() + 1));
         ::stat(job.body.c_str(), &file))
        co_await context.sleep(5ms);
    co_return JobResult(pid);
}

/// With what else the module has.
std::string reverse(std::string_view bytes) { return {bytes.rbegin(), bytes.rend()}; }
Task<std::string> part(JobContext& context, std::string bytes) {
    co_return co_await context.compute("", "reverse", bytes);
}
Task<JobResult> parts(Job job, JobContext& context) {
    auto [one, two] = co_await context.all(part(context, job.body), part(context, "abc"));
    co_return JobResult(*one + " " + *two);
}

// ---- handlers ----

const char* name_of(reeve::NotEnqueued::Reason reason) {
    using Reason = reeve::NotEnqueued::Reason;
    switch (reason) {
        case Reason::none: return "none";
        case Reason::no_queue: return "no_queue";
        case Reason::refused: return "refused";
        case Reason::too_large: return "too_large";
        case Reason::full: return "full";
        case Reason::unstored: return "unstored";
        case Reason::other_request: return "other_request";
        case Reason::in_flight: return "in_flight";
    }
    return "?";
}

/// `/ask?QUEUE`, with its options as fields.
Task<Response> ask(Request request, Context& context) {
    reeve::JobOptions options;
    const auto text = [&](std::string_view name) { return std::string(request.fields.get(name)); };
    options.type = text("x-type");
    options.key = text("x-key");
    options.unique = text("x-unique");
    options.idempotency_key = text("x-idempotency");
    options.callback = text("x-callback");
    if (const auto delay = text("x-delay"); !delay.empty())
        options.delay = std::chrono::milliseconds(std::strtol(delay.c_str(), nullptr, 10));
    if (const auto at = text("x-run-in"); !at.empty())
        options.run_at =
            std::chrono::system_clock::now() + std::chrono::seconds(std::strtol(at.c_str(), nullptr, 10));
    if (const auto priority = text("x-priority"); !priority.empty())
        options.priority = static_cast<int>(std::strtol(priority.c_str(), nullptr, 10));
    if (const auto attempts = text("x-attempts"); !attempts.empty())
        options.attempts = static_cast<unsigned>(std::strtoul(attempts.c_str(), nullptr, 10));
    try {
        const reeve::Enqueued job = co_await context.enqueue(request.query, request.body, options);
        co_return Response(202, (job.existing ? "existing " : "new ") + job.id);
    } catch (const reeve::NotEnqueued& failed) {
        co_return Response(failed.status(), std::string(name_of(failed.reason())) + " " + failed.what());
    }
}

/// Catches nothing.
Task<Response> plainly(Request request, Context& context) {
    const reeve::Enqueued job = co_await context.enqueue(request.query, request.body);
    co_return Response(202, job.id);
}

/// Tells what has become of one that asks.
Task<Response> entombed(Request request, Context& context) {
    const Grave grave(request.query);
    note(request.query, "asks\n");
    const reeve::Enqueued job = co_await context.enqueue("q", request.body);
    note(request.query, "answered\n");
    co_return Response(202, job.id);
}

void load(reeve::Setup& setup) {
    setup.job("tell", tell);
    setup.job("steps", steps);
    setup.job("waits", waits);
    setup.job("asks", asks);
    setup.job("stuck", stuck);
    setup.job("crash", crash);
    setup.job("fails", fails);
    setup.job("lost", lost);
    setup.job("meet", meet);
    setup.job("parts", parts);
    setup.compute("reverse", reverse);
    setup.handler("ask", ask);
    setup.handler("plainly", plainly);
    setup.handler("entombed", entombed);
}

}  // namespace

REEVE_MODULE(load);
