// tests/worker/metrics_test.cpp: the scoreboard as Prometheus reads it.
#include "worker/handler/metrics.h"

#include <sstream>

namespace {

bool has_line(const std::string& text, const std::string& line) {
    return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

}  // namespace

TEST_CASE("requests are summed by route and class over all workers that ever were", "[metrics]") {
    auto board = ipc::Scoreboard::make();
    REQUIRE(board);
    const auto site = board->add_route("site");
    const auto first = board->take(1).value();
    const auto second = board->take(1).value();
    board->row(first).routes[site].statuses[2].add(3);
    board->row(second).routes[site].statuses[2].add(4);
    board->row(second).routes[0].statuses[4].add();
    board->give_back(second);
    const auto text = worker::handler::metrics_text(*board, 5'000'000, 1'000'000'000);
    CHECK(has_line(text, R"(reeve_requests_total{route="site",status="2xx"} 7)"));
    CHECK(has_line(text, R"(reeve_requests_total{route="site",status="5xx"} 0)"));
    CHECK(has_line(text, R"(reeve_requests_total{route="",status="4xx"} 1)"));
}

TEST_CASE("buckets are cumulative, and the last holds everything", "[metrics]") {
    auto board = ipc::Scoreboard::make();
    const auto row = board->take(1).value();
    auto& latency = board->row(row).routes[board->add_route("a")].latency;
    latency.add(100);
    latency.add(200);
    latency.add(3'600'000'000);
    const auto text = worker::handler::metrics_text(*board, 1, 1);
    CHECK(has_line(text, R"(reeve_request_duration_seconds_bucket{route="a",le="0.000128"} 1)"));
    CHECK(has_line(text, R"(reeve_request_duration_seconds_bucket{route="a",le="0.000256"} 2)"));
    CHECK(has_line(text, R"(reeve_request_duration_seconds_bucket{route="a",le="67.108864"} 2)"));
    CHECK(has_line(text, R"(reeve_request_duration_seconds_bucket{route="a",le="+Inf"} 3)"));
    CHECK(has_line(text, R"(reeve_request_duration_seconds_count{route="a"} 3)"));
    CHECK(has_line(text, R"(reeve_request_duration_seconds_sum{route="a"} 3600.0003)"));
}

TEST_CASE("gauges are of processes that live, by generation", "[metrics]") {
    auto board = ipc::Scoreboard::make();
    const auto seat = [&](std::uint64_t generation, std::uint64_t pid, ipc::SlotState state) {
        auto& row = board->row(board->take(1).value());
        row.tenant.generation.set(generation);
        row.tenant.generation_ms.set(1000 * generation);
        row.tenant.pid.set(pid);
        row.tenant.state.set(static_cast<std::uint64_t>(state));
        row.loop.connections.set(10 * generation);
    };
    seat(1, 7, ipc::SlotState::draining);
    seat(2, 8, ipc::SlotState::ready);
    seat(2, 9, ipc::SlotState::ready);
    seat(3, 0, ipc::SlotState::ready);
    board->listener(0).address.set("127.0.0.1:80");
    board->listener(0).pending.set(4);
    board->masters().restarts[static_cast<std::size_t>(ipc::RestartCause::stuck)].add_shared(2);
    const auto text = worker::handler::metrics_text(*board, 5'000'000, 1'000'000'000);
    CHECK(has_line(text, "reeve_connections 50"));
    CHECK(has_line(text, R"(reeve_workers{generation="1",state="draining"} 1)"));
    CHECK(has_line(text, R"(reeve_workers{generation="2",state="ready"} 2)"));
    CHECK(text.find(R"(generation="3")") == std::string::npos);
    CHECK(has_line(text, R"(reeve_generation_age_seconds{generation="1"} 4)"));
    CHECK(has_line(text, R"(reeve_accept_queue{address="127.0.0.1:80"} 4)"));
    CHECK(has_line(text, R"(reeve_worker_restarts_total{cause="stuck"} 2)"));
}

TEST_CASE("of peers that nobody checks no health is told", "[metrics][health]") {
    auto board = ipc::Scoreboard::make();
    board->add_peer("u", "127.0.0.1:1");
    CHECK(worker::handler::metrics_text(*board, 1, 1).find("reeve_upstream_health") == std::string::npos);
    auto& health = board->peer_cell(board->add_peer("u", "127.0.0.1:2")).health;
    health.failed(4, 2'000'000, "status 500");
    auto text = worker::handler::metrics_text(*board, 5'000, 1);
    CHECK(has_line(text, R"(reeve_upstream_health{upstream="u",peer="127.0.0.1:2"} 1)"));  // not known yet
    health.change(ipc::Health::down, 4);
    text = worker::handler::metrics_text(*board, 5'000, 1);
    CHECK(has_line(text, R"(reeve_upstream_health{upstream="u",peer="127.0.0.1:2"} 0)"));
    CHECK(
        has_line(text, R"(reeve_upstream_checks_total{upstream="u",peer="127.0.0.1:2",result="failed"} 1)"));
    CHECK(has_line(text, R"(reeve_upstream_check_seconds{upstream="u",peer="127.0.0.1:2"} 2)"));
    CHECK(text.find("health{upstream=\"u\",peer=\"127.0.0.1:1\"") == std::string::npos);
    health.forget();
    text = worker::handler::metrics_text(*board, 5'000, 1);
    CHECK(text.find("reeve_upstream_health") == std::string::npos);
    CHECK(
        has_line(text, R"(reeve_upstream_checks_total{upstream="u",peer="127.0.0.1:2",result="failed"} 1)"));
}

TEST_CASE("the start does not move with the moment that it is asked at", "[metrics]") {
    auto board = ipc::Scoreboard::make();
    board->masters().started_ms.set(2'500);
    const std::int64_t boot_us = 1'700'000'000'100'000;
    for (const std::uint64_t now_us : {2'500'000u, 2'500'999u, 3'000'400u, 900'000'001u})
        for (const std::int64_t apart_us : {0, 1, 900}) {  // the two clocks are not read at once
            const auto now_unix_us = boot_us + static_cast<std::int64_t>(now_us) + apart_us;
            const auto text = worker::handler::metrics_text(*board, now_us, now_unix_us);
            CHECK(has_line(text, "reeve_start_time_seconds 1700000003"));
        }
}

TEST_CASE("each family has its help and its type before its samples", "[metrics]") {
    auto board = ipc::Scoreboard::make();
    board->add_route("quote\"d");
    std::istringstream lines(worker::handler::metrics_text(*board, 1, 1));
    std::string family;
    std::size_t samples = 0;
    for (std::string line; std::getline(lines, line);) {
        CAPTURE(line);
        if (line.starts_with("# HELP ")) {
            family = line.substr(7, line.find(' ', 7) - 7);
        } else if (line.starts_with("# TYPE ")) {
            CHECK(line.starts_with("# TYPE " + family + " "));
        } else {
            CHECK(line.starts_with(family));
            ++samples;
        }
    }
    CHECK(samples > 50);
}

TEST_CASE("what workers buffer is summed up, and what dead ones had is forgotten", "[metrics][buffer]") {
    auto board = ipc::Scoreboard::make();
    const auto first = board->take(1).value(), second = board->take(1).value();
    for (const auto row : {first, second}) {
        auto& use = board->row(row).buffers;
        use.memory.set(10);
        use.file.set(20);
        use.spilled.add(30);
        use.refused[static_cast<std::size_t>(ipc::BufferedBody::response)]
                   [static_cast<std::size_t>(ipc::BufferRefusal::disk)]
                       .add();
    }
    board->end_calls(second);
    const auto text = worker::handler::metrics_text(*board, 1, 1);
    CHECK(has_line(text, R"(reeve_buffered_bytes{place="memory"} 10)"));
    CHECK(has_line(text, R"(reeve_buffered_bytes{place="file"} 20)"));
    CHECK(has_line(text, "reeve_buffer_spilled_bytes_total 60"));
    CHECK(has_line(text, R"(reeve_buffer_refusals_total{body="response",reason="disk"} 2)"));
    CHECK(has_line(text, R"(reeve_buffer_refusals_total{body="request",reason="size"} 0)"));
}

TEST_CASE("limits of concurrency are shown of upstreams that have one, over all workers",
          "[metrics][concurrency]") {
    auto board = ipc::Scoreboard::make();
    const auto limited = board->add_upstream("u");
    board->add_upstream("plain");
    CHECK(worker::handler::metrics_text(*board, 1, 1).find("upstream_concurrency") == std::string::npos);
    const ipc::ConcurrencyRules rules{.min = 30};
    auto& cell = board->upstream_cell(limited).concurrency;
    cell.begin(rules);
    for (std::uint64_t i = 1; i <= 40; ++i) cell.add(rules, i * 1000, i * 1000 + 250);
    for (int i = 1; i <= 2; ++i) {
        auto& use = board->row(board->take(1).value()).upstreams[limited];
        use.waiting.add(3);
        use.shed.add(4);
    }
    const auto text = worker::handler::metrics_text(*board, 1, 1);
    CHECK(has_line(text, R"(reeve_upstream_concurrency_limit{upstream="u"} 30)"));
    CHECK(has_line(text, R"(reeve_upstream_concurrency_waiting{upstream="u"} 6)"));
    CHECK(has_line(text, R"(reeve_upstream_concurrency_baseline_seconds{upstream="u"} 0.00025)"));
    CHECK(has_line(text, R"(reeve_upstream_concurrency_latency_seconds{upstream="u"} 0.00025)"));
    CHECK(has_line(text, R"(reeve_upstream_concurrency_refused_total{upstream="u"} 8)"));
    CHECK(text.find("concurrency_limit{upstream=\"plain\"") == std::string::npos);
    board->upstream_cell(limited).concurrency.forget();
    CHECK(worker::handler::metrics_text(*board, 1, 1).find("upstream_concurrency") == std::string::npos);
}
