// A module for tests: each handler does one thing that a handler may do, or must not.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <thread>

#include "worker/module/reeve.h"

using namespace std::chrono_literals;
using reeve::Context;
using reeve::milliseconds;
using reeve::Question;
using reeve::Request;
using reeve::Response;
using reeve::Task;

namespace {

/// How many coroutines live in this process, by objects in their frames.
std::atomic<int> alive{0};

class Life {
 public:
    Life() { ++alive; }
    Life(const Life&) = delete;
    Life& operator=(const Life&) = delete;
    ~Life() { --alive; }
};

long number(const Request& request, long otherwise) {
    return request.query.empty() ? otherwise : std::strtol(request.query.c_str(), nullptr, 10);
}

Task<Response> hello(Request request, Context&) { co_return Response(200, "hello " + request.path + "\n"); }

/// All that it got.
Task<Response> echo(Request request, Context&) {
    std::string text = request.method + " " + request.target + " " + request.path + " " + request.query +
                       " " + request.host + " " + request.client + " " + request.route + "\n";
    for (const auto& field : request.fields) text += field.name + "=" + field.value + "\n";
    Response response(200, text + request.body);
    response.add("X-Size", std::to_string(request.body.size()));
    co_return response;
}

Task<Response> count(Request, Context&) { co_return Response(200, std::to_string(alive.load())); }

Task<std::string> nap(Context& context, milliseconds time) {
    const Life life;
    co_await context.sleep(time);
    co_return std::to_string(time.count());
}

Task<Response> sleep(Request request, Context& context) {
    const Life life;
    const std::string slept = co_await nap(context, milliseconds(number(request, 10)));
    co_return Response(200, slept);
}

Task<Response> throws(Request, Context& context) {
    co_await context.sleep(1ms);
    throw std::runtime_error("a handler's own trouble");
}

Task<Response> fails(Request request, Context&) {
    throw reeve::Failed(static_cast<int>(number(request, 503)), "not now");
    co_return Response(200);
}

/// What no response may have.
Task<Response> splits(Request, Context&) {
    Response response(200, "x");
    response.add("X-Bad", "a\r\nSet-Cookie: b");
    co_return response;
}

Task<Response> frames(Request, Context&) {
    Response response(200, "four");
    response.add("Content-Length", "9");
    response.add("Transfer-Encoding", "chunked");
    response.add("Connection", "close");
    co_return response;
}

Task<std::string> ask(Context& context, std::string upstream, std::string target) {
    const Life life;
    const Question question(target);
    const reeve::Answer answer = co_await context.fetch(upstream, question);
    co_return std::to_string(answer.status) + " " + answer.body;
}

Task<Response> fetch(Request request, Context& context) {
    Question question(request.query.empty() ? "/" : request.query, request.method, request.body);
    question.fields.add("X-From", "module");
    question.answer_max = 1000;
    const reeve::Answer answer = co_await context.fetch("origin", question);
    Response response(answer.status, answer.body);
    response.add("X-Origin", std::string(answer.fields.get("x-origin")));
    co_return response;
}

template <class T>
std::string text_of(reeve::Part<T>& part) {
    if (part) return *part;
    if (part.late()) return "late";
    try {
        return part.value();
    } catch (const std::exception& thrown) {
        return std::string("threw ") + thrown.what();
    }
}

Task<std::string> trouble(Context& context) {
    co_await context.sleep(1ms);
    throw std::runtime_error("trouble");
}

/// What comes by the deadline.
Task<Response> gather(Request, Context& context) {
    auto parts = co_await context.all(300ms, ask(context, "origin", "/quick"),
                                      ask(context, "origin", "/slow"), nap(context, 5ms), trouble(context));
    co_return Response(200, text_of(std::get<0>(parts)) + "|" + text_of(std::get<1>(parts)) + "|" +
                                text_of(std::get<2>(parts)) + "|" + text_of(std::get<3>(parts)));
}

/// Any number of them, and no deadline.
Task<Response> naps(Request request, Context& context) {
    std::vector<Task<std::string>> tasks;
    for (long i = 0; i < number(request, 3); ++i) tasks.push_back(nap(context, milliseconds(i)));
    auto parts = co_await context.all(10s, std::move(tasks));
    std::string text;
    for (auto& part : parts) text += text_of(part) + " ";
    auto [one, two] = co_await context.all(nap(context, 1ms), nap(context, 2ms));
    co_return Response(200, text + *one + " " + *two);
}

/// Its answer, bit by bit.
Task<Response> stream(Request request, Context& context) {
    const Life life;
    const Response head(200, "begin ");
    context.begin(head);
    const std::string piece(1000, 'x');
    for (long i = 0; i < number(request, 3); ++i) co_await context.write(piece);
    co_await context.sleep(1ms);
    co_return Response(200, " end");
}

/// What `load` has opened.
int opened_by_load = -1;

Task<Response> file(Request, Context&) {
    std::string text(100, '\0');
    const auto bytes = ::pread(opened_by_load, text.data(), text.size(), 0);
    if (bytes < 0) co_return Response(500, "it is closed");
    text.resize(static_cast<std::size_t>(bytes));
    co_return Response(200, text);
}

/// By a thread that `load` has begun.
std::atomic<long> ticks{0};
Task<Response> ticking(Request, Context& context) {
    const long before = ticks;
    for (int tries = 0; tries < 1000 && ticks == before; ++tries) co_await context.sleep(5ms);
    co_return Response(200, ticks == before ? "stands still" : "ticks");
}

/// Says 4 bytes, and sends what the query says.
Task<Response> sized(Request request, Context& context) {
    const Response head(200);
    context.begin(head, 4);
    co_await context.write(request.query);
    co_return Response(200, "");
}

/// Two that write at once, more than a client takes.
Task<std::string> pour(Context& context, char letter) {
    const std::string piece(64 * 1024, letter);
    for (int i = 0; i < 100; ++i) co_await context.write(piece);
    co_return std::string(1, letter);
}
Task<Response> pours(Request, Context& context) {
    const Life life;
    context.begin(Response(200));
    auto parts = co_await context.all(pour(context, 'a'), pour(context, 'b'));
    co_return Response(200, *std::get<0>(parts) + *std::get<1>(parts));
}

/// Is not waited for by its deadline when it is over, however long what was awaited lives.
Task<Response> outlives(Request, Context& context) {
    auto both = context.all(50ms, nap(context, 1ms), nap(context, 2ms));
    (void)co_await both;
    const auto begun = std::chrono::steady_clock::now();
    co_await context.sleep(300ms);
    const bool slept = std::chrono::steady_clock::now() - begun >= 290ms;
    co_return Response(200, slept ? "slept" : "woken by what was over");
}

Task<Response> breaks(Request, Context& context) {
    const Response head(200, "begin ");
    context.begin(head);
    co_await context.sleep(1ms);
    throw std::runtime_error("in the middle");
}

/// Reads the body as it comes, and answers while it does.
Task<Response> upload(Request, Context& context) {
    const Life life;
    std::size_t size = 0, largest = 0;
    for (;;) {
        const std::optional<std::string> piece = co_await context.read();
        if (!piece) break;
        size += piece->size();
        largest = std::max(largest, piece->size());
        co_await context.sleep(1ms);
    }
    co_return Response(200, std::to_string(size) + " " + (largest <= 256 * 1024 ? "bounded" : "unbounded"));
}

/// Back and forth.
Task<Response> talk(Request, Context& context) {
    context.begin(Response(200));
    for (;;) {
        const std::optional<std::string> piece = co_await context.read();
        if (!piece) break;
        co_await context.write(*piece);
    }
    co_return Response(200, "!");
}

Task<Response> ignores(Request, Context&) { co_return Response(200, "enough"); }

Task<Response> crash(Request, Context& context) {
    co_await context.sleep(1ms);
    std::abort();
}

Task<Response> loop(Request, Context& context) {
    co_await context.sleep(1ms);
    for (volatile bool forever = true; forever;) {
    }
    co_return Response(200);
}

/// Holds up its loop.
Task<Response> busy(Request request, Context& context) {
    co_await context.sleep(1ms);
    const auto end = std::chrono::steady_clock::now() + milliseconds(number(request, 100));
    while (std::chrono::steady_clock::now() < end) {
    }
    co_return Response(200);
}

Task<Response> leak(Request request, Context&) {
    const auto size = static_cast<std::size_t>(number(request, 1024 * 1024));
    auto* lost = static_cast<volatile char*>(std::malloc(size));  // NOLINT: that is what it is for
    for (std::size_t i = 0; i < size; i += 4096) lost[i] = 1;
    co_return Response(200, "leaked");
}

/// A system call that workers do not need.
Task<Response> forks(Request, Context&) {
    co_return Response(200, std::to_string(::syscall(SYS_getpgid, 0) > 0 ? 1 : 0));
}

Task<Response> says(Request, Context& context) {
    context.log(reeve::Level::warn, "one\ntwo");
    co_return Response(204);
}

Task<std::string> call(Context& context, std::string function, std::string bytes) {
    const Life life;
    co_return co_await context.compute("numbers", function, bytes);
}

Task<Response> compute(Request request, Context& context) {
    const Life life;
    const std::string result = co_await context.compute("numbers", request.query, request.body);
    co_return Response(200, result);
}

Task<Response> pid(Request, Context&) { co_return Response(200, std::to_string(::getpid())); }

/// Calls as many naps at once as the query says, `N` or `N,MILLISECONDS`, and counts how they end.
Task<Response> many(Request request, Context& context) {
    const auto comma = request.query.find(',');
    const std::string ms = comma == std::string::npos ? "100" : request.query.substr(comma + 1);
    std::vector<Task<std::string>> tasks;
    for (long i = 0; i < number(request, 3); ++i) tasks.push_back(call(context, "nap", ms));
    auto parts = co_await context.all(60s, std::move(tasks));
    std::string text;
    for (auto& part : parts) text += part ? "." : text_of(part) + ";";
    co_return Response(200, text);
}

/// In a thread, for so many milliseconds.
Task<std::string> block(Context& context, long ms) {
    const Life life;
    auto work = [ms, text = std::string("a text that is too long to be stored in place")] {
        ::usleep(static_cast<useconds_t>(ms * 1000));
        return text.substr(0, 6);
    };
    co_return co_await context.blocking("threads", work);
}

Task<Response> blocks(Request request, Context& context) {
    const std::string text = co_await block(context, number(request, 1));
    co_return Response(200, text);
}

Task<Response> block_many(Request request, Context& context) {
    std::vector<Task<std::string>> tasks;
    for (long i = 0; i < number(request, 3); ++i) tasks.push_back(block(context, 200));
    auto parts = co_await context.all(60s, std::move(tasks));
    std::string text;
    for (auto& part : parts) text += part ? "." : text_of(part) + ";";
    co_return Response(200, text);
}

Task<Response> block_throws(Request, Context& context) {
    auto work = []() -> int { throw std::runtime_error("a thread's own trouble"); };
    try {
        (void)co_await context.blocking("threads", work);
    } catch (const std::runtime_error& thrown) {
        co_return Response(200, thrown.what());
    }
    co_return Response(500);
}

Task<Response> block_dies(Request, Context& context) {
    auto work = [] { std::abort(); };
    co_await context.blocking("threads", work);
    co_return Response(200);
}

/// How long a tiny task takes in a process, and here, in microseconds each.
Task<Response> compare(Request request, Context& context) {
    const long times = number(request, 1000);
    const auto begun = std::chrono::steady_clock::now();
    for (long i = 0; i < times; ++i) (void)co_await context.compute("numbers", "reverse", "abc");
    const auto there = std::chrono::steady_clock::now() - begun;
    co_return Response(
        200, std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(there).count() / times));
}

// ---- functions for processes ----

std::string reverse(std::string_view bytes) { return {bytes.rbegin(), bytes.rend()}; }
std::string own_pid(std::string_view) { return std::to_string(::getpid()); }
std::string dies(std::string_view) { std::abort(); }
std::string refuses(std::string_view) { throw std::runtime_error("a function's own trouble"); }
std::string sleeps(std::string_view ms) {
    ::usleep(static_cast<useconds_t>(std::strtol(std::string(ms).c_str(), nullptr, 10) * 1000));
    return "slept";
}
std::string variable(std::string_view name) {
    const char* value = std::getenv(std::string(name).c_str());
    return value != nullptr ? value : "-";
}

/// For ever.
std::string spins(std::string_view) {
    for (volatile bool forever = true; forever;) {
    }
    return {};
}

/// As many bytes.
std::string leaks(std::string_view bytes) {
    const auto size = static_cast<std::size_t>(std::strtol(std::string(bytes).c_str(), nullptr, 10));
    auto* lost = static_cast<volatile char*>(std::malloc(size));  // NOLINT: that is what it is for
    for (std::size_t i = 0; i < size; i += 4096) lost[i] = 1;
    return std::to_string(::getpid());
}

void load(reeve::Setup& setup) {
    setup.compute("reverse", reverse);
    setup.compute("pid", own_pid);
    setup.compute("dies", dies);
    setup.compute("refuses", refuses);
    setup.compute("nap", sleeps);
    setup.compute("variable", variable);
    setup.compute("spins", spins);
    setup.compute("leaks", leaks);
    setup.handler("blocks", blocks);
    setup.handler("block_many", block_many);
    setup.handler("block_throws", block_throws);
    setup.handler("block_dies", block_dies);
    setup.handler("many", many);
    setup.handler("compare", compare);
    if (setup.option("refuse") == "yes") setup.refuse("it was told to");
    if (setup.option("throw") == "yes") throw std::runtime_error("it was told to throw");
    if (setup.option("crash") == "yes") std::abort();
    if (const std::string path(setup.option("crash_if"));
        !setup.checking && ::access(path.c_str(), F_OK) == 0)
        std::abort();
    setup.handler("hello", hello);
    setup.handler("echo", echo);
    setup.handler("count", count);
    setup.handler("sleep", sleep);
    setup.handler("throws", throws);
    setup.handler("fails", fails);
    setup.handler("splits", splits);
    setup.handler("frames", frames);
    setup.handler("fetch", fetch);
    setup.handler("gather", gather);
    setup.handler("naps", naps);
    setup.handler("stream", stream);
    setup.handler("file", file);
    setup.handler("ticking", ticking);
    if (const std::string path(setup.option("file")); !path.empty())
        opened_by_load = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (setup.option("thread") == "yes" && !setup.checking)
        std::thread([] {
            for (;; ++ticks) std::this_thread::sleep_for(1ms);
        }).detach();
    setup.handler("sized", sized);
    setup.handler("pours", pours);
    setup.handler("outlives", outlives);
    setup.handler("breaks", breaks);
    setup.handler("upload", upload, reeve::Body::pieces);
    setup.handler("talk", talk, reeve::Body::pieces);
    setup.handler("ignores", ignores, reeve::Body::pieces);
    setup.handler("crash", crash);
    setup.handler("loop", loop);
    setup.handler("busy", busy);
    setup.handler("leak", leak);
    setup.handler("forks", forks);
    setup.handler("says", says);
    setup.handler("compute", compute);
    setup.handler("pid", pid);
    const std::string option(setup.option("greeting"));
    setup.handler("greet", [option](Request request, Context&) -> Task<Response> {
        return [](std::string greeting, Request asked) -> Task<Response> {
            co_return Response(200, greeting + " " + asked.query);
        }(option, std::move(request));
    });
}

}  // namespace

REEVE_MODULE(load);
