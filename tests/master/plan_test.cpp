// tests/master/plan_test.cpp: what the master keeps of a configuration, over a process boundary.
#include "master/plan.h"

#include "conf/load.h"

TEST_CASE("a plan is the same after it has been written down and read", "[master]") {
    const auto loaded = conf::load_text(
        "[reeve]\nuser = nobody\npid_file = /run/x.pid\ncore_max = 1m\nsandbox = off\nupgrade = manual\n"
        "[execution]\nworkers = 3\naccept = shared\nmax_requests = 77\nmax_memory = 3m\npreload = on\n"
        "[server a]\nlisten = [::1]:81 backlog=9\nlisten = unix:/run/x.sock\naccess_log = /var/log/x\n"
        "[upstream a]\npeer = 127.0.0.1:1\npeer = 127.0.0.1:2\n[upstream b]\npeer = 127.0.0.1:1\npeer = "
        "app.example:80 peers_max=3\nhealth = "
        "tcp\nconcurrency = adaptive\n"
        "[route one]\nrespond = 200 \"x\"\n[route two]\npath = /two\nstatus = on\n",
        "test");
    REQUIRE(loaded);
    const auto plan = master::make_plan(loaded->config);
    CHECK(plan.workers == 3);
    CHECK(plan.routes == std::vector<std::string>{"one", "two"});
    CHECK(plan.peers.size() == 3);
    CHECK(plan.names == std::vector<master::PlannedName>{{"b", "app.example:80", 3}});
    CHECK(plan.checked == std::vector<std::string>{"b"});
    CHECK(plan.preload);
    CHECK(plan.limited == std::vector<std::string>{"b"});
    CHECK(plan.reeve.core_max == 1u << 20);
    const auto again = master::decode_plan(master::encode_plan(plan));
    REQUIRE(again);
    CHECK(*again == plan);
}

TEST_CASE("a plan of automatic workers has as many as there are processors", "[master]") {
    CHECK(master::make_plan(conf::Config{}).workers >= 1);
}

TEST_CASE("what is not a plan is refused", "[master]") {
    const auto whole = master::encode_plan(master::make_plan(conf::Config{}));
    CHECK(master::decode_plan(whole));
    for (std::size_t size = 0; size < whole.size(); ++size)
        CHECK_FALSE(master::decode_plan(std::string_view(whole).substr(0, size)));
    CHECK_FALSE(master::decode_plan("{}"));
    CHECK_FALSE(master::decode_plan("[1]"));
    auto none = master::make_plan(conf::Config{});
    none.workers = 0;
    CHECK_FALSE(master::decode_plan(master::encode_plan(none)));
}

TEST_CASE("a plan says how many executors and sockets a worker has", "[master]") {
    const auto plan_of = [](const std::string& lines) {
        const auto loaded = conf::load_text("[execution]\n" + lines + "[route r]\nrespond = 200\n", "test");
        REQUIRE(loaded);
        const auto plan = master::make_plan(loaded->config);
        const auto again = master::decode_plan(master::encode_plan(plan));
        REQUIRE(again);
        CHECK(*again == plan);
        return plan;
    };
    CHECK(plan_of("").crew.executors() == 1);
    CHECK(plan_of("").queues() == 1);
    CHECK(plan_of("model = threads\nloops = 3\n").queues() == 3);
    CHECK(plan_of("model = threads\nloops = 3\naccept = shared\n").queues() == 1);
    CHECK(plan_of("model = pool\nloops = 3\n").queues() == 1);
    CHECK(plan_of("model = pool\nloops = 3\n").crew.executors() == 4);
    CHECK(plan_of("model = message\nthreads = 3\n").crew.executors() == 4);
    const auto process =
        plan_of("model = process\nworkers = 2\nprocesses_max = 7\nspares_min = 3\nspares_max = 5\n");
    CHECK(process.processes_max == 7);
    CHECK(process.spares_min == 3);
    CHECK(process.spares_max == 5);
    CHECK(process.workers == 2);
}
