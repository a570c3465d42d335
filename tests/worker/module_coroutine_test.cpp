// The public header of modules, with a server that is only this test: who runs when, and who ends where.
#include <catch2/catch.hpp>

#include <deque>

#include "worker/module/reeve.h"

using namespace std::chrono_literals;
using reeve::Context;
using reeve::milliseconds;
using reeve::Task;
using reeve::detail::Outcome;
using reeve::detail::Wait;

namespace {

/// Whatever is asked of it waits until the test says so.
class FakeServer final : public reeve::detail::Host {
 public:
    bool sleep(Wait& wait, milliseconds time) override { return add(wait, time.count()); }
    bool fetch(Wait& wait, std::string_view upstream, const reeve::Question& question, reeve::Answer& answer,
               Outcome& outcome) override {
        if (upstream == "broken") {
            outcome = {502, "it broke"};
            return false;
        }
        answer.status = 200;
        answer.body = question.target;
        return add(wait, 0);
    }
    bool compute(Wait& wait, std::string_view, std::string_view, std::string_view bytes, std::string& result,
                 Outcome&) override {
        result = std::string(bytes) + "!";
        return add(wait, 0);
    }
    bool blocking(Wait& wait, std::string_view, const std::shared_ptr<reeve::detail::Job>& job,
                  Outcome&) override {
        jobs.push_back(job);
        return add(wait, 0);
    }
    bool read(Wait&, std::optional<std::string>& piece) override {
        piece.reset();
        return false;
    }
    void begin(const reeve::Response&, std::optional<std::uint64_t>) override {}
    bool write(Wait&, std::string_view) override { return false; }
    void give_up(Wait& wait) noexcept override {
        ++given_up;
        std::erase_if(waiting, [&](const auto& one) { return one.first == &wait; });
        wait.work = nullptr;
    }
    void log(reeve::Level, std::string_view) override {}
    bool enqueue(Wait& wait, std::string_view queue, std::string&& body, const reeve::JobOptions& options,
                 reeve::Enqueued& job, reeve::detail::Refusal& refusal) override {
        if (queue == "full") {
            refusal = {reeve::NotEnqueued::Reason::full, "the queue is full"};
            return false;
        }
        job.id = std::string(queue) + " " + std::exchange(body, {}) + " " + options.key;
        return add(wait, 0);
    }

    /// Lets who waits with that number go on.
    void finish(long number) {
        const auto one = std::find_if(waiting.begin(), waiting.end(),
                                      [&](const auto& each) { return each.second == number; });
        REQUIRE(one != waiting.end());
        Wait& wait = *one->first;
        waiting.erase(one);
        wait.work = nullptr;
        wait.waiter.resume();
    }

    std::deque<std::pair<Wait*, long>> waiting;
    std::deque<std::shared_ptr<reeve::detail::Job>> jobs;
    int given_up = 0;

 private:
    bool add(Wait& wait, long number) {
        waiting.emplace_back(&wait, number);
        wait.work = this;
        return true;
    }
};

struct Life {
    explicit Life(int& number) : alive(number) { ++alive; }
    Life(const Life&) = delete;
    Life& operator=(const Life&) = delete;
    ~Life() { --alive; }
    int& alive;
};

Task<std::string> nap(Context& context, int& alive, long number) {
    const Life life(alive);
    co_await context.sleep(milliseconds(number));
    co_return std::to_string(number);
}

Task<std::string> nap_twice(Context& context, int& alive) {
    const Life life(alive);
    std::string first = co_await nap(context, alive, 1);
    const std::string second = co_await nap(context, alive, 2);
    co_return first + second;
}

Task<std::string> fail(Context& context, int& alive) {
    const Life life(alive);
    co_await context.sleep(3ms);
    throw std::runtime_error("no");
}

Task<std::string> gather(Context& context, int& alive) {
    const Life life(alive);
    auto [one, two, three] =
        co_await context.all(9ms, nap(context, alive, 1), nap_twice(context, alive), fail(context, alive));
    std::string text = one ? *one : "late";
    text += two ? *two : two.late() ? "late" : "threw";
    text += three ? *three : three.late() ? "late" : "threw";
    co_return text;
}

Task<std::string> catch_it(Context& context, int& alive) {
    try {
        co_return co_await fail(context, alive);
    } catch (const std::exception& thrown) {
        co_return std::string("caught ") + thrown.what();
    }
}

Task<std::string> ask(Context& context, std::string upstream) {
    const reeve::Question question("/target");
    const reeve::Answer answer = co_await context.fetch(upstream, question);
    const std::string computed = co_await context.compute("pool", "function", answer.body);
    const auto work = [computed] { return computed + "?"; };
    co_return co_await context.blocking("threads", work);
}

Task<std::string> ask_for_job(Context& context, std::string queue) {
    reeve::JobOptions options;
    options.key = "k";
    const reeve::Enqueued job = co_await context.enqueue(queue, "body", options);
    const reeve::Enqueued plain = co_await context.enqueue(queue, "another");
    co_return job.id + ", " + plain.id;
}

template <class T>
void begin(Task<T>& task) {
    task.coroutine().resume();
}

}  // namespace

TEST_CASE("a task begins when it is awaited, and its caller goes on when it is over", "[module]") {
    FakeServer server;
    Context context(server);
    int alive = 0;
    Task<std::string> task = nap_twice(context, alive);
    CHECK(alive == 0);
    begin(task);
    CHECK(alive == 2);
    server.finish(1);
    CHECK(alive == 2);
    CHECK_FALSE(task.over());
    server.finish(2);
    CHECK(task.over());
    CHECK(task.await_resume() == "12");
    CHECK(alive == 0);
}

TEST_CASE("a task that goes is ended where it waits, with all that it awaits", "[module]") {
    FakeServer server;
    Context context(server);
    int alive = 0;
    {
        Task<std::string> task = gather(context, alive);
        begin(task);
        CHECK(alive == 5);
        CHECK(server.waiting.size() == 4);  // three tasks and the deadline
    }
    CHECK(alive == 0);
    CHECK(server.waiting.empty());
    CHECK(server.given_up == 4);
}

TEST_CASE("tasks side by side are over when the last one is", "[module]") {
    FakeServer server;
    Context context(server);
    int alive = 0;
    Task<std::string> task = gather(context, alive);
    begin(task);
    server.finish(1);
    server.finish(1);
    server.finish(3);
    CHECK_FALSE(task.over());
    server.finish(2);
    REQUIRE(task.over());
    CHECK(task.await_resume() == "112threw");
    CHECK(server.waiting.empty());  // no deadline is left
    CHECK(alive == 0);
}

TEST_CASE("at the deadline there is what came, and the rest is ended", "[module]") {
    FakeServer server;
    Context context(server);
    int alive = 0;
    Task<std::string> task = gather(context, alive);
    begin(task);
    server.finish(1);
    server.finish(9);
    REQUIRE(task.over());
    CHECK(task.await_resume() == "1latelate");
    CHECK(server.waiting.empty());
    CHECK(alive == 0);
}

TEST_CASE("an exception goes to who awaits", "[module]") {
    FakeServer server;
    Context context(server);
    int alive = 0;
    Task<std::string> task = catch_it(context, alive);
    begin(task);
    server.finish(3);
    CHECK(task.await_resume() == "caught no");
    CHECK(alive == 0);
}

TEST_CASE("what is asked of the server comes back, or throws what failed", "[module]") {
    FakeServer server;
    Context context(server);
    Task<std::string> task = ask(context, "fine");
    begin(task);
    server.finish(0);
    server.finish(0);
    REQUIRE(server.jobs.size() == 1);
    server.jobs.front()->run();
    server.finish(0);
    CHECK(task.await_resume() == "/target!?");

    Task<std::string> broken = ask(context, "broken");
    begin(broken);
    REQUIRE(broken.over());
    try {
        (void)broken.await_resume();
        FAIL("it did not throw");
    } catch (const reeve::Failed& failed) {
        CHECK(failed.status() == 502);
        CHECK(std::string(failed.what()) == "it broke");
    }
}

TEST_CASE("a job that was asked for has a name, and why there is none is told by kind", "[module][jobs]") {
    using Reason = reeve::NotEnqueued::Reason;
    FakeServer server;
    Context context(server);
    Task<std::string> task = ask_for_job(context, "mail");
    begin(task);
    server.finish(0);
    server.finish(0);
    REQUIRE(task.over());
    CHECK(task.await_resume() == "mail body k, mail another ");

    Task<std::string> refused = ask_for_job(context, "full");
    begin(refused);
    REQUIRE(refused.over());
    try {
        (void)refused.await_resume();
        FAIL("it did not throw");
    } catch (const reeve::NotEnqueued& failed) {
        CHECK(failed.reason() == Reason::full);
        CHECK(failed.status() == 503);
    }
    CHECK(reeve::NotEnqueued(Reason::unstored, "").status() == 503);
    CHECK(reeve::NotEnqueued(Reason::too_large, "").status() == 413);
    CHECK(reeve::NotEnqueued(Reason::no_queue, "").status() == 500);
    CHECK(reeve::NotEnqueued(Reason::refused, "").status() == 500);
    CHECK(reeve::NotEnqueued(Reason::other_request, "").status() == 422);
    CHECK(reeve::NotEnqueued(Reason::in_flight, "").status() == 409);
    {
        Task<std::string> left = ask_for_job(context, "mail");
        begin(left);
        CHECK(server.given_up == 0);
    }
    CHECK(server.given_up == 1);
}

TEST_CASE("work that runs when its coroutine has gone has all it needs", "[module]") {
    FakeServer server;
    Context context(server);
    {
        Task<std::string> task = ask(context, "fine");
        begin(task);
        server.finish(0);
        server.finish(0);
    }
    REQUIRE(server.jobs.size() == 1);
    server.jobs.front()->run();
}

TEST_CASE("fields are found in any case", "[module]") {
    reeve::Fields fields;
    fields.add("Content-Type", "a");
    fields.add("content-type", "b");
    CHECK(fields.get("CONTENT-TYPE") == "a");
    CHECK(fields.get("content") == "");
    CHECK(fields.size() == 2);
}
