// tests/worker/jobs_desk_test.cpp: two keepers in a row: who has the store, who tells whom, and who goes
// first.
#include "worker/jobs/keepers_desk.h"

#include <sys/un.h>

#include <optional>
#include <utility>

#include "tests/conf/temporary_folder.h"
#include "tests/worker/turn.h"
#include "tests/worker/upstream_world.h"
#include "worker/jobs/sqlite_store.h"

using namespace worker::jobs;
using namespace std::chrono_literals;

namespace {

/// A store in a folder, the keepers' socket, and a peer that does the jobs of a queue, one at a time.
struct Hall {
    Hall() {
        conf::Upstream& made = config.upstreams.emplace_back();
        made.name = "u";
        made.peers.push_back(backend.config);
        conf::Queue& queue = config.queues.emplace_back();
        queue.name = "q";
        queue.upstream = {"u", "/work"};
        queue.concurrency = 1;
        path = folder.path("keepers");
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        socket = ipc::UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        REQUIRE(::listen(socket.get(), 64) == 0);
        client.emplace(world.loop, KeeperClient::Terms{.path = path, .owner = {}});
    }
    [[nodiscard]] bool until(const std::function<bool()>& so) { return world.until(so); }

    void enqueue(const std::string& id) {
        Enqueue enqueue;
        enqueue.job.id = id;
        enqueue.job.queue = "q";
        enqueue.job.body = id;
        ask(std::move(enqueue));
    }
    template <class One>
    One ask(One one) {
        std::optional<Operation> over;
        std::string failed;
        client->submit(std::move(one), [&](Operation&& done, const ipc::Error* failure) {
            if (failure != nullptr) failed = failure->text();
            over = std::move(done);
        });
        REQUIRE(until([&] { return over.has_value(); }));
        REQUIRE(failed.empty());
        return std::get<One>(std::move(*over));
    }
    View job(const std::string& id) {
        Get get;
        get.id = id;
        return ask(std::move(get)).answer.job;
    }
    /// What the store knows when no keeper has it.
    View left(const std::string& id) {
        auto store = SqliteStore::open(folder.path("jobs.db"), {});
        REQUIRE(store);
        Get get;
        get.id = id;
        std::vector<Operation> batch;
        batch.emplace_back(std::move(get));
        REQUIRE((*store)->apply(batch, 1));
        return std::get<Get>(batch[0]).answer.job;
    }
    /// So many have been asked for, and the last one is there as a whole.
    [[nodiscard]] bool runs(std::size_t number) {
        return until([&] {
            return backend.talks.size() == number &&
                   backend.talks.back().heard.find("\r\n\r\n") != std::string::npos;
        });
    }
    void do_job(std::size_t at) {
        backend.talks.at(at).say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }

    TemporaryFolder folder;
    Backend backend;
    conf::Config config;
    World world{&backend};
    ipc::Scoreboard board = *ipc::Scoreboard::make();
    std::string path;
    ipc::UniqueFd socket;
    std::optional<KeeperClient> client;
};

/// One of its keepers.
struct Desk {
    Desk(Hall& of, const std::string& owner, bool older)
        : hall(of),
          desk({.config = of.config,
                .loop = of.world.loop,
                .board = of.board,
                .cell = &of.board.row(*of.board.take(1)),
                .pools = nullptr,
                .socket = of.socket.get(),
                .address = of.path,
                .owner = owner,
                .older = older,
                .open = [path = of.folder.path("jobs.db")] { return SqliteStore::open(path, {}); }},
               [this] { over = true; }) {
        std::optional<bool> opened;
        desk.begin([&](const ipc::Result<bool>& it) { opened = it && *it; });
        REQUIRE(hall.until([&] { return opened.has_value(); }));
        CHECK(*opened != older);
    }
    /// As the master does when the next generation serves.
    void hand_over(Desk& next, std::chrono::milliseconds limit = 60s) {
        desk.give_up_store();
        next.desk.serve();
        desk.drain(limit);
        desk.alone(false);
    }

    Hall& hall;
    KeepersDesk desk;
    bool over = false;
};

}  // namespace

TEST_CASE("who has the store goes when older keepers have told the end of what they run", "[worker][jobs]") {
    Hall hall;
    std::optional<Desk> older(std::in_place, hall, "older", false);
    older->desk.serve();
    hall.enqueue("a");
    REQUIRE(hall.runs(1));
    Desk newer(hall, "newer", true);
    older->hand_over(newer);
    SECTION("who is connected") { CHECK(hall.job("a").state == State::running); }
    SECTION("and who has not said yet that it is there") {}
    newer.desk.drain(60s);
    newer.desk.alone(false);
    hall.world.let_pass(200);
    CHECK_FALSE(older->over);
    CHECK_FALSE(newer.over);
    hall.do_job(0);
    REQUIRE(hall.until([&] { return older->over; }));
    CHECK_FALSE(newer.over);
    older.reset();  // its process ends
    REQUIRE(hall.until([&] { return newer.over; }));
    const auto job = hall.left("a");
    CHECK(job.state == State::done);
    CHECK(job.attempts_made == 1);
    CHECK(hall.backend.talks.size() == 1);
}

TEST_CASE("all jobs of a keeper that is gone are ready again, and clients wait for none of it",
          "[worker][jobs]") {
    Hall hall;
    constexpr std::uint32_t many = 2500;
    {
        auto store = SqliteStore::open(hall.folder.path("jobs.db"), {});
        REQUIRE(store);
        std::vector<Operation> batch;
        for (std::uint32_t i = 0; i < many; ++i) {
            Enqueue enqueue;
            enqueue.job.id = std::to_string(i);
            enqueue.job.queue = "other";
            batch.emplace_back(std::move(enqueue));
        }
        Claim claim;
        claim.queue = "other";
        claim.owner = "gone";
        claim.count = many;
        batch.emplace_back(std::move(claim));
        REQUIRE((*store)->apply(batch, 1));
    }
    const Logged log;
    Desk only(hall, "only", false);
    only.desk.serve();
    REQUIRE(hall.until([&] { return log.text().find("ready again jobs=2500") != std::string::npos; }));
    const auto queues = hall.ask(Stats{}).answer.queues;
    CHECK(queues[0].running == 0);
    CHECK(queues[0].ready == many);
}

TEST_CASE("a keeper that is to leave waits for older ones no longer than they may take", "[worker][jobs]") {
    Hall hall;
    Desk older(hall, "older", false);
    older.desk.serve();
    hall.enqueue("a");
    REQUIRE(hall.runs(1));
    Desk newer(hall, "newer", true);
    older.hand_over(newer);
    CHECK(hall.job("a").state == State::running);
    newer.desk.drain(0ms);
    newer.desk.alone(false);
    REQUIRE(hall.until([&] { return newer.over; }));
    CHECK_FALSE(older.over);
    older.desk.drain(0ms);
    REQUIRE(hall.until([&] { return older.over; }));
}

TEST_CASE("no order gives a keeper more time than the one before", "[worker][jobs]") {
    Hall hall;
    Desk only(hall, "only", false);
    only.desk.serve();
    hall.enqueue("a");
    REQUIRE(hall.runs(1));
    only.desk.drain(0ms);
    only.desk.alone(false);
    only.desk.drain(60s);
    only.desk.alone(true);
    hall.client.reset();
    REQUIRE(hall.until([&] { return only.over; }));
    CHECK(hall.left("a").state == State::ready);
    CHECK(hall.left("a").attempts_made == 0);
}

TEST_CASE("a keeper whose workers leave by themselves waits for them", "[worker][jobs]") {
    Hall hall;
    Desk only(hall, "only", false);
    only.desk.serve();
    hall.enqueue("a");
    REQUIRE(hall.runs(1));
    only.desk.drain(60s);
    only.desk.alone(true);
    hall.do_job(0);
    hall.world.let_pass(50);
    CHECK_FALSE(only.over);
    hall.enqueue("b");  // it takes jobs, and begins none
    hall.client.reset();
    REQUIRE(hall.until([&] { return only.over; }));
    CHECK(hall.left("a").state == State::done);
    CHECK(hall.left("b").state == State::ready);
}

TEST_CASE("a job that an older keeper runs is cancelled there", "[worker][jobs]") {
    Hall hall;
    Desk older(hall, "older", false);
    older.desk.serve();
    hall.enqueue("a");
    REQUIRE(hall.runs(1));
    Desk newer(hall, "newer", true);
    older.hand_over(newer);
    Cancel cancel;
    cancel.id = "a";
    const auto answer = hall.ask(std::move(cancel)).answer;
    CHECK(answer.what == Cancel::Answer::What::running);
    CHECK(answer.owner == "older");
    REQUIRE(hall.until([&] { return hall.backend.talks[0].ended && older.over; }));
    CHECK(hall.job("a").state == State::cancelled);
}

TEST_CASE("a queue's concurrency counts what older keepers run", "[worker][jobs]") {
    Hall hall;
    Desk older(hall, "older", false);
    older.desk.serve();
    hall.enqueue("a");
    REQUIRE(hall.runs(1));
    hall.enqueue("b");
    Desk newer(hall, "newer", true);
    older.hand_over(newer);
    CHECK(hall.job("b").state == State::ready);
    hall.world.let_pass(300);
    CHECK(hall.backend.talks.size() == 1);
    hall.do_job(0);
    REQUIRE(hall.runs(2));
    CHECK(hall.job("a").state == State::done);
    CHECK(hall.job("b").state == State::running);
}
