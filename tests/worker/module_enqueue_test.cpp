// What a coroutine's wish for a job comes to: the same job as a request's, and a sentence where it makes no
// sense.
#include "worker/handler/module_enqueue.h"

#include <catch2/catch.hpp>

#include "worker/handler/job_request.h"

namespace {

using namespace std::chrono_literals;
using Reason = reeve::NotEnqueued::Reason;

constexpr worker::jobs::UnixMs now = 1'700'000'000'000;

conf::Queue mail() {
    conf::Queue queue;
    queue.name = "mail";
    queue.priority = -3;
    queue.attempts = 7;
    queue.job_size_max = 10;
    queue.size_max = {5, 1000};
    queue.callbacks.urls = {"http://host/"};
    return queue;
}

auto made(const reeve::JobOptions& options, const conf::Queue& queue = mail(), std::string body = "body") {
    return worker::handler::make_job(queue, std::move(body), options, now);
}

/// Why it is refused, and that this is the module's own mistake.
std::string refused(const reeve::JobOptions& options) {
    const auto job = made(options);
    REQUIRE_FALSE(job);
    CHECK(job.error().reason == Reason::refused);
    return job.error().why;
}

}  // namespace

TEST_CASE("what a coroutine does not say of its job is the queue's", "[module][jobs]") {
    const auto plain = made({});
    REQUIRE(plain);
    CHECK(plain->job.queue == "mail");
    CHECK(plain->job.body == "body");
    CHECK(plain->job.run_at == 0);
    CHECK(plain->job.priority == -3);
    CHECK(plain->job.attempts == 7);
    CHECK(plain->job.idempotency_key.empty());
    CHECK(plain->job.idempotency_until == 0);
    CHECK(plain->room.jobs == 5);
    CHECK(plain->room.bytes == 1000);

    reeve::JobOptions all;
    all.type = "text/plain";
    all.delay = 1500ms;
    all.priority = 100;
    all.attempts = 1000;
    all.key = "k";
    all.unique = "u";
    all.idempotency_key = "i";
    all.callback = "http://host/x";
    const auto full = made(all);
    REQUIRE(full);
    CHECK(full->job.content_type == "text/plain");
    CHECK(full->job.run_at == now + 1500);
    CHECK(full->job.priority == 100);
    CHECK(full->job.attempts == 1000);
    CHECK(full->job.key == "k");
    CHECK(full->job.unique == "u");
    CHECK(full->job.callback == "http://host/x");
    CHECK(full->job.idempotency_key == "i");
    CHECK(full->job.fingerprint == worker::handler::fingerprint_of(full->job));
    CHECK(full->job.idempotency_until == now + 24 * 3'600'000);
}

TEST_CASE("a moment that is over means at once, one beyond ten years is refused", "[module][jobs]") {
    const auto moment = [](worker::jobs::UnixMs ms) {
        reeve::JobOptions options;
        options.run_at = std::chrono::system_clock::time_point(std::chrono::milliseconds(ms));
        return options;
    };
    CHECK(made(moment(now + 1))->job.run_at == now + 1);
    CHECK(made(moment(now))->job.run_at == 0);
    CHECK(made(moment(-5))->job.run_at == 0);
    CHECK(refused(moment(now + 3651ll * 24 * 3'600'000)) == "run_at takes a moment within ten years");
}

TEST_CASE("options that make no sense are refused, each with its reason", "[module][jobs]") {
    const auto with = [](auto change) {
        reeve::JobOptions options;
        change(options);
        return refused(options);
    };
    CHECK(with([](auto& o) { o.priority = -101; }) == "priority takes a number, -100 to 100");
    CHECK(with([](auto& o) { o.attempts = 0; }) == "attempts takes a number, 1 to 1000");
    CHECK(with([](auto& o) { o.attempts = 1001; }) == "attempts takes a number, 1 to 1000");
    CHECK(with([](auto& o) { o.delay = -1ms; }) == "delay takes a time, up to ten years");
    CHECK(with([](auto& o) { o.delay = 3651 * 24h; }) == "delay takes a time, up to ten years");
    CHECK(with([](auto& o) { o.key = std::string(256, 'k'); }) == "key takes up to 255 printable characters");
    CHECK(with([](auto& o) { o.unique = "a\nb"; }) == "unique takes up to 255 printable characters");
    CHECK(with([](auto& o) { o.idempotency_key = "\xff"; }) ==
          "idempotency_key takes up to 255 printable characters");
    CHECK(with([](auto& o) { o.type = "a\r\nb: c"; }) == "type takes up to 255 printable characters");
    CHECK(with([](auto& o) { o.callback = "mailto:me"; }) == "callback: a URL is wanted: http://HOST/path");
    CHECK(with([](auto& o) { o.callback = "http://other/x"; }) ==
          "callback: this URL is not among those that this queue may tell");
    const auto both = with([](auto& o) {
        o.delay = 1ms;
        o.run_at = std::chrono::system_clock::time_point(1s);
    });
    CHECK(both == "delay and run_at exclude each other");
}

TEST_CASE("jobs that tell of the ends of others are made by no coroutine", "[module][jobs]") {
    auto queue = mail();
    queue.internal = true;
    const auto job = made({}, queue);
    REQUIRE_FALSE(job);
    CHECK(job.error().reason == Reason::refused);
}

TEST_CASE("a queue that wants a key, or smaller bodies, wants them of coroutines too", "[module][jobs]") {
    auto queue = mail();
    queue.idempotency_required = true;
    CHECK(made({}, queue).error().why == "[queue mail] wants an idempotency_key");
    CHECK(made({}, mail(), std::string(10, 'x')));
    const auto large = made({}, mail(), std::string(11, 'x'));
    REQUIRE_FALSE(large);
    CHECK(large.error().reason == Reason::too_large);
    CHECK(large.error().why == "[queue mail] takes 10 bytes at most");
}
