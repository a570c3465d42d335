// Schedules on the real server: jobs that a clock makes, over reloads and restarts, and what is told of them.
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "tests/integration/check.h"
#include "tests/integration/server.h"

using namespace integration;
using nlohmann::json;

namespace {

struct Belfry {
    explicit Belfry(const std::string& schedules) {
        for (const char* name : {"out", "store"}) {
            ::mkdir(folder.path(name).c_str(), 0777);
            ::chmod(folder.path(name).c_str(), 0777);
        }
        const auto path = folder.write("job.sh", "#!/bin/sh\n(cat; echo) >> " + folder.path("out") +
                                                     "/runs\nprintf 'Content-Type: text/plain\\n\\n'\n");
        ::chmod(path.c_str(), 0755);
        setup = {.routes =
                     "[route jobs]\npath = /jobs/\njobs = on\nallow = all\n"
                     "[route metrics]\npath = /metrics\nmetrics = on\n"
                     "[store]\nurl = sqlite:@folder@/store/jobs.db\n"
                     "[pool p]\nrun = cgi @folder@/job.sh\nsize = 1\n[queue q]\npool = p\n" +
                     schedules};
    }
    [[nodiscard]] std::size_t runs() const {
        const auto text = contents(folder.path("out/runs"));
        return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
    }
    TemporaryFolder folder;
    Setup setup;
};

json schedules_of(const Server& server) {
    return json::parse(server.get("/jobs/schedules").body)["schedules"];
}

}  // namespace

TEST_CASE("a schedule makes jobs that run, over a reload and the death of the keeper",
          "[integration][jobs][schedule]") {
    const Belfry belfry("[schedule tick]\nevery = 1s\nqueue = q\nbody = tick\nmissed = all\n");
    const Server server(belfry.folder, belfry.setup);
    eventually("it has run", [&] { return belfry.runs() >= 2; });
    CHECK(contents(belfry.folder.path("out/runs")).starts_with("tick\ntick\n"));
    REQUIRE(server.command({"-s", "reload"}).status == 0);
    const auto then = belfry.runs();
    eventually("it runs on", [&] { return belfry.runs() >= then + 2; });
    for (const pid_t pid : server.processes())
        if (contents("/proc/" + std::to_string(pid) + "/cmdline").starts_with("reeve: keeper"))
            ::kill(pid, SIGKILL);
    const auto killed = belfry.runs();
    eventually("it runs on with another keeper", [&] { return belfry.runs() >= killed + 2; });

    // Each second has one job and one only, whoever fired it.
    const auto listed = json::parse(server.get("/jobs/?limit=1000").body)["jobs"];
    std::size_t jobs = listed.size();
    const auto told = schedules_of(server);
    CAPTURE(told.dump(), jobs, server.log());
    REQUIRE(told.size() == 1);
    CHECK(told[0]["name"] == "tick");
    CHECK(told[0]["every"] == "1s");
    CHECK(told[0]["queue"] == "q");
    CHECK(told[0]["runs"].get<std::size_t>() >= jobs);
    CHECK(told[0]["runs"].get<std::size_t>() <= jobs + 3);
    CHECK(told[0]["missed_runs"] == 0);
    CHECK(told[0]["last_run"].is_string());
    CHECK(told[0]["next_run"].is_string());
    const auto metrics = server.get("/metrics").body;
    CHECK(contains(metrics, "reeve_jobs_schedule_runs_total{schedule=\"tick\"} "));
    CHECK(contains(metrics, "reeve_jobs_schedule_missed_total{schedule=\"tick\"} 0\n"));
    CHECK(contains(metrics, "reeve_jobs_schedule_next_run_timestamp_seconds{schedule=\"tick\"} "));
}

TEST_CASE("schedules are listed on the command line", "[integration][jobs][schedule]") {
    const Belfry belfry(
        "[schedule nightly]\ncron = 30 2 * * *\ntimezone = Europe/Berlin\nqueue = q\n"
        "[schedule tick]\nevery = 1s\nqueue = q\n");
    const Server server(belfry.folder, belfry.setup);
    eventually("it has run", [&] { return belfry.runs() >= 1; });
    const auto table = server.command({"jobs", "schedules"});
    CAPTURE(table.output, table.errors);
    CHECK(table.status == 0);
    CHECK(table.output.starts_with("SCHEDULE  QUEUE  WHEN"));
    CHECK(contains(table.output, "nightly   q      30 2 * * *  Europe/Berlin"));
    const auto ran = server.command({"jobs", "schedules", "--json"});
    REQUIRE(ran.status == 0);
    const auto told = json::parse(ran.output)["schedules"];
    REQUIRE(told.size() == 2);
    CHECK(told[0]["name"] == "nightly");
    CHECK(told[0]["cron"] == "30 2 * * *");
    CHECK(told[0]["timezone"] == "Europe/Berlin");
    CHECK(told[0]["last_run"].is_null());
    CHECK(told[0]["next_run"].is_string());
    CHECK(told[1]["last_run"].is_string());
}

TEST_CASE("runs of the time when nothing ran are made up for as was said", "[integration][jobs][schedule]") {
    const Belfry belfry(
        "[schedule all]\nevery = 1s\nqueue = q\nbody = all\nmissed = all\n"
        "[schedule once]\nevery = 1s\nqueue = q\nbody = once\nmissed = once\n");
    std::string before;
    {
        Server server(belfry.folder, belfry.setup);
        eventually("they have run", [&] {
            const auto text = contents(belfry.folder.path("out/runs"));
            return contains(text, "all\n") && contains(text, "once\n");
        });
        CHECK(server.stop() == 0);
    }
    const auto last = std::chrono::steady_clock::now();
    eventually("a while has passed",
               [&] { return std::chrono::steady_clock::now() - last > std::chrono::seconds(4); });
    const Server server(belfry.folder, belfry.setup);
    eventually("they are made up for", [&] {
        const auto told = schedules_of(server);
        return told[0]["runs"].get<int>() >= 4 && told[1]["runs"].get<int>() >= 1;
    });
    const auto told = schedules_of(server);
    CAPTURE(told.dump());
    CHECK(told[0]["missed_runs"] == 0);
    CHECK(told[1]["missed_runs"].get<int>() >= 2);
}
