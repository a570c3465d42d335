// tests/worker/jobs_strays_test.cpp: jobs of queues that nobody configures.

#include <catch2/catch.hpp>

#include "tests/worker/turn.h"
#include "worker/jobs/strays.h"

using namespace worker::jobs;

TEST_CASE("jobs of a queue that is not configured are told of, once until there are none", "[jobs]") {
    conf::Config config;
    config.queues.emplace_back().name = "mail";
    ipc::JobsCell cell;
    Strays strays(config, cell);
    Stats stats;
    stats.answer.queues.resize(3);
    stats.answer.queues[0].name = "mail";
    stats.answer.queues[0].ready = 5;
    stats.answer.queues[1].name = "old";
    stats.answer.queues[1].done = 7;
    stats.answer.queues[2].name = "older";
    {
        const Logged log;
        strays.look(stats);
        CHECK(log.text().empty());
        CHECK(cell.strays.get() == 0);
        CHECK(strays.waiting() == 5);
    }
    stats.answer.queues[1].scheduled = 1;
    stats.answer.queues[1].running = 2;
    {
        const Logged log;
        strays.look(stats);
        CHECK(log.text().find("not configured stay, and run once it is again queue=old jobs=3") !=
              std::string::npos);
        CHECK(cell.strays.get() == 3);
        CHECK(strays.waiting() == 8);
    }
    const Logged log;
    strays.look(stats);
    CHECK(log.text().empty());
    stats.answer.queues[1].scheduled = stats.answer.queues[1].running = 0;
    strays.look(stats);
    stats.answer.queues[1].ready = 1;
    strays.look(stats);
    CHECK(log.text().find("queue=old jobs=1") != std::string::npos);
}
