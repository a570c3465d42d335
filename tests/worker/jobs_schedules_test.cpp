// tests/worker/jobs_schedules_test.cpp: jobs made by a clock that the test sets.
#include "worker/jobs/schedules.h"

#include <catch2/catch.hpp>

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "conf/schedule_types.h"
#include "tests/conf/temporary_folder.h"
#include "tests/worker/turn.h"

using namespace worker::jobs;
using namespace std::chrono_literals;
using Missed = conf::Schedule::Missed;

namespace {

constexpr UnixMs minute = 60'000, hour = 60 * minute;
constexpr UnixMs noon = 1'777'636'800'000;  // 2026-05-01 12:00 UTC

/// What a store knows of schedules. Answers come on a later turn, in order.
class Runs final : public Keeping {
 public:
    explicit Runs(worker::execution::Loop& loop)
        : loop_(loop), event_(ipc::Event::timer<&Runs::on_time>(this, loop.base())) {}
    void submit(Operation operation, Answered answered) override {
        waiting_.emplace_back(std::move(operation), std::move(answered));
        event_.arm(0ms);
    }
    std::map<std::string, std::set<UnixMs>> fired;
    std::vector<NewJob> jobs;
    bool fails = false, full = false;
    std::size_t refused = 0;

 private:
    void on_time(short) {
        loop_.enter();
        for (auto& [operation, answered] : std::exchange(waiting_, {})) {
            if (fails) {
                ++refused;
                const ipc::Error error{"disk full", {}};
                answered(std::move(operation), &error);
                continue;
            }
            if (auto* last = std::get_if<LastFired>(&operation)) {
                const auto& known = fired[last->schedule];
                last->answer.due = known.empty() ? 0 : *known.rbegin();
            } else {
                auto& fire = std::get<Fire>(operation);
                auto& answer = fire.enqueue.answer;
                if (full) {
                    ++refused;
                    answer.what = Enqueue::Answer::What::full;
                } else if (fired[fire.schedule].insert(fire.due).second) {
                    jobs.push_back(fire.enqueue.job);
                } else {
                    answer.what = Enqueue::Answer::What::existing;
                }
            }
            answered(std::move(operation), nullptr);
        }
    }
    worker::execution::Loop& loop_;
    std::vector<std::pair<Operation, Answered>> waiting_;
    ipc::Event event_;
};

/// A queue, a schedule of every ten minutes, and a clock on the wall.
struct Tower {
    Tower() {
        conf::Queue& queue = config.queues.emplace_back();
        queue.name = "q";
        queue.attempts = 7;
        queue.priority = 3;
        conf::Schedule& schedule = config.schedules.emplace_back();
        schedule.name = "s";
        schedule.queue = "q";
        schedule.body = "tick";
        schedule.cron = *conf::parse_cron("*/10 * * * *");
        (void)board.add_job_schedule("s");
    }
    void start() {
        schedules.emplace(config, loop, board, store, [this] { return now; });
        schedules->start();
        settle();
    }
    /// All that is under way is over.
    void settle(std::chrono::milliseconds time = 5ms) {
        Turn(
            loop, [] {}, time);
    }
    void pass(UnixMs time) {
        now += time;
        schedules->look();
        settle();
    }
    [[nodiscard]] std::set<UnixMs> fired() { return store.fired[run_name(config.schedules.front())]; }
    [[nodiscard]] const ipc::JobScheduleCell& cell() {
        return board.job_schedule_cell(board.job_schedule("s"));
    }

    conf::Config config;
    ipc::LoopCell loop_cell{};
    worker::execution::Loop loop{loop_cell};
    ipc::Scoreboard board = *ipc::Scoreboard::make();
    Runs store{loop};
    UnixMs now = noon + 3 * minute;
    std::optional<Schedules> schedules;
};

}  // namespace

TEST_CASE("a run makes a job when it is due, and one only", "[jobs][schedule]") {
    Tower tower;
    auto& schedule = tower.config.schedules.front();
    schedule.key = "k";
    schedule.content_type = "text/plain";
    tower.start();
    CHECK(tower.store.jobs.empty());
    CHECK(tower.cell().next_ms.get() == noon + 10 * minute);
    tower.pass(6 * minute);
    CHECK(tower.store.jobs.empty());
    tower.pass(minute);
    REQUIRE(tower.store.jobs.size() == 1);
    const auto& job = tower.store.jobs.front();
    CHECK(is_job_id(job.id));
    CHECK(job.queue == "q");
    CHECK(job.body == "tick");
    CHECK(job.content_type == "text/plain");
    CHECK(job.key == "k");
    CHECK(job.priority == 3);
    CHECK(job.attempts == 7);
    CHECK(tower.fired() == std::set<UnixMs>{noon + 10 * minute});
    tower.pass(0);
    tower.pass(1000);
    CHECK(tower.store.jobs.size() == 1);
    tower.pass(10 * minute);
    CHECK(tower.store.jobs.size() == 2);
    CHECK(tower.cell().last_ms.get() == noon + 20 * minute);
    CHECK(tower.cell().next_ms.get() == noon + 30 * minute);
    CHECK(tower.cell().runs.get() == 2);
    CHECK(tower.cell().missed.get() == 0);
}

TEST_CASE("a run comes by itself, by a timer", "[jobs][schedule]") {
    Tower tower;
    tower.config.schedules.front().cron = {};
    tower.config.schedules.front().every = 1s;
    tower.schedules.emplace(tower.config, tower.loop, tower.board, tower.store);
    tower.schedules->start();
    tower.settle(2500ms);
    CHECK(tower.store.jobs.size() >= 2);
}

TEST_CASE("a schedule that has never run has missed nothing", "[jobs][schedule]") {
    Tower tower;
    tower.config.schedules.front().missed = Missed::all;
    tower.start();
    CHECK(tower.store.jobs.empty());
    CHECK(tower.cell().missed.get() == 0);
}

TEST_CASE("a first run that falls between two keepers is made up for", "[jobs][schedule]") {
    Tower tower;
    tower.start();
    tower.schedules->stop();
    tower.now += 7 * minute + 1000;
    tower.start();
    CHECK(tower.fired() == std::set<UnixMs>{noon + 10 * minute});
    CHECK(tower.cell().missed.get() == 0);
}

TEST_CASE("runs that were missed are left out, run once, or all", "[jobs][schedule]") {
    const auto runs = [](Missed missed, UnixMs late) {
        Tower tower;
        tower.config.schedules.front().missed = missed;
        tower.store.fired[run_name(tower.config.schedules.front())] = {noon - hour};
        tower.now = noon + late;
        tower.start();
        auto fired = tower.fired();
        fired.erase(noon - hour);
        CHECK(tower.cell().missed.get() + fired.size() == 6);
        return fired;
    };
    CHECK(runs(Missed::skip, 5 * minute).empty());
    CHECK(runs(Missed::skip, 1000) == std::set<UnixMs>{noon});  // a moment late is on time
    CHECK(runs(Missed::once, 5 * minute) == std::set<UnixMs>{noon});
    CHECK(runs(Missed::all, 5 * minute) == std::set<UnixMs>{noon - 50 * minute, noon - 40 * minute,
                                                            noon - 30 * minute, noon - 20 * minute,
                                                            noon - 10 * minute, noon});
}

TEST_CASE("no more than a thousand runs are made up for, and it is said", "[jobs][schedule]") {
    Logged log;
    Tower tower;
    auto& schedule = tower.config.schedules.front();
    schedule.missed = Missed::all;
    schedule.cron = *conf::parse_cron("* * * * *");
    tower.store.fired[run_name(schedule)] = {noon - 1100 * minute};
    tower.now = noon;
    tower.start();
    for (int i = 0; i < 1000 && tower.store.jobs.size() < 1000; ++i) tower.settle();
    CHECK(tower.store.jobs.size() == 1000);
    CHECK(tower.fired().rbegin().operator*() == noon);
    CHECK(tower.cell().missed.get() == 100);
    CHECK(log.text().find("runs of a schedule are left out schedule=s runs=100") != std::string::npos);
}

TEST_CASE("with another time a schedule is another one, and has missed nothing", "[jobs][schedule]") {
    Tower tower;
    auto& schedule = tower.config.schedules.front();
    tower.store.fired[run_name(schedule)] = {noon - 24 * hour};
    schedule.cron = *conf::parse_cron("*/5 * * * *");
    tower.start();
    CHECK(tower.store.jobs.empty());
    tower.pass(2 * minute);
    CHECK(tower.store.jobs.size() == 1);
}

TEST_CASE("a clock that is set loses no run and doubles none", "[jobs][schedule]") {
    Tower tower;
    tower.config.schedules.front().missed = Missed::all;
    tower.start();
    for (int i = 0; i < 6; ++i) tower.pass(10 * minute);
    CHECK(tower.store.jobs.size() == 6);
    tower.pass(-hour);  // back: those times come again
    for (int i = 0; i < 6; ++i) tower.pass(10 * minute);
    CHECK(tower.store.jobs.size() == 6);
    tower.pass(hour);  // and forth
    for (int i = 0; i < 10 && tower.store.jobs.size() < 12; ++i) tower.settle();
    CHECK(tower.store.jobs.size() == 12);
    tower.pass(-24 * 365 * hour);  // it was all wrong
    tower.pass(10 * minute);
    CHECK(tower.store.jobs.size() == 13);
}

TEST_CASE("a run that cannot be stored is tried again, with the same name", "[jobs][schedule]") {
    Logged log;
    Tower tower;
    tower.start();
    tower.store.fails = true;
    tower.pass(7 * minute);
    CHECK(tower.store.refused == 1);
    CHECK(log.text().find("cannot be stored, will be tried again schedule=s why=\"disk full") !=
          std::string::npos);
    tower.store.fails = false;
    tower.store.full = true;
    for (int i = 0; i < 100 && tower.store.refused < 2; ++i) tower.settle(50ms);
    CHECK(tower.store.refused == 2);
    tower.store.full = false;
    for (int i = 0; i < 100 && tower.store.jobs.empty(); ++i) tower.settle(50ms);
    CHECK(tower.fired() == std::set<UnixMs>{noon + 10 * minute});
}

TEST_CASE("a run that waits too long for the store is missed where that is to be", "[jobs][schedule]") {
    Tower tower;
    tower.config.schedules.front().missed = Missed::skip;
    tower.start();
    tower.store.fails = true;
    tower.pass(7 * minute);
    tower.pass(2 * minute);
    tower.store.fails = false;
    tower.settle(1200ms);
    CHECK(tower.store.jobs.empty());
    CHECK(tower.cell().missed.get() == 1);
    tower.pass(8 * minute);
    CHECK(tower.fired() == std::set<UnixMs>{noon + 20 * minute});
}

TEST_CASE("nothing is fired by a keeper that does not serve", "[jobs][schedule]") {
    Tower tower;
    tower.schedules.emplace(tower.config, tower.loop, tower.board, tower.store, [&] { return tower.now; });
    tower.pass(hour);
    CHECK(tower.store.fired.empty());
    tower.schedules->start();
    tower.settle();
    tower.schedules->stop();
    tower.pass(hour);
    CHECK(tower.store.jobs.empty());
}

TEST_CASE("a body may come from a file, which is waited for", "[jobs][schedule]") {
    const TemporaryFolder folder;
    Tower tower;
    auto& schedule = tower.config.schedules.front();
    schedule.body.clear();
    schedule.body_file = folder.path("body");
    tower.start();
    tower.pass(7 * minute);
    CHECK(tower.store.jobs.empty());  // it is not there yet
    (void)folder.write("body", std::string("a\0b", 3));
    for (int i = 0; i < 100 && tower.store.jobs.empty(); ++i) tower.settle(50ms);
    REQUIRE(tower.store.jobs.size() == 1);
    CHECK(tower.store.jobs[0].body == std::string("a\0b", 3));
}

TEST_CASE("the body of a file is what it was when the keeper began", "[jobs][schedule]") {
    const TemporaryFolder folder;
    Tower tower;
    auto& schedule = tower.config.schedules.front();
    schedule.body.clear();
    schedule.body_file = folder.write("body", "then");
    tower.start();
    (void)folder.write("body", "now");
    tower.pass(7 * minute);
    REQUIRE(tower.store.jobs.size() == 1);
    CHECK(tower.store.jobs[0].body == "then");
}

TEST_CASE("what cannot be stored any more when a keeper lets go is nobody's error", "[jobs][schedule]") {
    Logged log;
    Tower tower;
    tower.start();
    tower.store.fails = true;
    tower.now += 7 * minute;
    tower.schedules->look();
    tower.schedules->stop();
    tower.settle();
    CHECK(tower.store.refused == 1);
    CHECK(log.text().empty());
}
