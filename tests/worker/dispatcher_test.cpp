// tests/worker/dispatcher_test.cpp: a slow turn is blamed on the route whose handler was slow.
#include "worker/dispatch/dispatcher.h"

#include "conf/plan.h"
#include "ipc/clock.h"
#include "tests/worker/turn.h"
#include "worker/http/parser.h"

namespace {

using namespace std::chrono_literals;
using worker::dispatch::Dispatcher;
using worker::dispatch::Router;
using worker::execution::Loop;

struct Nobody final : worker::dispatch::Recorder, worker::http::Carrier {
    void record(const worker::http::Exchange&) override {}
    void on_finished(worker::http::Exchange&) override {}
    void on_informed(worker::http::Exchange&, worker::http::Status, std::string_view) override {}
    void on_begun(worker::http::Exchange&) override {}
    void on_piece(worker::http::Exchange&, const worker::connection::Chunk&) override {}
    void on_given_up(worker::http::Exchange&) override {}
    void on_go_ahead(worker::http::Exchange&) override {}
    void on_body_wanted(worker::http::Exchange&) override {}
    [[nodiscard]] worker::connection::Peer local() const override { return {}; }
    [[nodiscard]] std::uint64_t unsent() const override { return 0; }
};

/// Holds up its loop, and answers, or refuses.
class Slow final : public worker::http::Handler {
 public:
    Slow(std::uint64_t us, worker::http::Status refusal) : us_(us), refusal_(refusal) {}
    void handle(worker::http::Exchange& exchange) override {
        const auto begun = ipc::monotonic_us();
        while (ipc::monotonic_us() - begun < us_) continue;
        if (refusal_ != 0 && exchange.error == 0) return exchange.refuse(refusal_);
        exchange.finish();
    }

 private:
    std::uint64_t us_;
    worker::http::Status refusal_;
};

conf::Route route(const std::string& name) {
    conf::Route made;
    made.name = name;
    made.path = {conf::PathMatch::Kind::exact, "/" + name};
    made.handler = conf::Route::Handler::respond;
    return made;
}

/// One server with these routes; /page is the error page of 404.
class House {
 public:
    void add(const std::string& name, std::uint64_t us, worker::http::Status refusal = 0) {
        config_.routes.push_back(route(name));
        handlers_.push_back(std::make_unique<Slow>(us, refusal));
    }
    /// Serves all of these in one turn of a loop that finds 10 ms too long; what it logs.
    std::string serve(const std::vector<std::string>& paths) {
        conf::Server server;
        server.name = "site";
        server.listen.push_back({{conf::Address::Family::ipv4, "127.0.0.1", 80}});
        server.error_page.push_back({{404}, "/page"});
        config_.servers.push_back(server);
        const Logged logged;
        ipc::LoopCell cell;
        Loop loop(cell, 10ms);
        const auto plan = conf::listen_plan(config_);
        const Router router(config_, plan);
        Nobody nobody;
        auto board = ipc::Scoreboard::make();
        REQUIRE(board);
        ipc::Seat seat;
        seat.cell = &board->row(board->take(1).value());
        seat.scoreboard = &*board;
        worker::dispatch::Limiter limiter(config_, seat, loop.clock());
        Dispatcher dispatcher(config_, plan, router, nobody, limiter, loop, std::move(handlers_));
        Turn(loop, [&] {
            for (const auto& path : paths) ask(dispatcher, nobody, path);
        });
        return logged.text();
    }

 private:
    static void ask(Dispatcher& dispatcher, Nobody& nobody, const std::string& path) {
        std::string text = "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n";
        worker::http::Exchange exchange;
        exchange.begin(nobody, dispatcher, {}, 1);
        worker::http::Parser parser;
        parser.reset(exchange.request, 4096, 4096);
        REQUIRE(parser.head(text) == worker::http::Parsed::complete);
        if (dispatcher.route(exchange)) dispatcher.handle(exchange);
        CHECK(exchange.finished);
    }

    conf::Config config_;
    std::vector<std::unique_ptr<worker::http::Handler>> handlers_;
};

}  // namespace

TEST_CASE("of several requests in a slow turn the longest is blamed", "[worker][dispatch]") {
    House house;
    house.add("quick", 0);
    house.add("long", 30'000);
    house.add("short", 2'000);
    const auto log = house.serve({"/quick", "/short", "/long?x=\"1\"", "/short", "/quick"});
    CHECK(log.find(R"(route="long" request="GET /long?x=\"1\"")") != std::string::npos);
}

TEST_CASE("a slow error page is blamed when nothing else was slow", "[worker][dispatch]") {
    House house;
    house.add("page", 20'000);
    CHECK(house.serve({"/nowhere"}).find(R"(route="page" request="GET /nowhere")") != std::string::npos);
}

TEST_CASE("a route whose error page is slow is blamed for both", "[worker][dispatch]") {
    House house;
    house.add("page", 9'000);
    house.add("gone", 9'000, 404);
    CHECK(house.serve({"/gone"}).find(R"(route="gone" request="GET /gone")") != std::string::npos);
}
