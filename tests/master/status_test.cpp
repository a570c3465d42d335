// tests/master/status_test.cpp: what a reader of the status finds in it.
#include "master/status.h"

#include <nlohmann/json.hpp>

namespace {

master::Status sample() {
    master::Status status;
    status.master.pid = 7;
    status.master.state = "serving";
    status.master.config = "/etc/reeve/reeve.ini";
    status.master.age_ms = 3'723'000;
    status.master.reloads = 6;
    status.master.totals.requests = 1234;
    status.master.usage = {.cpu_seconds = 0.5, .rss_bytes = 3 << 20};
    master::WorkerStatus worker;
    worker.slot = 1;
    worker.pid = 42;
    worker.state = "stuck";
    worker.age_ms = 1500;
    worker.totals.requests = 99;
    worker.totals.statuses = {1, 0, 90, 3, 4, 5};
    worker.heartbeat_age_ms = 2600;
    worker.in_flight = "GET /slow?\"x\"";
    status.workers = {worker, master::WorkerStatus{}};
    status.listeners = {
        {.address = "127.0.0.1:80", .accept = "reuseport", .backlog = 511, .pending = 3, .slots = {0, 1}},
        {.address = "unix:/s", .accept = "shared", .backlog = 5, .pending = {}, .slots = {}}};
    return status;
}

}  // namespace

TEST_CASE("the JSON status has every number where a program looks for it", "[master]") {
    const auto json = nlohmann::json::parse(master::status_json(sample()));
    CHECK(json["master"]["pid"] == 7);
    CHECK(json["master"]["state"] == "serving");
    CHECK(json["master"]["version"] == REEVE_VERSION);
    CHECK(json["master"]["reloads_total"] == 6);
    CHECK(json["master"]["requests_total"] == 1234);
    CHECK(json["workers"].size() == 2);
    const auto& worker = json["workers"][0];
    CHECK(worker["slot"] == 1);
    CHECK(worker["requests_total"] == 99);
    CHECK(worker["responses_total"]["none"] == 1);
    CHECK(worker["responses_total"]["2xx"] == 90);
    CHECK(worker["responses_total"]["5xx"] == 5);
    CHECK(worker["heartbeat_age_seconds"] == 2.6);
    CHECK(worker["in_flight"] == "GET /slow?\"x\"");
    CHECK(json["workers"][1]["heartbeat_age_seconds"].is_null());
    CHECK(json["listeners"][0]["pending"] == 3);
    CHECK(json["listeners"][0]["slots"] == std::vector<int>{0, 1});
    CHECK(json["listeners"][1]["pending"].is_null());
}

TEST_CASE("the text status shows workers and listeners a line each", "[master]") {
    const auto text = master::status_text(sample());
    CAPTURE(text);
    CHECK(text.find("pid 7  serving  generation 1  up 1h 2m") != std::string::npos);
    CHECK(text.find("GET /slow") != std::string::npos);
    CHECK(text.find("127.0.0.1:80") != std::string::npos);
    CHECK(std::count(text.begin(), text.end(), '\n') == 10);
}

TEST_CASE("the status shows sentinels, and what checks say of peers", "[master][health]") {
    auto status = sample();
    status.sentinels = {{.generation = 3, .pid = 77, .restarts = 2}};
    status.upstreams.resize(1);
    status.upstreams[0].name = "back";
    status.peers.resize(3);
    for (auto& peer : status.peers) peer.upstream = "back";
    status.peers[0].address = "127.0.0.1:1";
    status.peers[0].health = ipc::Health::down;
    status.peers[0].health_reason = "status 503";
    status.peers[0].checked_ago_ms = 250;
    status.peers[0].check_us = 1500;
    status.peers[0].checks_failed = 3;
    status.peers[1].health = ipc::Health::up;
    status.peers[1].ejected_ms = 3200;
    const auto text = master::status_text(status);
    CAPTURE(text);
    CHECK(text.find("sentinel of generation 3  pid 77  restarts 2  private -  shared -\n") !=
          std::string::npos);
    CHECK(text.find("  down status 503\n") != std::string::npos);
    CHECK(text.find("  ejected 3.2s\n") != std::string::npos);
    CHECK(text.ends_with("  up\n"));
    const auto json = nlohmann::json::parse(master::status_json(status));
    CHECK(json["sentinels"][0]["pid"] == 77);
    const auto& peers = json["upstreams"][0]["peers"];
    CHECK(peers[0]["health"] == "down");
    CHECK(peers[0]["health_reason"] == "status 503");
    CHECK(peers[0]["last_check_seconds"] == 0.25);
    CHECK(peers[0]["check_seconds"] == 0.0015);
    CHECK(peers[0]["checks_failed_total"] == 3);
    CHECK(peers[2]["health"] == "unknown");
    CHECK(peers[2]["last_check_seconds"].is_null());
}

TEST_CASE("the status shows hedges, and limits of those that have one", "[master][concurrency]") {
    auto status = sample();
    status.upstreams.resize(2);
    status.upstreams[0].name = "back";
    status.upstreams[0].refused = 5;
    status.upstreams[0].probes = 6;
    status.upstreams[0].hedges = 70;
    status.upstreams[0].hedges_won = 8;
    status.upstreams[0].hedges_refused = 9;
    status.upstreams[1].name = "plain";
    const auto squeezed = [&] {  // blanks in a row are one
        std::string text = master::status_text(status);
        text.erase(std::unique(text.begin(), text.end(), [](char a, char b) { return a == ' ' && b == ' '; }),
                   text.end());
        return text;
    };
    CHECK(squeezed().find("upstream breaker refused probes hedges won no budget\n"
                          "back closed 5 6 70 8 9\n") != std::string::npos);
    CHECK(squeezed().find("limit") == std::string::npos);
    status.upstreams[0].limited = true;
    status.upstreams[0].limit = 45;
    status.upstreams[0].waiting = 44;
    status.upstreams[0].shed = 3;
    status.upstreams[0].baseline_us = 10'250;
    CHECK(squeezed().find("upstream limit waiting baseline ms now ms refused\n"
                          "back 45 44 10.2 - 3\n\n") != std::string::npos);
    const auto json = nlohmann::json::parse(master::status_json(status));
    const auto& concurrency = json["upstreams"][0]["concurrency"];
    CHECK(concurrency["limit"] == 45);
    CHECK(concurrency["waiting"] == 44);
    CHECK(concurrency["baseline_seconds"] == 0.01025);
    CHECK(concurrency["refused_total"] == 3);
    CHECK(json["upstreams"][1]["concurrency"].is_null());
}

TEST_CASE("the status tells private memory from shared, of every process it is known of",
          "[master][memory]") {
    const master::ProcessMemory memory{
        .private_bytes = 5 << 20, .shared_bytes = 70 << 20, .pss_bytes = 12 << 20};
    auto status = sample();
    status.master.memory = status.workers[0].memory = memory;
    status.sentinels = {{.generation = 3, .pid = 77, .restarts = 2, .memory = memory}};
    auto& pool = status.pools.emplace_back();
    pool.report.members = {{.state = ipc::MemberState::idle, .pid = 9}, {.state = ipc::MemberState::idle}};
    pool.usage.resize(2);
    pool.memory = {memory};
    const auto json = nlohmann::json::parse(master::status_json(status));
    for (const auto& known :
         {json["master"], json["workers"][0], json["sentinels"][0], json["pools"][0]["members"][0]}) {
        CHECK(known["private_bytes"] == 5 << 20);
        CHECK(known["shared_bytes"] == 70 << 20);
        CHECK(known["pss_bytes"] == 12 << 20);
    }
    for (const auto& unknown : {json["workers"][1], json["pools"][0]["members"][1]})
        for (const char* name : {"private_bytes", "shared_bytes", "pss_bytes"})
            CHECK(unknown[name].is_null());
    const auto text = master::status_text(status);
    CAPTURE(text);
    CHECK(text.find("     5.0M     70.0M     2600") != std::string::npos);
    CHECK(text.find("restarts 2  private 5.0M  shared 70.0M\n") != std::string::npos);
}

TEST_CASE("what the kernel says of a process's memory is summed up, or it is not known", "[master][memory]") {
    const std::string rollup =
        "55d4eea10000-7fffcde13000 ---p 00000000 00:00 0                          [rollup]\n"
        "Rss:                1720 kB\nPss:                 191 kB\nPss_Dirty:           108 kB\n"
        "Shared_Clean:       1572 kB\nShared_Dirty:          8 kB\nPrivate_Clean:        40 kB\n"
        "Private_Dirty:       108 kB\nShared_Hugetlb:     2048 kB\nPrivate_Hugetlb:    4096 kB\n";
    const auto memory = master::parse_smaps_rollup(rollup);
    REQUIRE(memory);
    CHECK(memory->private_bytes == (40 + 108 + 4096) * 1024);
    CHECK(memory->shared_bytes == (1572 + 8 + 2048) * 1024);
    CHECK(memory->pss_bytes == 191 * 1024);
    const auto needed = rollup.find("Shared_Huge");
    for (std::size_t size = 0; size < needed; ++size)
        CHECK_FALSE(master::parse_smaps_rollup(rollup.substr(0, size)));
    CHECK_FALSE(master::parse_smaps_rollup("Pss: x kB\n" + rollup));
    CHECK_FALSE(master::parse_smaps_rollup("Pss: 18446744073709551616 kB\n" + rollup));

    const auto own = master::process_memory(::getpid());
    REQUIRE(own);
    CHECK(own->private_bytes > 0);
    CHECK(own->pss_bytes >= own->private_bytes);
    CHECK_FALSE(master::process_memory(-1));
}

TEST_CASE("a process's usage is read whatever its name", "[master]") {
    const std::string stat =
        "12 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 150 0 0 20 0 1 0 100 4096 25 18446744073709551615 1 1";
    const auto usage = master::parse_process_stat(stat);
    REQUIRE(usage);
    CHECK(usage->cpu_seconds == Approx(400.0 / static_cast<double>(::sysconf(_SC_CLK_TCK))));
    CHECK(usage->rss_bytes == 25 * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)));
    const auto rss_end = stat.find("25 18") + 2;
    for (std::size_t size = 0; size < rss_end - 2; ++size)
        CHECK_FALSE(master::parse_process_stat(stat.substr(0, size)));
    CHECK(master::process_usage(::getpid())->rss_bytes > 0);
    CHECK_FALSE(master::process_usage(-1));
}

TEST_CASE("the status shows names, and who stands in their places", "[master][dns]") {
    auto status = sample();
    status.upstreams.resize(1);
    status.upstreams[0].name = "back";
    status.peers.resize(2);
    for (auto& peer : status.peers) peer.upstream = "back";
    status.peers[0].address = "10.0.0.1:80";
    status.peers[0].place = "app.example:80#0";
    status.peers[1].place = "app.example:80#1";
    status.names.resize(1);
    status.names[0].upstream = "back";
    status.names[0].name = "app.example:80";
    status.names[0].addresses = 1;
    status.names[0].failures = 2;
    status.names[0].answered_ago_ms = 1500;
    status.names[0].reason = "no name server answers in time";
    const auto text = master::status_text(status);
    CAPTURE(text);
    CHECK(text.find("  up  app.example:80#0\n") != std::string::npos);
    CHECK(text.find("  gone  app.example:80#1\n") != std::string::npos);
    CHECK(text.find("1.5s  no name server answers in time\n") != std::string::npos);
    const auto json = nlohmann::json::parse(master::status_json(status));
    const auto& name = json["upstreams"][0]["names"][0];
    CHECK(name["name"] == "app.example:80");
    CHECK(name["answered_seconds_ago"] == 1.5);
    CHECK(name["failures_total"] == 2);
    CHECK(json["upstreams"][0]["peers"][0]["place"] == "app.example:80#0");
}
