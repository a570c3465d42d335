// tests/worker/thread_pool_test.cpp: who gets a thread, who waits and for how long, and what becomes of those
// that never come back.
#include "worker/execution/thread_pool.h"

#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include "ipc/clock.h"
#include "worker/execution/thread_pools.h"

using worker::execution::Loop;
using worker::execution::ThreadDesk;
using worker::execution::ThreadJob;
using worker::execution::ThreadOutcome;
using worker::execution::ThreadPool;
using worker::execution::ThreadPools;
using namespace std::chrono_literals;

namespace {

/// What jobs write down and wait for; they own it together with the test.
class Scene {
 public:
    void begin(int number) {
        const std::lock_guard lock(mutex_);
        begun_.push_back(number);
        changed_.notify_all();
    }
    void wait_for_opening() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return open_; });
    }
    void open() {
        const std::lock_guard lock(mutex_);
        open_ = true;
        changed_.notify_all();
    }
    void end() {
        const std::lock_guard lock(mutex_);
        ++ended_;
    }
    /// Jobs that nobody has any more.
    [[nodiscard]] int ended() const {
        const std::lock_guard lock(mutex_);
        return ended_;
    }
    [[nodiscard]] std::vector<int> begun() const {
        const std::lock_guard lock(mutex_);
        return begun_;
    }

 private:
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<int> begun_;
    bool open_ = false;
    int ended_ = 0;
};

struct Job final : ThreadJob {
    explicit Job(std::shared_ptr<Scene> of, int as = 0, bool waits_here = true)
        : scene(std::move(of)), number(as), waits(waits_here) {}
    Job(const Job&) = delete;
    Job& operator=(const Job&) = delete;
    ~Job() override { scene->end(); }
    void run() override {
        scene->begin(number);
        if (waits) scene->wait_for_opening();
        if (throws) throw std::runtime_error("no luck");
        thread = std::this_thread::get_id();
    }
    [[nodiscard]] std::string_view about() const noexcept override { return "GET /slow"; }

    std::shared_ptr<Scene> scene;
    int number;
    bool waits;
    bool throws = false;
    std::thread::id thread;
};

struct Errand final : ThreadPool::Errand {
    using ThreadPool::Errand::Errand;
    void on_over(ThreadOutcome how) override {
        ++told;
        outcome = how;
        if (then) then();
    }
    int told = 0;
    ThreadOutcome outcome = ThreadOutcome::done;
    std::function<void()> then;
};

struct World {
    explicit World(ThreadPool::Limits limits) : loop(cell), desk(loop) {
        table = std::move(*ipc::PoolTable::create({{.name = "slow", .members = 0, .threads = true}}));
        limits.name = "slow";
        auto started = ThreadPool::start(limits, {*table, 0, row});
        REQUIRE(started);
        pool = std::move(*started);
    }
    template <class Condition>
    bool turn_until(const Condition& condition) {
        const auto end = ipc::monotonic_ms() + 10'000;
        while (!condition()) {
            if (ipc::monotonic_ms() > end) return false;
            event_base_loop(&loop.base(), EVLOOP_NONBLOCK);
            ::usleep(200);
        }
        return true;
    }
    bool told(const Errand& errand) {
        return turn_until([&] { return errand.told > 0; });
    }
    bool begun(std::size_t jobs) {
        return turn_until([&] { return scene->begun().size() == jobs; });
    }
    std::shared_ptr<Job> submit(Errand& errand, int number = 0, bool waits = true) {
        auto job = std::make_shared<Job>(scene, number, waits);
        pool->submit(errand, job);
        return job;
    }
    [[nodiscard]] ipc::PoolReport report() const { return table->report(0, 0); }

    static constexpr std::uint32_t row = 3;
    std::unique_ptr<ipc::PoolTable> table;
    std::shared_ptr<Scene> scene = std::make_shared<Scene>();
    std::unique_ptr<ThreadPool> pool;
    ipc::LoopCell cell;
    Loop loop;
    ThreadDesk desk;
};

ThreadPool::Limits limits_of(std::uint32_t threads, std::uint32_t threads_max, std::uint32_t queue = 100) {
    ThreadPool::Limits limits;
    limits.threads = threads;
    limits.threads_max = threads_max;
    limits.queue = queue;
    return limits;
}

}  // namespace

TEST_CASE("a job runs in another thread, and its end is told on the loop", "[threadpool]") {
    World world(limits_of(2, 2));
    Errand errand(world.desk);
    auto job = world.submit(errand, 1, false);
    CHECK(errand.pending());
    CHECK(errand.told == 0);
    REQUIRE(world.told(errand));
    CHECK(errand.outcome == ThreadOutcome::done);
    CHECK_FALSE(errand.pending());
    CHECK(job->thread != std::this_thread::get_id());
    CHECK(job.use_count() == 1);  // the pool has let go of it
    CHECK(world.report().tasks == 1);
}

TEST_CASE("an errand may ask again when it is told", "[threadpool]") {
    World world(limits_of(1, 1));
    Errand errand(world.desk);
    errand.then = [&] {
        if (errand.told < 3) world.submit(errand, errand.told, false);
    };
    world.submit(errand, 0, false);
    REQUIRE(world.turn_until([&] { return errand.told == 3; }));
    CHECK(world.scene->begun() == std::vector<int>{0, 1, 2});
}

TEST_CASE("an exception that leaves a job is told, and its thread goes on", "[threadpool]") {
    World world(limits_of(1, 1));
    Errand errand(world.desk), after(world.desk);
    auto job = std::make_shared<Job>(world.scene, 1, false);
    job->throws = true;
    world.pool->submit(errand, job);
    world.submit(after, 2, false);
    REQUIRE(world.told(after));
    CHECK(errand.outcome == ThreadOutcome::threw);
    CHECK(after.outcome == ThreadOutcome::done);
    CHECK(world.report().threw == 1);
}

TEST_CASE("as many jobs run at once as there are threads; others wait in order", "[threadpool]") {
    World world(limits_of(2, 2));
    std::deque<Errand> errands;
    for (int number = 0; number < 5; ++number) world.submit(errands.emplace_back(world.desk), number);
    REQUIRE(world.begun(2));
    const auto use = world.pool->use();
    CHECK((use.threads == 2 && use.busy == 2 && use.stuck == 0 && use.waiting == 3));
    const auto report = world.report();
    CHECK(report.of_threads);
    CHECK((report.threads.threads == 2 && report.threads.busy == 2 && report.threads.waiting == 3));
    world.scene->open();
    for (const Errand& errand : errands) {
        REQUIRE(world.told(errand));
        CHECK(errand.outcome == ThreadOutcome::done);
    }
    REQUIRE(world.turn_until([&] { return world.report().threads.busy == 0; }));
    CHECK(world.report().threads.waiting == 0);
}

TEST_CASE("a job that finds the queue full is refused, and told so on a later turn", "[threadpool]") {
    World world(limits_of(1, 1, 1));
    Errand running(world.desk), waiting(world.desk), refused(world.desk);
    world.submit(running, 1);
    REQUIRE(world.begun(1));
    world.submit(waiting, 2);
    auto job = world.submit(refused, 3);
    CHECK(refused.told == 0);
    REQUIRE(world.told(refused));
    CHECK(refused.outcome == ThreadOutcome::full);
    CHECK(job.use_count() == 1);
    CHECK(world.report().refused_full == 1);
    world.scene->open();
    REQUIRE(world.told(waiting));
    CHECK(world.scene->begun() == std::vector<int>{1, 2});
}

TEST_CASE("without a queue a job still finds an idle thread", "[threadpool]") {
    World world(limits_of(1, 1, 0));
    Errand running(world.desk), refused(world.desk);
    world.submit(running, 1);
    world.submit(refused, 2);
    REQUIRE(world.told(refused));
    CHECK(refused.outcome == ThreadOutcome::full);
    world.scene->open();
    REQUIRE(world.told(running));
    CHECK(running.outcome == ThreadOutcome::done);
}

TEST_CASE("a job that has waited for queue_timeout is never begun", "[threadpool]") {
    auto limits = limits_of(1, 1);
    limits.queue_timeout = 30ms;
    World world(limits);
    Errand running(world.desk), late(world.desk);
    world.submit(running, 1);
    REQUIRE(world.begun(1));
    auto job = world.submit(late, 2);
    REQUIRE(world.told(late));
    CHECK(late.outcome == ThreadOutcome::late);
    CHECK(job.use_count() == 1);
    world.scene->open();
    REQUIRE(world.told(running));
    CHECK(world.scene->begun() == std::vector<int>{1});
    CHECK(world.report().refused_late == 1);
}

TEST_CASE("a job that waits is taken back; one that runs goes on unseen", "[threadpool]") {
    World world(limits_of(1, 1));
    Errand running(world.desk), waiting(world.desk), after(world.desk);
    world.submit(running, 1);
    REQUIRE(world.begun(1));
    auto job = world.submit(waiting, 2);
    waiting.cancel();
    CHECK_FALSE(waiting.pending());
    CHECK(job.use_count() == 1);
    CHECK(world.report().left == 1);
    running.cancel();
    {
        Errand gone(world.desk);
        world.submit(gone, 3);
    }
    world.submit(after, 4);
    world.scene->open();
    REQUIRE(world.told(after));
    CHECK(world.scene->begun() == std::vector<int>{1, 4});
    CHECK((running.told == 0 && waiting.told == 0));
}

TEST_CASE("an errand that is cancelled between the end of its job and its turn hears nothing",
          "[threadpool]") {
    World world(limits_of(1, 1));
    Errand errand(world.desk), after(world.desk);
    world.submit(errand, 1, false);
    const auto end = ipc::monotonic_ms() + 10'000;
    while (world.report().threads.busy > 0 || world.scene->begun().empty()) {  // the loop does not turn
        REQUIRE(ipc::monotonic_ms() < end);
        ::usleep(200);
    }
    errand.cancel();
    world.submit(after, 2, false);
    REQUIRE(world.told(after));
    CHECK(errand.told == 0);
}

TEST_CASE("a job over its limit is given up, and another thread takes the place of its own", "[threadpool]") {
    auto limits = limits_of(1, 2);
    limits.timeout = 30ms;
    World world(limits);
    Errand stuck(world.desk), after(world.desk);
    world.submit(stuck, 1);
    REQUIRE(world.told(stuck));
    CHECK(stuck.outcome == ThreadOutcome::overdue);
    REQUIRE(world.turn_until([&] { return world.pool->use().threads == 2; }));
    CHECK(world.pool->use().stuck == 1);
    CHECK(world.report().threads.stuck == 1);
    world.submit(after, 2, false);
    REQUIRE(world.told(after));
    CHECK(after.outcome == ThreadOutcome::done);
    // When it comes back it is one too many.
    world.scene->open();
    REQUIRE(world.turn_until([&] { return world.pool->use().threads == 1; }));
    CHECK(world.pool->use().stuck == 0);
    CHECK(stuck.told == 1);
    CHECK(world.report().timeouts == 1);
    CHECK(world.report().started == 2);
}

TEST_CASE("there are never more threads than the most; who is stuck works again when it is back",
          "[threadpool]") {
    auto limits = limits_of(1, 2);
    limits.timeout = 30ms;
    limits.queue_timeout = 10s;
    World world(limits);
    Errand first(world.desk), second(world.desk), waits(world.desk);
    world.submit(first, 1);
    REQUIRE(world.told(first));
    world.submit(second, 2);
    REQUIRE(world.told(second));
    CHECK(second.outcome == ThreadOutcome::overdue);
    world.submit(waits, 3, false);
    REQUIRE(world.turn_until([&] { return world.pool->use().stuck == 2; }));
    CHECK((world.pool->use().threads == 2 && world.pool->use().waiting == 1));
    CHECK(waits.told == 0);
    world.scene->open();
    REQUIRE(world.told(waits));
    CHECK(waits.outcome == ThreadOutcome::done);
    REQUIRE(world.turn_until([&] { return world.pool->use().threads == 1; }));
}

TEST_CASE("a pool that goes forgets who waits, waits for who works and leaves who is stuck", "[threadpool]") {
    auto limits = limits_of(1, 2);
    limits.timeout = 30ms;
    World world(limits);
    Errand stuck(world.desk), quick(world.desk);
    auto left = world.submit(stuck, 1);
    REQUIRE(world.told(stuck));
    world.submit(quick, 2, false);
    REQUIRE(world.told(quick));
    world.pool.reset();
    const int ended = world.scene->ended();
    left.reset();
    CHECK(world.scene->ended() == ended);
    // It comes back to what is no more.
    world.scene->open();
    REQUIRE(world.turn_until([&] { return world.scene->ended() > ended; }));
    CHECK(stuck.told == 1);
}

TEST_CASE("jobs that are still under way when their desk goes end unheard", "[threadpool]") {
    World world(limits_of(1, 1));
    auto desk = std::make_unique<ThreadDesk>(world.loop);
    auto errand = std::make_unique<Errand>(*desk);
    auto job = world.submit(*errand, 1);
    REQUIRE(world.begun(1));
    errand.reset();
    desk.reset();
    job.reset();
    world.scene->open();
    REQUIRE(world.turn_until([&] { return world.scene->ended() == 1; }));
}

TEST_CASE("jobs of several loops share the threads", "[threadpool]") {
    World world(limits_of(2, 2));
    constexpr int jobs = 500;
    const auto drive = [&world] {
        ipc::LoopCell cell;
        Loop loop(cell);
        ThreadDesk desk(loop);
        Errand errand(desk);
        errand.then = [&] {
            if (errand.told == jobs) return loop.stop();
            world.pool->submit(errand, std::make_shared<Job>(world.scene, errand.told, false));
        };
        world.pool->submit(errand, std::make_shared<Job>(world.scene, 0, false));
        loop.run();
        return errand.told;
    };
    int other = 0;
    std::thread thread([&] { other = drive(); });
    CHECK(drive() == jobs);
    thread.join();
    CHECK(other == jobs);
    CHECK(world.report().tasks == 2 * jobs);
}

TEST_CASE("the pools of a process are found by name, and those of processes are none of them",
          "[threadpool]") {
    conf::Config config;
    config.pools.resize(2);
    config.pools[0].name = "php";
    config.pools[1].name = "slow";
    config.pools[1].kind = conf::Pool::Kind::thread;
    config.pools[1].size = 3;
    const auto table = ipc::PoolTable::create(
        {{.name = "php"}, {.name = "slow", .members = 0, .queue = 128, .threads = true}});
    REQUIRE(table);
    int lodged = 0;
    std::mutex mutex;
    const auto pools = ThreadPools::start(
        config, table->get(), 0, [&](const ThreadPool::Note& note, const std::function<void()>& live) {
            {
                const std::lock_guard lock(mutex);
                lodged += note.pool == "slow" ? 1 : 0;
            }
            live();
        });
    REQUIRE(pools);
    CHECK(pools->find("php") == nullptr);
    CHECK(pools->find("slower") == nullptr);
    REQUIRE(pools->find("slow") != nullptr);
    CHECK(pools->find("slow")->use().threads == 3);
    CHECK((*table)->report(1, 0).threads.threads == 3);
    const auto end = ipc::monotonic_ms() + 10'000;
    for (bool all = false; !all; ::usleep(200)) {
        REQUIRE(ipc::monotonic_ms() < end);
        const std::lock_guard lock(mutex);
        all = lodged == 3;
    }
    (*table)->free_of(0, 0);  // the worker is gone, and its threads
    CHECK((*table)->report(1, 0).threads.threads == 0);
}
