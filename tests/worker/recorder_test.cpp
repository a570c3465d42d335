// tests/worker/recorder_test.cpp: what is counted of a request that is over.
#include "worker/observe/recorder.h"

#include "ipc/clock.h"
#include "tests/worker/turn.h"

namespace {

using worker::observe::LogWriter;
using worker::observe::Recorder;

/// A recorder for routes "known" and "new", of which the scoreboard has the first alone.
class House {
 public:
    House() {
        REQUIRE(board_);
        column = board_->add_route("known");
        for (const char* name : {"known", "new"}) config_.routes.emplace_back().name = name;
        seat_.cell = &board_->row(board_->take(1).value());
        seat_.scoreboard = &*board_;
        auto writer = LogWriter::start({});
        REQUIRE(writer);
        writer_ = std::move(*writer);
        loop_.emplace(seat_.cell->loop);
        recorder_.emplace(config_, *writer_, *loop_, seat_);
    }
    /// One that began `us` ago, of route 0, 1 or none.
    void record(worker::http::Status status, int route, std::uint64_t us = 0) {
        worker::http::Exchange exchange;
        exchange.begun_us = ipc::monotonic_us() - us;
        exchange.response.status = status;
        if (route >= 0) exchange.route = &config_.routes[static_cast<std::size_t>(route)];
        recorder_->record(exchange);
    }
    [[nodiscard]] const ipc::RouteCell& route(std::uint32_t index) const { return seat_.cell->routes[index]; }
    [[nodiscard]] worker::execution::Loop& loop() { return *loop_; }
    std::uint32_t column = 0;

 private:
    ipc::Result<ipc::Scoreboard> board_ = ipc::Scoreboard::make();
    conf::Config config_;
    ipc::Seat seat_;
    std::unique_ptr<LogWriter> writer_;
    std::optional<worker::execution::Loop> loop_;
    std::optional<Recorder> recorder_;
};

}  // namespace

TEST_CASE("requests are counted under their route and class", "[worker][observe]") {
    House house;
    house.record(204, 0);
    house.record(503, 0);
    house.record(0, 0);
    house.record(999, 0);
    CHECK(house.route(house.column).statuses[2].get() == 1);
    CHECK(house.route(house.column).statuses[5].get() == 1);
    CHECK(house.route(house.column).statuses[0].get() == 2);  // nothing was answered, or nothing we know
    CHECK(house.route(0).statuses[0].get() == 0);
}

TEST_CASE("requests of no route, and of one that the scoreboard does not know, share a place",
          "[worker][observe]") {
    House house;
    house.record(404, -1);
    house.record(404, 1);
    CHECK(house.route(0).statuses[4].get() == 2);
    CHECK(house.route(house.column).statuses[4].get() == 0);
}

TEST_CASE("the time of a request that begins and ends in one turn is measured", "[worker][observe]") {
    House house;
    Turn(house.loop(), [&] {
        const auto begun = house.loop().clock().now_us();
        while (ipc::monotonic_us() - begun < 300) continue;
        house.record(200, 0, ipc::monotonic_us() - begun);
    });
    const auto& latency = house.route(house.column).latency;
    CHECK(latency.sum_us() >= 300);
    CHECK(latency.count(0) == 0);
    CHECK(latency.count(1) == 0);
}
