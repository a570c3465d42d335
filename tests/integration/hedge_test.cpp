// Hedging on the real program: a call that takes longer than most goes to another peer too, and not more
// often than it may.
#include <atomic>
#include <thread>

#include "tests/integration/check.h"
#include "tests/integration/load.h"
#include "tests/integration/proxied.h"

using namespace integration;

namespace {

/// Two peers, the second for copies and retries only, and what is counted.
Setup hedging(const Origin& first, const Origin& second, const std::string& lines,
              const std::string& more = "") {
    Setup setup = passing_to({first.address(), second.address() + " backup"}, more, "hedge = on\n" + lines);
    setup.routes += "[route metrics]\npath = = /metrics\nmetrics = on\n";
    return setup;
}

const std::string fixed_delay = "hedge_delay_min = 200ms\nhedge_delay_max = 200ms\nhedge_budget = 100\n";

std::uint64_t counted(const Server& server, const std::string& what) {
    const std::string text = server.get("/metrics").body;
    const std::string name = "reeve_upstream_hedges_" + what + "{upstream=\"origin\"} ";
    const auto at = text.find(name);
    if (at == std::string::npos) fail("no " + name);
    return std::stoull(text.substr(at + name.size()));
}

/// Answers, but for targets that contain "stuck", which hear nothing before their connection ends; `left`
/// counts those.
Origin::Script stuck(const std::string& says, std::atomic<int>& left) {
    return [says, &left](const Asked& asked, Origin::Talk& talk) {
        if (!contains(asked.target(), "stuck")) return void(talk.send(answer(says)));
        talk.await_end();
        ++left;
        talk.close();
    };
}

}  // namespace

TEST_CASE("a stuck peer is overtaken, and sees its connection end", "[integration][hedging]") {
    const TemporaryFolder folder;
    std::atomic<int> left{0};
    Origin first(stuck("first", left)), second(always(answer("second")));
    const Server server(folder, hedging(first, second, fixed_delay, "read_timeout = 1h\n"));
    CHECK(server.get("/").body == "first");
    for (int i = 1; i <= 5; ++i) {
        CHECK(server.get("/stuck").body == "second");
        eventually("the loser's connection is closed", [&] { return left == i; });
    }
    CHECK(server.get("/").body == "first");  // it is not ejected
    CHECK(second.asked().size() == 5);
    CHECK(second.asked()[0].head == first.asked()[1].head);
    CHECK(counted(server, "total") == 5);
    CHECK(counted(server, "won_total") == 5);
    CHECK(counted(server, "refused_total") == 0);
    CHECK_FALSE(contains(server.log(), "ejected"));
}

TEST_CASE("PUT with its body is sent twice, POST never is", "[integration][hedging]") {
    const TemporaryFolder folder;
    std::atomic<int> left{0};
    Origin first(stuck("first", left)), second(always(answer("second")));
    const Server server(folder, hedging(first, second, fixed_delay, "read_timeout = 500ms\nretries = 0\n"));
    CHECK(server.ask(post("/stuck", "body")).status == 504);
    CHECK(second.asked().empty());
    CHECK(counted(server, "total") == 0);
    CHECK(server.ask("PUT /stuck HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbody").body == "second");
    CHECK(second.await().payload == "body");
}

TEST_CASE("a client that leaves ends both copies", "[integration][hedging]") {
    const TemporaryFolder folder;
    std::atomic<int> left{0};
    Origin first(stuck("", left)), second(stuck("", left));
    const Server server(folder, hedging(first, second, fixed_delay, "read_timeout = 1h\n"));
    Client client = server.connect();
    client.send(get("/stuck"));
    (void)second.await();
    client.close();
    eventually("both are closed", [&] { return left == 2; });
}

TEST_CASE("parts of a fan-out are hedged too", "[integration][hedging]") {
    const TemporaryFolder folder;
    std::atomic<int> left{0};
    Origin first(stuck("1", left)), second(always(answer("2"))), other(always(answer("3")));
    Setup setup{.execution = "workers = 1\n",
                .routes = "[upstream a]\npeer = " + first.address() + "\n  " + second.address() +
                          " backup\nhedge = on\n" + fixed_delay + "[upstream b]\npeer = " + other.address() +
                          "\n[route all]\npath = /\nfanout = a b\nmerge = concat\n"};
    const Server server(folder, setup);
    CHECK(server.get("/").body == "13");
    CHECK(server.get("/stuck").body == "23");
    eventually("the loser's connection is closed", [&] { return left == 1; });
}

TEST_CASE("while both peers are slow no more copies are sent than the budget has room for",
          "[integration][hedging][one-loop]") {
    const TemporaryFolder folder;
    const Origin::Script slow = [](const Asked&, Origin::Talk& talk) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        talk.send(answer("late"));
    };
    Origin first(slow), second(slow);
    const Server server(folder, hedging(first, second,
                                        "hedge_delay_min = 1ms\nhedge_delay_max = 1ms\n"
                                        "hedge_budget = 5\n"));
    Load load(server.port(), 8, 0);
    eventually("many are answered", [&] { return load.answered() >= 400; });
    CHECK(load.finish().empty());
    const std::uint64_t calls = load.answered();
    CHECK(counted(server, "total") <= calls / 20 + 2);
    CHECK(second.asked().size() <= calls / 20 + 2);
    CHECK(counted(server, "refused_total") > calls / 2);
}

TEST_CASE("nothing is left behind by many hedged requests", "[integration][hedging]") {
    const TemporaryFolder folder;
    std::atomic<int> left{0};
    Origin first(stuck("", left)), second(always(answer("second")));
    const Server server(
        folder, hedging(first, second, "hedge_delay_min = 1ms\nhedge_delay_max = 1ms\nhedge_budget = 100\n",
                        "read_timeout = 1h\n"));
    const auto ask = [&](std::uint64_t count) {
        Load load(server.port(), 4, 0, "/stuck");
        eventually("they are answered", [&] { return load.answered() >= count; });
        CHECK(load.finish().empty());
        eventually("all losers are closed", [&] { return first.open() == 0; });
    };
    ask(100);
    const pid_t worker = server.status().workers.at(0).pid;
    const std::size_t open = descriptors(worker);
    const std::uint64_t resident = resident_bytes(worker);
    ask(1000);
    eventually("its descriptors are back", [&] { return descriptors(worker) <= open + 4; });
    // Sanitizers keep what was freed.
    CHECK(resident_bytes(worker) < resident + (sanitized() ? 256 << 20 : 2 << 20));
    CHECK(contains(server.get("/metrics").body,
                   "reeve_upstream_active{upstream=\"origin\",peer=\"" + first.address() + "\"} 0"));
}
