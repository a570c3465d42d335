// The breaker of an upstream on the real program: over all workers as one, told once, freed of the dead.
#include <signal.h>

#include "tests/integration/check.h"
#include "tests/integration/proxied.h"

using namespace integration;

namespace {

Setup guarded(const std::string& address, const std::string& upstream_lines, const std::string& more = "") {
    return {.execution = "workers = 4\n",
            .routes = "[upstream u]\npeer = " + address + "\n" + upstream_lines +
                      "[route all]\npath = /\nproxy = u\n" + more +
                      "[route metrics]\npath = = /metrics\nmetrics = on\n"};
}

/// The value of a sample, as it stands.
std::string sample(const Server& server, const std::string& name) {
    const std::string text = server.get("/metrics").body;
    const auto at = text.find(name + " ");
    return at == std::string::npos
               ? ""
               : text.substr(at + name.size() + 1, text.find('\n', at) - at - name.size() - 1);
}

}  // namespace

TEST_CASE("failures over all workers open the breaker, once", "[integration][breaker]") {
    const TemporaryFolder folder;
    Origin origin(always(answer("bad", "", 503)));
    const Server server(folder, guarded(origin.address(), "breaker_failures = 5\nbreaker_reset = 1h\n"));
    for (int i = 0; i < 40; ++i) CHECK(server.get("/").status == 503);  // each over a connection of its own
    CHECK(origin.asked().size() == 5);
    const Response refused = server.get("/");
    CHECK(std::stoi(refused.field("Retry-After")) > 3000);
    CHECK(count(server.log(), "breaker changed upstream=u from=closed to=open cause=failures") == 1);
    CHECK(sample(server, "reeve_breaker_state{upstream=\"u\",state=\"open\"}") == "1");
    CHECK(sample(server, "reeve_breaker_transitions_total{upstream=\"u\",to=\"open\"}") == "1");
    CHECK(sample(server, "reeve_breaker_refused_total{upstream=\"u\"}") == "36");
    CHECK(contains(server.command({"status"}).output, "open"));

    SECTION("and it stays open over a reload") {
        REQUIRE(server.command({"-s", "reload"}).status == 0);
        CHECK(server.get("/").status == 503);
        CHECK(origin.asked().size() == 5);
    }
    SECTION("until the operator says otherwise") {
        REQUIRE(server.command({"breaker", "u", "close"}).status == 0);
        CHECK(server.get("/").body == "bad");
        REQUIRE(server.command({"breaker", "u", "open"}).status == 0);
        CHECK(server.get("/").body != "bad");
        REQUIRE(server.command({"breaker", "u", "auto"}).status == 0);
        CHECK(server.get("/").body == "bad");
        CHECK(server.command({"breaker", "none", "auto"}).status == 1);
    }
}

TEST_CASE("a breaker closes by itself when probes succeed", "[integration][breaker]") {
    const TemporaryFolder folder;
    std::atomic<bool> well{false};
    Origin origin([&](const Asked&, Origin::Talk& talk) { talk.send(answer("x", "", well ? 200 : 502)); });
    const Server server(folder, guarded(origin.address(), "breaker_failures = 2\nbreaker_reset = 50ms\n"));
    eventually("it opens", [&] { return contains(server.log(), "to=open") || server.get("/").status == 0; });
    well = true;
    eventually("it closes", [&] { return server.get("/").status == 200; });
    CHECK(sample(server, "reeve_breaker_transitions_total{upstream=\"u\",to=\"closed\"}") == "1");
    for (int i = 0; i < 8; ++i) CHECK(server.get("/").status == 200);
}

TEST_CASE("clients that leave count for nothing", "[integration][breaker]") {
    const TemporaryFolder folder;
    Origin origin(silent());
    const Server server(folder, guarded(origin.address(), "breaker_failures = 2\n"));
    for (std::size_t i = 1; i <= 6; ++i) {
        Client client = server.connect();
        client.send(get("/"));
        (void)origin.await(i);
    }
    CHECK(sample(server, "reeve_breaker_state{upstream=\"u\",state=\"closed\"}") == "1");
}

TEST_CASE("the permit of a probe is free again when its worker is killed", "[integration][breaker]") {
    const TemporaryFolder folder;
    std::atomic<bool> mute{false};
    Origin origin([&](const Asked&, Origin::Talk& talk) {
        if (mute.exchange(false)) return talk.await_end();
        talk.send(answer("x", "", 502));
    });
    const Server server(folder, guarded(origin.address(), "breaker_failures = 1\nbreaker_reset = 200ms\n"));
    CHECK(server.get("/").status == 502);  // opens
    mute = true;
    Client probe = server.connect();
    eventually("a probe is under way", [&] {
        probe = server.connect();
        probe.send(get("/"));
        return !probe.heard(50);
    });
    const std::size_t asked = origin.asked().size();
    CHECK(server.get("/").status == 503);
    CHECK(origin.asked().size() == asked);
    for (const WorkerStatus& worker : server.status().workers) ::kill(worker.pid, SIGKILL);
    eventually("another probe is sent", [&] {
        (void)server.get("/");
        return origin.asked().size() > asked;
    });
}

TEST_CASE("a fallback is served in place of what cannot be had", "[integration][breaker]") {
    const TemporaryFolder folder;
    const Server server(folder,
                        guarded(nobody(), "breaker_failures = 1\n",
                                "fallback = /calm\n[route calm]\npath = = /calm\nrespond = 200 \"calm\"\n"));
    for (int i = 0; i < 3; ++i) {  // before the breaker opens, and after
        const Response response = server.get("/x");
        CHECK(response.status == 200);
        CHECK(response.body == "calm");
    }
}
