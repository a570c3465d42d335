// tests/worker/jobs_callback_test.cpp: whoever wants to hear of the end of a job does: stored with the end,
// signed, and tried again.
#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include "tests/fuzz/callback_url_property.h"
#include "tests/worker/jobs_store.h"
#include "tests/worker/jobs_world.h"
#include "tests/worker/turn.h"
#include "worker/jobs/callback.h"
#include "worker/jobs/job_json.h"
#include "worker/jobs/signature.h"

using namespace worker::jobs;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

const std::string secret = "0123456789abcdef";

class FullDisk final : public DiskWatch {
 public:
    int write(std::string_view, std::int64_t, std::string_view) override {
        return full ? SQLITE_FULL : SQLITE_OK;
    }
    int truncate(std::string_view, std::int64_t) override { return SQLITE_OK; }
    int sync(std::string_view) override { return SQLITE_OK; }
    int remove(std::string_view) override { return SQLITE_OK; }
    bool full = false;
};

NewJob told_job(jobs_store::World& world, const std::string& id) {
    auto wanted = world.job(id);
    wanted.callback = "http://hooks.example/jobs/" + id;
    return wanted;
}

std::vector<Claimed> callbacks(jobs_store::World& world) { return world.claim(100, 0, "mail:callbacks"); }

}  // namespace

TEST_CASE("a signature is an HMAC-SHA256 of the time and the body", "[jobs][callbacks]") {
    // RFC 4231, 4.3 and 4.4
    CHECK(hmac_sha256("Jefe", "what do ya want for nothing?") ==
          "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    CHECK(hmac_sha256(std::string(20, '\xaa'), std::string(50, '\xdd')) ==
          "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    CHECK(signature_of(secret, 1'700'000'000, "{}") ==
          "t=1700000000,v1=e4f8e2ecae2295b2ddb2f0b5584c8275e226c0ebe9b3b819e70156bb67122e3e");
}

TEST_CASE("the end of a job makes a callback, in the same transaction", "[jobs][callbacks]") {
    jobs_store::AnyWorld world;
    world.enqueue(told_job(world, "a"));
    world.enqueue("b");
    auto claimed = world.claim(10);
    REQUIRE(claimed.size() == 2);
    CHECK(callbacks(world).empty());
    for (const auto& job : claimed) {
        Finish finish;
        finish.id = job.id;
        finish.fence = job.fence;
        finish.result = "sent";
        finish.result_type = "text/plain";
        CHECK(world.ask(finish).answer.accepted);
        CHECK(world.ask(finish).answer.accepted);  // said again, it makes none again
    }
    const auto made = callbacks(world);
    REQUIRE(made.size() == 1);
    CHECK(made[0].callback == "http://hooks.example/jobs/a");
    CHECK(made[0].key == "a");
    CHECK(made[0].content_type == "application/json");
    const auto body = json::parse(made[0].body);
    CHECK(body["id"] == "a");
    CHECK(body["queue"] == "mail");
    CHECK(body["state"] == "done");
    CHECK(body["result"]["size"] == 4);
    CHECK(body["history"].size() == 1);
}

TEST_CASE("dead and cancelled jobs are told of too, each time they end", "[jobs][callbacks]") {
    jobs_store::AnyWorld world;
    const auto state_told = [&] {
        const auto made = callbacks(world);
        return made.size() == 1 ? json::parse(made[0].body)["state"].get<std::string>() : std::string();
    };
    world.enqueue(told_job(world, "a"));
    world.finish(world.claim_one(), Ending::permanent);
    CHECK(state_told() == "dead");
    world.retry("a");
    CHECK(state_told().empty());
    world.finish(world.claim_one(), Ending::failed, world.now + 1000);
    CHECK(state_told().empty());  // it will be tried again
    world.cancel("a");
    CHECK(state_told() == "cancelled");

    world.enqueue(told_job(world, "b"));
    const auto running = world.claim_one();
    world.cancel("b");
    CHECK(state_told().empty());
    world.finish(running, Ending::cancelled);
    CHECK(state_told() == "cancelled");

    auto once = told_job(world, "c");
    once.attempts = 1;
    world.enqueue(once);
    (void)world.claim_one();
    world.ask(Recover{});  // nobody lives
    CHECK(json::parse(callbacks(world).back().body)["state"] == "dead");
}

TEST_CASE("what is told of a job is what is shown of it, whoever makes it", "[jobs][callbacks]") {
    jobs_store::AnyWorld world;
    auto wanted = told_job(world, "a");
    wanted.key = "k\"\\";
    wanted.request = "PUT";
    world.enqueue(wanted);
    world.finish(world.claim_one(), Ending::failed, 0, "it said \"no\" \xc3\xa4");
    world.now += 1234;
    const auto running = world.claim_one();
    Progress progress;
    progress.id = running.id;
    progress.fence = running.fence;
    progress.text = "half\tdone";
    CHECK(world.ask(progress).answer.accepted);
    Finish finish;
    finish.id = running.id;
    finish.fence = running.fence;
    finish.result = "sent";
    finish.result_type = "text/plain";
    finish.result_cut = true;
    SECTION("a result") {}
    SECTION("an answer") {
        finish.result_status = 201;
        finish.result_fields = "ETag: x\r\nLink: a: b\r\nodd\r\nLink: c\r\n";
    }
    CHECK(world.ask(finish).answer.accepted);
    const auto made = callbacks(world);
    REQUIRE(made.size() == 1);
    CHECK(made[0].body == job_json(world.get("a"), {}).dump());
    CHECK(made[0].id.size() == 36);
    CHECK(made[0].id[14] == '7');
    CHECK(made[0].attempts == 0);
}

TEST_CASE("the end of a callback is told to nobody", "[jobs][callbacks]") {
    jobs_store::AnyWorld world;
    world.enqueue(told_job(world, "a"));
    world.finish(world.claim_one(), Ending::done);
    const auto made = callbacks(world);
    REQUIRE(made.size() == 1);
    world.finish(made[0], Ending::done);
    CHECK(callbacks(world).empty());
    CHECK(world.stats("mail:callbacks").done == 1);
    CHECK(world.get(made[0].id).callback == "http://hooks.example/jobs/a");
    CHECK_FALSE(is_told("mail:callbacks", "http://hooks.example/"));
}

TEST_CASE("where the end cannot be stored there is no callback, and later one, which outlives the store",
          "[jobs][callbacks]") {
    FullDisk disk;
    SqliteOptions options;
    options.watch = &disk;
    jobs_store::World world(options);
    world.enqueue(told_job(world, "a"));
    const auto running = world.claim_one();
    Finish finish;
    finish.id = running.id;
    finish.fence = running.fence;
    disk.full = true;
    CHECK_FALSE(world.attempt(finish));
    CHECK_FALSE(world.attempt(finish));
    disk.full = false;
    CHECK(world.stats("mail:callbacks").ready == 0);
    CHECK(world.get("a").state == State::running);
    CHECK(world.ask(finish).answer.accepted);
    world.reopen();
    CHECK(callbacks(world).size() == 1);
}

TEST_CASE("where as many wait to be told as the queue has room for, no more are taken that want it",
          "[jobs][callbacks]") {
    using What = Enqueue::Answer::What;
    jobs_store::AnyWorld world;
    const Room room{1, 0};
    CHECK(world.enqueue(told_job(world, "a"), room).what == What::created);
    world.finish(world.claim_one(), Ending::done);
    CHECK(world.enqueue(told_job(world, "b"), room).what == What::full);
    CHECK(world.enqueue(world.job("c"), room).what == What::created);
    std::vector<Operation> batch;
    for (const auto& id : {"d", "e"}) {
        Enqueue one;
        one.job = told_job(world, id);
        one.room = {0, 100};  // less than what waits to be told
        batch.emplace_back(std::move(one));
    }
    REQUIRE(world.store->apply(batch, world.now));
    for (const auto& one : batch) CHECK(std::get<Enqueue>(one).answer.what == What::full);
}

TEST_CASE("who is told gets a signed POST, and says with its status whether it wants it again",
          "[jobs][callbacks]") {
    Backend backend;
    jobs_test::JobsWorld jobs(backend, [](conf::Queue& queue) {
        queue.internal = true;
        queue.attempts = 2;
        queue.callbacks.urls = {"http://hooks.example/jobs/"};
        queue.callbacks.secret = secret;
        queue.backoff = {1ms, 1ms};
    });
    const auto add = [&](const std::string& id, const std::string& url) {
        auto& job = jobs.keeping.add(id, "{\"id\":\"x\"}");
        job.claimed.callback = url;
        job.claimed.attempts = 0;
    };
    add("a", "http://hooks.example/jobs/a?b=c");
    jobs.runners->start();
    REQUIRE(jobs.until(
        [&] { return !backend.talks.empty() && backend.talks[0].heard.ends_with("{\"id\":\"x\"}"); }));
    Conversation& talk = backend.talks[0];
    CHECK(talk.heard.starts_with("POST /jobs/a?b=c HTTP/1.1\r\nHost: hooks.example\r\n"));
    CHECK(talk.heard.find("\r\nIdempotency-Key: \"a\"\r\n") != std::string::npos);
    CHECK(talk.heard.find("\r\nReeve-Attempt: 1\r\n") != std::string::npos);
    const auto at = talk.heard.find("\r\nReeve-Signature: ");
    REQUIRE(at != std::string::npos);
    const auto value = talk.heard.substr(at + 19, talk.heard.find("\r\n", at + 2) - at - 19);
    CHECK(value == signature_of(secret, std::stoll(value.substr(2)), "{\"id\":\"x\"}"));
    talk.heard.clear();
    talk.say("HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n");  // it may be there later
    REQUIRE(jobs.ended("a", 1));
    CHECK(jobs.keeping.jobs["a"].endings[0] == Ending::failed);
    REQUIRE(jobs.until([&] { return talk.heard.find("Reeve-Attempt: 2") != std::string::npos; }));
    talk.say("HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n");
    REQUIRE(jobs.ended("a", 2));
    CHECK(jobs.keeping.jobs["a"].endings[1] == Ending::permanent);
    CHECK(jobs.keeping.jobs["a"].error == "status 500, in the last of 2 attempts");
}

TEST_CASE("a URL that the configuration does not allow any more is not told", "[jobs][callbacks]") {
    Backend backend;
    jobs_test::JobsWorld jobs(backend, [](conf::Queue& queue) {
        queue.internal = true;
        queue.callbacks.urls = {"http://hooks.example/jobs/"};
        queue.callbacks.secret = secret;
    });
    jobs.keeping.add("a", "{}").claimed.callback = "http://127.0.0.1/";
    jobs.runners->start();
    REQUIRE(jobs.is("a", State::dead));
    CHECK(jobs.keeping.jobs["a"].error == "this URL is not among those that this queue may tell");
    CHECK(backend.talks.empty());
}

TEST_CASE("410 of who is told means never again", "[jobs][callbacks]") {
    CHECK(judge_callback(204, "", 0).ending == Ending::done);
    CHECK(judge_callback(410, "", 0).ending == Ending::permanent);
    for (const int status : {301, 400, 401, 404, 429, 500, 503})
        CHECK(judge_callback(static_cast<std::uint16_t>(status), "", 0).ending == Ending::failed);
    CHECK(judge_callback(503, "7", 1000).again_at == 8000);
}

TEST_CASE("what fuzzing has found of URLs of callbacks holds", "[jobs][callbacks]") {
    const auto found = fuzz::corpus("callback_url_fuzz");
    CHECK(found.size() >= 7);
    for (const auto& bytes : found) fuzz::check_callback_url(bytes);
}
