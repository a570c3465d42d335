// tests/worker/jobs_keeper_test.cpp: batches, the keeper's socket and its clients, around a store in memory.
#include <sys/socket.h>
#include <sys/un.h>

#include <optional>

#include "conf/queue.h"
#include "ipc/clock.h"
#include "tests/conf/temporary_folder.h"
#include "tests/worker/memory_store.h"
#include "tests/worker/turn.h"
#include "worker/jobs/batcher.h"
#include "worker/jobs/codec.h"
#include "worker/jobs/keeper_client.h"
#include "worker/jobs/keeper_server.h"

using namespace worker::jobs;
using namespace std::chrono_literals;

namespace {

Enqueue job(const std::string& id, const std::string& key = {}) {
    Enqueue enqueue;
    enqueue.job.id = id;
    enqueue.job.queue = "q";
    enqueue.job.idempotency_key = key;
    return enqueue;
}

/// A loop, a board, and turns until something is so.
struct World {
    /// False: not within a minute.
    bool until(const std::function<bool()>& is_so) {
        const auto end = ipc::monotonic_ms() + 60'000;
        while (!is_so() && ipc::monotonic_ms() < end)
            Turn(
                loop, [] {}, 1ms);
        return is_so();
    }
    Batcher::Open open() {
        return
            [this]() -> ipc::Result<std::unique_ptr<Store>> { return std::make_unique<MemoryStore>(shared); };
    }
    /// What comes of an operation: its `what`, or the failure.
    Keeping::Answered note(std::vector<std::string>& into) {
        return [&into](Operation&& over, const ipc::Error* failure) {
            if (failure != nullptr) return into.push_back(failure->text());
            const auto* enqueue = std::get_if<Enqueue>(&over);
            into.push_back(enqueue != nullptr ? std::to_string(static_cast<int>(enqueue->answer.what)) + " " +
                                                    enqueue->answer.id
                                              : "stored");
        };
    }

    ipc::LoopCell cell;
    worker::execution::Loop loop{cell};
    ipc::Scoreboard board = *ipc::Scoreboard::make();
    Tally tally{board};
    MemoryStore::Shared shared;
};

struct Opened : World {
    explicit Opened(const Batcher::Bounds& bounds = {}) : batcher(loop, tally, bounds) {
        batcher.open(open(), [](const ipc::Result<void>&) {});
        REQUIRE(until([this] { return batcher.is_open(); }));
    }
    Batcher batcher;
};

/// A listening socket of the test's folder.
struct Door {
    Door() {
        path = folder.path("keeper");
        const auto address = sockaddr_of_it();
        socket = ipc::UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        REQUIRE(::listen(socket.get(), 16) == 0);
    }
    /// Somebody who may say anything.
    [[nodiscard]] ipc::UniqueFd connect() const {
        ipc::UniqueFd stranger(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const auto address = sockaddr_of_it();
        REQUIRE(::connect(stranger.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        return stranger;
    }
    [[nodiscard]] sockaddr_un sockaddr_of_it() const {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        return address;
    }
    TemporaryFolder folder;
    std::string path;
    ipc::UniqueFd socket;
};

}  // namespace

TEST_CASE("what arrives while a batch is stored is the next batch, and all hear of it", "[worker][jobs]") {
    Opened world;
    std::vector<std::string> heard;
    for (int i = 0; i < 100; ++i) world.batcher.submit(job(std::to_string(i)), world.note(heard));
    CHECK(heard.empty());
    REQUIRE(world.until([&] { return heard.size() == 100; }));
    CHECK(heard[42] == "0 42");
    CHECK(world.shared.batches < 100);
    CHECK(world.shared.largest > 1);
    CHECK(world.board.jobs().operations.get() == 100);
    CHECK(world.batcher.pending() == 0);
}

TEST_CASE("where a batch takes long, all who ask again as soon as they are answered share the next one",
          "[worker][jobs]") {
    Opened world;
    world.shared.takes_ms = 20;
    int numbers = 0;
    bool over = false;
    std::function<void()> ask = [&] {
        world.batcher.submit(job(std::to_string(++numbers)), [&](Operation&&, const ipc::Error* failure) {
            CHECK(failure == nullptr);
            if (!over) ask();
        });
    };
    for (int i = 0; i < 8; ++i) ask();  // the first is a batch alone
    REQUIRE(world.until([&] { return world.shared.largest == 8; }));
    over = true;
    REQUIRE(world.until([&] { return world.batcher.pending() == 0; }));
}

TEST_CASE("a batch that fails fails each of its operations, and the next may succeed", "[worker][jobs]") {
    const Logged log;
    Opened world;
    world.shared.fails = true;
    std::vector<std::string> heard;
    for (int i = 0; i < 3; ++i) world.batcher.submit(job(std::to_string(i)), world.note(heard));
    REQUIRE(world.until([&] { return heard.size() == 3; }));
    CHECK(heard == std::vector<std::string>(3, "the disk is full"));
    CHECK(world.board.jobs().healthy.get() == 0);
    const auto since = world.board.jobs().unable_since_ms.get();
    CHECK(since != 0);
    CHECK(world.board.jobs().unable_why.get() == "the disk is full");
    CHECK(log.text().find("jobs cannot be stored") != std::string::npos);
    world.shared.fails = false;
    world.batcher.submit(job("later"), world.note(heard));
    REQUIRE(world.until([&] { return heard.size() == 4; }));
    CHECK(heard[3] == "0 later");
    CHECK(world.board.jobs().healthy.get() == 1);
    CHECK(world.board.jobs().unable_since_ms.get() == 0);
}

TEST_CASE("a store that can be read, but not written, stays unable", "[worker][jobs][degraded]") {
    const Logged log;
    Opened world;
    world.shared.fails = true;
    std::vector<std::string> heard;
    world.batcher.submit(job("a"), world.note(heard));
    REQUIRE(world.until([&] { return heard.size() == 1; }));
    const auto since = world.board.jobs().unable_since_ms.get();
    CHECK(since != 0);
    world.shared.fails = false;
    world.batcher.submit(Stats{}, world.note(heard));
    REQUIRE(world.until([&] { return heard.size() == 2; }));
    CHECK(world.board.jobs().unable_since_ms.get() == since);
    CHECK(world.board.jobs().healthy.get() == 0);
}

TEST_CASE("batches that fail come less and less often, and the first that succeeds ends that",
          "[worker][jobs]") {
    const Logged log;
    Opened world;
    world.shared.fails = true;
    std::size_t answers = 0;
    std::function<void()> ask = [&] {
        world.batcher.submit(job("a"), [&](Operation&&, const ipc::Error*) {
            ++answers;
            ask();
        });
    };
    ask();
    Turn(
        world.loop, [] {}, 1'000ms);
    CHECK(answers >= 1);
    CHECK(world.shared.batches <= 10);  // 0, 100, 300, 700 ms, and no thousands
    world.shared.fails = false;
    REQUIRE(world.until([&] { return world.shared.jobs.size() == 1; }));
    const auto before = answers;
    REQUIRE(world.until([&] { return answers > before + 100; }));
    ask = [] {};
}

TEST_CASE("what could not be begun in time is not begun at all", "[worker][jobs]") {
    Opened world({.wait = 50ms});
    std::vector<std::string> heard;
    world.shared.holds = true;
    world.batcher.submit(job("under way"), world.note(heard));
    REQUIRE(world.until([&] { return world.shared.batches == 1; }));
    world.batcher.submit(job("late"), world.note(heard));
    Turn(
        world.loop, [] {}, 200ms);
    world.batcher.submit(job("in time"), world.note(heard));
    world.shared.holds = false;
    world.shared.holds.notify_all();
    REQUIRE(world.until([&] { return heard.size() == 3; }));
    std::sort(heard.begin(), heard.end());
    CHECK(heard == std::vector<std::string>{"0 in time", "0 under way", "the store of jobs takes too long"});
    CHECK(world.batcher.pending() == 0);
}

TEST_CASE("what somebody has waited for elsewhere is not begun when nobody waits any more",
          "[worker][jobs]") {
    Opened world({.wait = 60s});
    std::vector<std::string> heard;
    world.shared.holds = true;
    world.batcher.submit(job("under way"), world.note(heard));
    REQUIRE(world.until([&] { return world.shared.batches == 1; }));
    world.batcher.submit_until(job("patient"), ipc::monotonic_ms() + 60'000, world.note(heard));
    world.batcher.submit_until(job("late"), ipc::monotonic_ms() + 20, world.note(heard));
    world.batcher.submit(job("says nothing"), world.note(heard));
    Turn(
        world.loop, [] {}, 100ms);
    world.shared.holds = false;
    world.shared.holds.notify_all();
    REQUIRE(world.until([&] { return heard.size() == 4; }));
    std::sort(heard.begin(), heard.end());
    CHECK(heard == std::vector<std::string>{"0 patient", "0 says nothing", "0 under way",
                                            "the store of jobs takes too long"});
    CHECK_FALSE(world.shared.jobs.contains("late"));
    CHECK(world.batcher.pending() == 0);
}

TEST_CASE("what is left of a client's time comes with what it asks", "[worker][jobs]") {
    Opened world({.wait = 60s});
    Door door;
    KeeperServer server(world.loop, world.batcher, world.tally, door.socket.get(), {});
    server.begin();
    KeeperClient client(world.loop, {.path = door.path, .owner = {}, .timeout = 100ms});
    std::vector<std::string> heard, other;
    world.shared.holds = true;
    world.batcher.submit(job("under way"), world.note(other));
    REQUIRE(world.until([&] { return world.shared.batches == 1; }));
    client.submit(job("given up"), world.note(heard));
    REQUIRE(world.until([&] { return heard.size() == 1; }));
    CHECK(heard[0] == "the keeper did not answer in time");
    REQUIRE(world.until([&] { return world.batcher.pending() == 2; }));  // it is there, and waits
    world.shared.holds = false;
    world.shared.holds.notify_all();
    REQUIRE(world.until([&] { return world.batcher.pending() == 0; }));
    CHECK_FALSE(world.shared.jobs.contains("given up"));
}

TEST_CASE("however much is to be read, what changes something finds room", "[worker][jobs]") {
    Opened world({.operations = 5, .reading_bytes = 1 << 20});
    std::vector<std::string> heard;
    Turn(world.loop, [&] {
        for (int i = 0; i < 8; ++i) world.batcher.submit(Get{.id = "x", .answer = {}}, world.note(heard));
        for (int i = 0; i < 5; ++i) world.batcher.submit(job(std::to_string(i)), world.note(heard));
    });
    REQUIRE(world.until([&] { return heard.size() == 13; }));
    CHECK(std::count(heard.begin(), heard.end(), "too much waits for the store of jobs") == 3);
    CHECK(world.shared.jobs.size() == 5);
}

TEST_CASE("a flood of reads neither refuses a client's jobs nor makes them wait behind it",
          "[worker][jobs]") {
    Opened world;
    Door door;
    KeeperServer server(world.loop, world.batcher, world.tally, door.socket.get(),
                        {.client_operations = 100});
    server.begin();
    KeeperClient client(world.loop, {.path = door.path,
                                     .owner = {},
                                     .timeout = 60s,
                                     .operations = 2000,
                                     .reading_bytes = 32u << 20,
                                     .said_bytes = 64u << 10});
    std::size_t read = 0, refused = 0, read_before = 0;
    bool stored = false;
    for (int i = 0; i < 2100; ++i)
        client.submit(Get{.id = "x", .answer = {}}, [&](Operation&&, const ipc::Error* failure) {
            ++(failure != nullptr ? refused : read);
        });
    client.submit(job("a"), [&](Operation&&, const ipc::Error* failure) {
        stored = failure == nullptr;
        read_before = read;
    });
    REQUIRE(world.until([&] { return stored && read + refused == 2100; }));
    CHECK(refused == 100);
    CHECK(read_before < 1000);  // what was said before it, and what overtook it
    CHECK(client.pending() == 0);
}

TEST_CASE("beyond its bounds the batcher refuses at once, and what it has is stored", "[worker][jobs]") {
    Opened world({.operations = 5, .bytes = 1 << 20, .batch_operations = 2, .batch_bytes = 1 << 20});
    std::vector<std::string> heard;
    Turn(world.loop, [&] {
        for (int i = 0; i < 8; ++i) world.batcher.submit(job(std::to_string(i)), world.note(heard));
    });
    REQUIRE(world.until([&] { return heard.size() == 8; }));
    CHECK(std::count(heard.begin(), heard.end(), "too much waits for the store of jobs") == 3);
    CHECK(world.shared.largest <= 2);
    CHECK(world.shared.jobs.size() == 5);
}

TEST_CASE("what looks at many jobs is a batch alone, in its turn", "[worker][jobs]") {
    Opened world;
    std::vector<std::string> heard;
    Turn(world.loop, [&] {
        for (int round = 0; round < 3; ++round) {
            for (int i = 0; i < 5; ++i)
                world.batcher.submit(job(std::to_string(round) + "/" + std::to_string(i)), world.note(heard));
            world.batcher.submit(Purge{}, world.note(heard));
            world.batcher.submit(Expire{}, world.note(heard));
            world.batcher.submit(Recover{}, world.note(heard));
        }
    });
    REQUIRE(world.until([&] { return heard.size() == 24; }));
    std::vector<std::size_t> order;
    for (const auto& kinds : world.shared.kinds) {
        const bool jobs = std::all_of(kinds.begin(), kinds.end(), [](auto kind) { return kind == 0; });
        CHECK((jobs || kinds.size() == 1));
        order.insert(order.end(), kinds.begin(), kinds.end());
    }
    std::vector<std::size_t> wanted;
    for (int round = 0; round < 3; ++round) {
        wanted.insert(wanted.end(), 5, 0);
        for (const Operation& one : {Operation(Purge{}), Operation(Expire{}), Operation(Recover{})})
            wanted.push_back(one.index());
    }
    CHECK(order == wanted);
}

TEST_CASE("what only reads goes in small batches, and is refused when its answers could be too much",
          "[worker][jobs]") {
    Opened world({.reading_bytes = 64u << 20, .read_operations = 10, .read_bytes = 1u << 20});
    std::vector<std::string> heard;
    Turn(world.loop, [&] {
        for (int i = 0; i < 100; ++i) world.batcher.submit(Get{.id = "x", .answer = {}}, world.note(heard));
        for (int i = 0; i < 10; ++i)
            world.batcher.submit(Get{.id = "x", .with_result = true, .room = 10u << 20, .answer = {}},
                                 world.note(heard));
    });
    REQUIRE(world.until([&] { return heard.size() == 110; }));
    CHECK(std::count(heard.begin(), heard.end(), "too much waits for the store of jobs") == 4);
    CHECK(world.shared.largest <= 10);
    CHECK(world.shared.batches >= 10 + 6);
}

TEST_CASE("a body of the largest size finds its way", "[worker][jobs]") {
    Opened world;
    Door door;
    KeeperServer server(world.loop, world.batcher, world.tally, door.socket.get(), {});
    server.begin();
    KeeperClient client(world.loop, {.path = door.path, .owner = {}, .timeout = 60s});
    std::vector<std::string> heard;
    auto largest = job("largest");
    largest.job.body.assign(conf::job_bytes_max, 'x');
    client.submit(std::move(largest), world.note(heard));
    REQUIRE(world.until([&] { return heard.size() == 1; }));
    CHECK(heard[0] == "0 largest");
    CHECK(world.shared.jobs["largest"].body.size() == conf::job_bytes_max);
}

TEST_CASE("beyond the room for all answers reads are refused, and jobs are not", "[worker][jobs]") {
    Opened world;
    Door door;
    KeeperServer server(world.loop, world.batcher, world.tally, door.socket.get(), {.unsent = 100'000});
    server.begin();
    KeeperClient client(world.loop, {.path = door.path, .owner = {}, .timeout = 60s});
    std::vector<std::string> heard;
    client.submit(Get{.id = "x", .with_result = true, .room = 1u << 20, .answer = {}}, world.note(heard));
    client.submit(job("a"), world.note(heard));
    client.submit(Get{.id = "a", .answer = {}}, world.note(heard));
    REQUIRE(world.until([&] { return heard.size() == 3; }));
    std::sort(heard.begin(), heard.end());
    CHECK(heard ==
          std::vector<std::string>{"0 a", "stored", "too many answers of the keeper wait to be taken"});
}

TEST_CASE("a batcher that is closed has stored what it had, and takes nothing more", "[worker][jobs]") {
    Opened world;
    std::vector<std::string> heard;
    for (int i = 0; i < 10; ++i) world.batcher.submit(job(std::to_string(i)), world.note(heard));
    bool closed = false;
    world.batcher.close([&] { closed = true; });
    world.batcher.submit(job("late"), world.note(heard));
    REQUIRE(world.until([&] { return closed && heard.size() == 11; }));
    CHECK(world.shared.jobs.size() == 10);
    CHECK(std::count(heard.begin(), heard.end(), "the store of jobs is not open") == 1);
}

TEST_CASE("a client's operations reach the store, and its answers come back", "[worker][jobs]") {
    Opened world;
    Door door;
    KeeperServer server(world.loop, world.batcher, world.tally, door.socket.get(), {});
    server.begin();
    KeeperClient client(world.loop, {.path = door.path, .owner = {}});
    std::vector<std::string> heard;
    for (int i = 0; i < 500; ++i) client.submit(job(std::to_string(i)), world.note(heard));
    REQUIRE(world.until([&] { return heard.size() == 500; }));
    CHECK(heard[7] == "0 7");
    CHECK(world.shared.jobs.size() == 500);
    CHECK(client.pending() == 0);
}

TEST_CASE("what has no answer when the keeper goes is said to the next one", "[worker][jobs]") {
    Opened world;
    Door door;
    std::optional<KeeperServer> server;
    server.emplace(world.loop, world.batcher, world.tally, door.socket.get(), KeeperServer::Bounds{});
    server->begin();
    KeeperClient client(world.loop, {.path = door.path, .owner = {}});
    std::vector<std::string> heard;
    client.submit(job("first"), world.note(heard));
    REQUIRE(world.until([&] { return heard.size() == 1; }));
    server->pause();  // it hears nothing any more
    for (int i = 0; i < 50; ++i) client.submit(job(std::to_string(i)), world.note(heard));
    Turn(
        world.loop, [] {}, 20ms);
    CHECK(heard.size() == 1);
    server->end();
    Turn(
        world.loop, [] {}, 20ms);
    server.emplace(world.loop, world.batcher, world.tally, door.socket.get(), KeeperServer::Bounds{});
    server->begin();
    REQUIRE(world.until([&] { return heard.size() == 51; }));
    CHECK(heard[50] == "0 49");
    CHECK(world.shared.jobs.size() == 51);
}

TEST_CASE("a keeper that does not answer fails operations in time", "[worker][jobs]") {
    World world;
    Door door;  // connections wait in its queue
    KeeperClient client(world.loop, {.path = door.path, .owner = {}, .timeout = 50ms});
    std::vector<std::string> heard;
    client.submit(job("1"), world.note(heard));
    REQUIRE(world.until([&] { return heard.size() == 1; }));
    CHECK(heard[0] == "the keeper did not answer in time");
    CHECK(client.pending() == 0);
}

TEST_CASE("what failed as no keeper answered is not done by one that comes later", "[worker][jobs]") {
    Opened world;
    Door door;
    KeeperClient client(world.loop, {.path = door.path, .owner = {}, .timeout = 50ms});
    std::vector<std::string> heard;
    for (int i = 0; i < 8; ++i) {
        auto large = job(std::to_string(i));
        large.job.body.assign(i < 4 ? 10 : 1'000'000, 'x');  // what the kernel takes, and what it does not
        client.submit(std::move(large), world.note(heard));
    }
    REQUIRE(world.until([&] { return heard.size() == 8; }));
    CHECK(heard[7] == "the keeper did not answer in time");
    KeeperServer server(world.loop, world.batcher, world.tally, door.socket.get(), {});
    server.begin();
    client.submit(job("later"), world.note(heard));
    REQUIRE(world.until([&] { return heard.size() == 9; }));
    CHECK(heard[8] == "0 later");
    REQUIRE(world.until([&] { return server.clients() == 1; }));
    CHECK(world.shared.jobs.size() == 1);
    CHECK(world.board.jobs().clients_dropped.get() == 0);
}

TEST_CASE("what is late and not sent yet is dropped with its connection, and what is not late goes on",
          "[worker][jobs]") {
    Opened world;
    Door door;
    KeeperClient client(world.loop, {.path = door.path, .owner = {}, .timeout = 1s});
    std::vector<std::string> heard;
    auto large = job("large");
    large.job.body.assign(4'000'000, 'x');
    client.submit(std::move(large), [&](Operation&&, const ipc::Error* failure) {
        heard.push_back(failure != nullptr ? failure->text() : "stored");
        client.submit(job("after"), world.note(heard));
    });
    REQUIRE(world.until([&] { return heard.size() == 1; }));
    const ipc::UniqueFd first(::accept4(door.socket.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    REQUIRE(first);
    std::string some(65'536, '\0');
    ssize_t got = 1;
    REQUIRE(world.until([&] {
        while ((got = ::recv(first.get(), some.data(), some.size(), 0)) > 0) {
        }
        return got == 0;  // it has ended, and nobody has sent all of it
    }));
    KeeperServer server(world.loop, world.batcher, world.tally, door.socket.get(), {});
    server.begin();
    REQUIRE(world.until([&] { return heard.size() == 2; }));
    CHECK(heard == std::vector<std::string>{"the keeper did not answer in time", "0 after"});
}

TEST_CASE("who runs jobs hears which of them is to be ended, and the others do not", "[worker][jobs]") {
    Opened world;
    Door door;
    KeeperServer server(world.loop, world.batcher, world.tally, door.socket.get(), {});
    server.begin();
    std::vector<std::string> mine, others;
    const auto into = [](std::vector<std::string>& all) {
        return [&all](const std::string& id, std::int64_t fence) {
            all.push_back(id + " " + std::to_string(fence));
        };
    };
    int connected = 0;
    KeeperClient me(world.loop, {.path = door.path, .owner = "me", .cancel = into(mine), .connected = [&] {
                                     ++connected;
                                 }});
    KeeperClient other(world.loop, {.path = door.path, .owner = "other", .cancel = into(others)});
    REQUIRE(world.until([&] { return server.owners().size() == 2; }));
    CHECK(connected == 1);
    server.cancel("me", "a job", 7);
    server.cancel("nobody", "another", 8);
    REQUIRE(world.until([&] { return !mine.empty(); }));
    CHECK(mine == std::vector<std::string>{"a job 7"});
    CHECK(others.empty());
}

TEST_CASE("the second with an idempotency key hears that the first is in flight, the same job does not",
          "[worker][jobs]") {
    Opened world;
    Door door;
    KeeperServer server(world.loop, world.batcher, world.tally, door.socket.get(), {});
    server.begin();
    KeeperClient client(world.loop, {.path = door.path, .owner = {}});
    std::vector<std::string> heard;
    client.submit(job("1", "key"), world.note(heard));
    client.submit(job("2", "key"), world.note(heard));
    client.submit(job("1", "key"), world.note(heard));
    REQUIRE(world.until([&] { return heard.size() == 3; }));
    CHECK(std::count(heard.begin(), heard.end(), "0 1") == 1);
    CHECK(std::count(heard.begin(), heard.end(), "1 1") == 1);
    CHECK(std::count(heard.begin(), heard.end(), "4 ") == 1);
    client.submit(job("3", "key"), world.note(heard));
    REQUIRE(world.until([&] { return heard.size() == 4; }));
    CHECK(heard[3] == "0 3");  // this store knows no keys
}

TEST_CASE("a client of a newer version is told what is not known here, and stays", "[worker][jobs]") {
    Opened world;
    Door door;
    KeeperServer server(world.loop, world.batcher, world.tally, door.socket.get(), {});
    server.begin();
    const auto newer = door.connect();
    std::string said;
    append_ask(said, 5, Stats{}, 0);
    said[frame_head_bytes + 8] = '\x40';  // an operation of the next version
    append_ask(said, 6, Stats{}, 0);
    said[said.size() - 1 - 8 - 1] = '\x40';  // a kind of frame of the next version
    append_ask(said, 7, Stats{}, 0);
    REQUIRE(::send(newer.get(), said.data(), said.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(said.size()));
    std::string heard;
    std::vector<Frame> answers;
    REQUIRE(world.until([&] {
        char bytes[512];
        const auto got = ::recv(newer.get(), bytes, sizeof bytes, MSG_DONTWAIT);
        if (got > 0) heard.append(bytes, static_cast<std::size_t>(got));
        answers.clear();
        std::string_view rest = heard;
        while (rest.size() >= frame_length_bytes && rest.size() - frame_length_bytes >= frame_length(rest)) {
            answers.push_back(*parse_frame(rest.substr(frame_length_bytes, frame_length(rest))));
            rest.remove_prefix(frame_length_bytes + frame_length(rest));
        }
        return answers.size() == 2;
    }));
    CHECK(answers[0].head.number == 5);
    CHECK(answers[0].head.kind == FrameKind::failed);
    CHECK(answers[1].head.number == 7);
    CHECK(answers[1].head.kind == FrameKind::stored);
    CHECK(world.board.jobs().clients_dropped.get() == 0);
}

TEST_CASE("a client that talks nonsense is dropped, and the others go on", "[worker][jobs]") {
    const Logged log;
    Opened world;
    Door door;
    KeeperServer server(world.loop, world.batcher, world.tally, door.socket.get(), {});
    server.begin();
    KeeperClient client(world.loop, {.path = door.path, .owner = "me"});
    const auto stranger = door.connect();
    REQUIRE(world.until([&] { return server.clients() == 2 && server.owners().size() == 1; }));
    CHECK(server.owners() == std::vector<std::string>{"me"});
    const std::string nonsense("\xff\xff\xff\x7fxxxx", 8);
    REQUIRE(::send(stranger.get(), nonsense.data(), nonsense.size(), MSG_NOSIGNAL) == 8);
    REQUIRE(world.until([&] { return server.clients() == 1; }));
    CHECK(world.board.jobs().clients_dropped.get() == 1);
    std::vector<std::string> heard;
    client.submit(job("1"), world.note(heard));
    REQUIRE(world.until([&] { return heard.size() == 1; }));
    CHECK(heard[0] == "0 1");
}

namespace {

struct Heard final : JobWatcher {
    void on_changed() override { ++changes; }
    void on_leaving() override { left = true; }
    int changes = 0;
    bool left = false;
};

constexpr const char* watched_id = "0198c5a4-0000-7000-8000-000000000001";

Retry retry_of(const std::string& id) {
    Retry retry;
    retry.id = id;
    return retry;
}

}  // namespace

TEST_CASE("who watches a job hears of its changes, once a turn, and of a new connection",
          "[worker][jobs][watch]") {
    Opened world;
    const Door door;
    auto server = std::make_unique<KeeperServer>(world.loop, world.batcher, world.tally, door.socket.get(),
                                                 KeeperServer::Bounds{});
    world.batcher.when_stored([&](const Operation& operation) {
        if (server) server->note(operation);
    });
    server->begin();
    KeeperClient client(world.loop, {.path = door.path, .owner = {}, .timeout = 60s, .watchers = 2});
    Heard one, other, third;
    Turn(world.loop, [&] {
        CHECK(client.watch(watched_id, one));
        CHECK(client.watch("0198c5a4-0000-7000-8000-000000000002", other));
        CHECK_FALSE(client.watch(watched_id, third));
    });
    std::vector<std::string> heard;
    for (int i = 0; i < 10; ++i) client.submit(retry_of(watched_id), world.note(heard));
    REQUIRE(world.until([&] { return heard.size() == 10 && one.changes > 0; }));
    CHECK(one.changes < 10);
    CHECK(other.changes == 0);
    const int before = one.changes;
    Turn(world.loop, [&] { server->end(); });
    server = std::make_unique<KeeperServer>(world.loop, world.batcher, world.tally, door.socket.get(),
                                            KeeperServer::Bounds{});
    server->begin();
    REQUIRE(world.until([&] { return one.changes > before && other.changes > 0; }));
    client.unwatch(watched_id, one);
    const int last = one.changes;
    const int others = other.changes;
    client.submit(retry_of(watched_id), world.note(heard));
    client.submit(retry_of("0198c5a4-0000-7000-8000-000000000002"), world.note(heard));
    REQUIRE(world.until([&] { return other.changes > others; }));
    CHECK(one.changes == last);
    client.take_leave();
    CHECK((other.left && !one.left && client.leaving()));
    CHECK_FALSE(client.watch(watched_id, one));
}
