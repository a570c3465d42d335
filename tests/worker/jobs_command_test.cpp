// `reeve jobs`: what is printed of what a store says, and what it leaves with.
#include <catch2/catch.hpp>

#include <fstream>
#include <functional>
#include <sstream>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "conf/callbacks.h"
#include "conf/schedule_types.h"
#include "tests/worker/jobs_store.h"
#include "worker/command/job_tables.h"
#include "worker/command/jobs_command.h"
#include "worker/command/result_text.h"
#include "worker/jobs/schedules.h"
#include "worker/jobs/unix_clock.h"

using namespace worker::command;
using namespace worker::jobs;
using nlohmann::json;

namespace {

/// A store that answers at once, or says that it is unable.
class Talk final : public JobsTalk {
 public:
    ipc::Result<Operation> ask(Operation operation) override {
        ++asked;
        if (!failure.empty()) return ipc::failure(failure);
        std::vector<Operation> batch;
        batch.push_back(std::move(operation));
        if (auto applied = world.store->apply(batch, unix_ms()); !applied)
            return tl::make_unexpected(applied.error());
        return std::move(batch[0]);
    }
    jobs_store::World world;
    std::string failure;
    int asked = 0;
};

/// A server with a queue `mail`, and the words behind `reeve`.
class Words {
 public:
    Words() {
        conf::Queue mail;
        mail.name = "mail";
        mail.job_size_max = 1000;
        mail.callbacks.urls = {"http://a/"};
        config.queues.push_back(mail);
        conf::add_callbacks_queues(config);
    }
    Outcome run(std::vector<std::string> words) {
        std::reverse(words.begin(), words.end());  // as CLI11 wants them
        CLI::App app;
        app.fallthrough();
        JobsAsked asked;
        declare_jobs(app, asked);
        app.parse(words);
        return run_jobs(asked, config, talk, terminal);
    }
    /// It works, and this is what it prints.
    std::string said(const std::vector<std::string>& words) {
        const auto outcome = run(words);
        INFO(outcome.errors);
        CHECK(outcome.status == 0);
        CHECK(outcome.errors.empty());
        return outcome.output;
    }
    json said_json(std::vector<std::string> words) {
        words.emplace_back("--json");
        return json::parse(said(words));
    }
    std::string add(const std::string& body, std::vector<std::string> options = {}) {
        std::ofstream(talk.world.folder.file("body"), std::ios::binary) << body;
        options.insert(options.begin(), {"jobs", "add", "mail", talk.world.folder.file("body")});
        auto id = said(options);
        REQUIRE(id.size() == 37);
        id.pop_back();
        return id;
    }
    View view(const std::string& id) { return talk.world.get(id); }

    Talk talk;
    conf::Config config;
    bool terminal = false;
};

std::string refused(const std::vector<std::string>& words) {
    std::vector<std::string> reversed(words.rbegin(), words.rend());
    CLI::App app;
    app.fallthrough();
    JobsAsked asked;
    declare_jobs(app, asked);
    try {
        app.parse(reversed);
    } catch (const CLI::Error& wrong) {
        return wrong.what();
    }
    return {};
}

const std::string id = "0198c5a4-0000-7000-8000-000000000000";

}  // namespace

TEST_CASE("a job is added as it was asked for, and its id is all that is printed", "[jobs][command]") {
    Words words;
    const auto plain = words.add("hello");
    CHECK(words.view(plain).state == State::ready);
    CHECK(words.view(plain).attempts == 10);
    CHECK(words.view(plain).body_size == 5);
    const auto other = words.add("x", {"--type", "text/plain", "--delay", "1h", "--priority", "-7",
                                       "--attempts", "3", "--key", "k", "--callback", "http://a/b"});
    const auto view = words.view(other);
    CHECK(view.state == State::scheduled);
    CHECK(view.priority == -7);
    CHECK(view.attempts == 3);
    CHECK(view.key == "k");
    CHECK(view.callback == "http://a/b");
    words.talk.world.now = unix_ms() + 1000;
    CHECK(words.talk.world.claim_one().body == "hello");
}

TEST_CASE("a callback that the queue does not allow, and a job that tells of an end, cannot be added",
          "[jobs][command]") {
    Words words;
    std::ofstream(words.talk.world.folder.file("body")) << "x";
    const auto add = [&](std::vector<std::string> more) {
        more.insert(more.begin(), {"jobs", "add"});
        more.push_back(words.talk.world.folder.file("body"));
        return words.run(more);
    };
    const auto elsewhere = add({"--callback", "http://b/", "mail"});
    CHECK(elsewhere.status == 1);
    CHECK(elsewhere.errors == "reeve: --callback: this URL is not among those that this queue may tell\n");
    const auto internal = add({"mail:callbacks"});
    CHECK(internal.status == 1);
    CHECK(internal.errors == "reeve: its jobs are made when others end, and by nobody else\n");
    CHECK(words.talk.world.stats().ready == 0);
}

TEST_CASE("the same idempotency key is one job, and with another body none", "[jobs][command]") {
    Words words;
    const auto first = words.add("a", {"--idempotency-key", "k"});
    CHECK(words.add("a", {"--idempotency-key", "k"}) == first);
    std::ofstream(words.talk.world.folder.file("body")) << "b";
    const auto other =
        words.run({"jobs", "add", "mail", words.talk.world.folder.file("body"), "--idempotency-key", "k"});
    CHECK(other.status == 1);
    CHECK(other.output.empty());
    CHECK(other.errors == "reeve: this idempotency key came with another job before\n");
    words.config.queues[0].idempotency_required = true;
    CHECK(words.run({"jobs", "add", "mail", "/dev/null"}).status == 1);
}

TEST_CASE("a body that is too large or not there is refused before anybody is asked", "[jobs][command]") {
    Words words;
    const auto file = words.talk.world.folder.file("large");
    std::ofstream(file) << std::string(1001, 'x');
    const auto large = words.run({"jobs", "add", "mail", file});
    CHECK(large.status == 1);
    CHECK(large.errors.find("longer than the queue's job_size_max") != std::string::npos);
    CHECK(words.run({"jobs", "add", "mail", "/dev/zero"}).status == 1);
    CHECK(words.run({"jobs", "add", "mail", file + "r"}).status == 1);
    CHECK(words.run({"jobs", "add", "other", file}).errors == "reeve: there is no queue other\n");
    CHECK(words.talk.asked == 0);
}

TEST_CASE("jobs are listed by queue and state, and in pieces", "[jobs][command]") {
    Words words;
    std::vector<std::string> added;
    for (int i = 0; i < 5; ++i) added.push_back(words.add("x"));
    added.push_back(words.add("x", {"--delay", "1h"}));
    const auto table = words.said({"jobs", "ls"});
    CHECK(table.starts_with("ID "));
    CHECK(std::count(table.begin(), table.end(), '\n') == 7);
    CHECK(table.find(added[5] + "  mail   scheduled  in 59m") != std::string::npos);
    CHECK(words.said({"jobs", "ls", "--ids", "--state", "scheduled"}) == added[5] + "\n");
    const auto first = words.said_json({"jobs", "ls", "--limit", "2", "--state", "ready,dead"});
    REQUIRE(first["jobs"].size() == 2);
    CHECK(first["jobs"][0]["id"] == added[4]);
    const auto next =
        words.said_json({"jobs", "ls", "--state", "ready", "--after", first["next"].get<std::string>()});
    REQUIRE(next["jobs"].size() == 3);
    CHECK(next["jobs"][2]["id"] == added[0]);
    CHECK(next["next"].is_null());
    CHECK(words.said({"jobs", "ls", "--limit", "2"}).find("\nmore: --after ") != std::string::npos);
    CHECK(words.said_json({"jobs", "ls", "--queue", "other"})["jobs"].empty());
}

TEST_CASE("a job is shown with its attempts, and texts of strangers are harmless", "[jobs][command]") {
    Words words;
    const auto added = words.add("x", {"--attempts", "1"});
    words.talk.world.now = unix_ms() + 1000;
    const auto claimed = words.talk.world.claim_one();
    words.talk.world.finish(claimed, Ending::failed, 0, "it said \x1b[2J\xc2\x9b");
    const auto text = words.said({"jobs", "show", added});
    CAPTURE(text);
    CHECK(text.find("state     dead\n") != std::string::npos);
    CHECK(text.find("attempts  1 of 1\n") != std::string::npos);
    CHECK(text.find("ATTEMPT  ENDING") != std::string::npos);
    CHECK(text.find("it said \\x1b[2J\\u{9b}") != std::string::npos);
    CHECK(text.find('\x1b') == std::string::npos);
    const auto raw = words.said({"jobs", "show", added, "--json"});
    for (const char byte : raw) CHECK((byte == '\n' || (byte >= ' ' && byte < 0x7f)));
    CHECK(json::parse(raw)["history"][0]["ending"] == "failed");
    const auto list = words.said({"jobs", "ls"});
    CHECK(list.find('\x1b') == std::string::npos);
    const auto none = words.run({"jobs", "show", added, "--result"});
    CHECK(none.status == 1);
    CHECK(none.errors == "reeve: it has no result: it is dead\n");
    CHECK(words.run({"jobs", "show", id}).errors == "reeve: there is no such job, or not any more\n");
}

TEST_CASE("a result is printed as it is, but not onto a terminal", "[jobs][command]") {
    Words words;
    const auto added = words.add("x");
    words.talk.world.now = unix_ms() + 1000;
    const auto claimed = words.talk.world.claim_one();
    Finish finish;
    finish.id = claimed.id;
    finish.fence = claimed.fence;
    finish.result = std::string("\x1b[1m\0\xff\nend", 10);
    finish.result_type = "a/b";
    words.talk.world.ask(finish);
    CHECK(words.said({"jobs", "show", added, "--result"}) == finish.result);
    CHECK(words.said_json({"jobs", "show", added, "--result"})["result"]["base64"] == "G1sxbQD/CmVuZA==");
    CHECK(words.said_json({"jobs", "show", added})["result"] == json({{"type", "a/b"}, {"size", 10}}));
    words.terminal = true;
    CHECK(words.said({"jobs", "show", added, "--result"}) == "\\x1b[1m\\x00\\xff\nend\n");
}

TEST_CASE("several jobs are cancelled and retried, each with its outcome", "[jobs][command]") {
    Words words;
    const auto first = words.add("x"), second = words.add("y");
    CHECK(words.said({"jobs", "cancel", first, second}) ==
          first + "  cancelled\n" + second + "  cancelled\n");
    const auto again = words.run({"jobs", "cancel", first, id});
    CHECK(again.status == 1);
    CHECK(again.output.empty());
    CHECK(again.errors == "reeve: " + first + ": it is over already\nreeve: " + id +
                              ": there is no such job, or not any more\n");
    const auto mixed = words.run({"jobs", "retry", id, first, "--json"});
    CHECK(mixed.status == 1);
    const auto jobs = json::parse(mixed.output)["jobs"];
    CHECK(jobs[0]["error"] == "there is no such job, or not any more");
    CHECK(jobs[1] == json({{"id", first}, {"state", "ready"}}));
    CHECK(words.view(first).state == State::ready);
}

TEST_CASE("a queue is paused, resumed and purged, also one that is configured no more", "[jobs][command]") {
    Words words;
    CHECK(words.said({"jobs", "pause", "mail"}) == "mail  paused\n");
    CHECK(words.said_json({"jobs", "stats"})["queues"][0]["paused"] == true);
    CHECK(words.said({"jobs", "resume", "mail"}) == "mail  open\n");
    const auto later = words.add("x", {"--delay", "1h"});
    for (int i = 0; i < 1500; ++i) words.talk.world.enqueue(words.talk.world.job("j" + std::to_string(i)));
    words.config.queues.clear();
    CHECK(words.said({"jobs", "purge", "mail", "--state", "dead,done"}) == "mail  0 purged\n");
    CHECK(words.said({"jobs", "purge", "mail", "--state", "all", "--before", "1h"}) == "mail  1500 purged\n");
    CHECK(words.view(later).state == State::scheduled);
    CHECK(words.said_json({"jobs", "purge", "mail", "--state", "scheduled"})["purged"] == 1);
    for (const char* what : {"pause", "resume"}) CHECK(words.run({"jobs", what, "other"}).status == 1);
    CHECK(words.run({"jobs", "purge", "other", "--state", "all"}).errors ==
          "reeve: there is no queue other\n");
}

TEST_CASE("queues without a job are shown too", "[jobs][command]") {
    Words words;
    CHECK(words.said_json({"jobs", "stats"})["queues"][0]["name"] == "mail");
    words.add("12345");
    const auto table = words.said({"jobs", "stats"});
    std::istringstream lines(table);
    std::string head, line;
    std::getline(lines, head);
    std::getline(lines, line);
    CAPTURE(table);
    CHECK(head.starts_with("QUEUE           SCHEDULED  READY"));
    std::istringstream columns(line);
    std::vector<std::string> values{std::istream_iterator<std::string>(columns), {}};
    CHECK(std::vector(values.begin(), values.begin() + 8) ==
          std::vector<std::string>{"mail", "0", "1", "0", "0", "0", "0", "5"});
}

TEST_CASE("schedules are told with their last and next run", "[jobs][command][schedule]") {
    Words words;
    CHECK(words.said_json({"jobs", "schedules"})["schedules"].empty());
    words.config.schedules.reserve(2);
    auto& often = words.config.schedules.emplace_back();
    often.name = "often";
    often.queue = "mail";
    often.every = std::chrono::minutes(10);
    auto& nightly = words.config.schedules.emplace_back();
    nightly.name = "nightly";
    nightly.queue = "mail";
    nightly.timezone = "Europe/Berlin";
    nightly.cron = *conf::parse_cron("30 2 * * *");
    Fire fire;
    fire.schedule = run_name(often);
    fire.due = 1'777'636'800'000;
    fire.enqueue.job = words.talk.world.job("a");
    REQUIRE(words.talk.ask(std::move(fire)));
    const auto told = words.said_json({"jobs", "schedules"})["schedules"];
    REQUIRE(told.size() == 2);
    CHECK(told[0]["every"] == "10m");
    CHECK(told[0]["last_run"].get<std::string>().starts_with("2026-05-01T12:00:00"));
    CHECK(told[0]["next_run"].is_string());
    CHECK(told[1]["cron"] == "30 2 * * *");
    CHECK(told[1]["last_run"].is_null());
    const auto table = words.said({"jobs", "schedules"});
    CAPTURE(table);
    CHECK(table.starts_with("SCHEDULE  QUEUE  WHEN"));
    CHECK(table.find("often     mail   every 10m") != std::string::npos);
    CHECK(table.find("nightly   mail   30 2 * * *  Europe/Berlin") != std::string::npos);
}

TEST_CASE("a store that is unable is an error with its reason, and nothing is printed", "[jobs][command]") {
    Words words;
    const auto added = words.add("x");
    words.talk.failure = "no space \x1b left";
    for (const auto& line : std::vector<std::vector<std::string>>{{"ls"},
                                                                  {"stats"},
                                                                  {"show", added},
                                                                  {"pause", "mail"},
                                                                  {"purge", "mail", "--state", "all"},
                                                                  {"add", "mail", "/dev/null"},
                                                                  {"cancel", added, added}}) {
        auto whole = line;
        whole.insert(whole.begin(), "jobs");
        const auto outcome = words.run(whole);
        CAPTURE(line);
        CHECK(outcome.status == 1);
        CHECK(outcome.output.empty());
        CHECK(outcome.errors.find("no space \\x1b left\n") != std::string::npos);
    }
    words.talk.asked = 0;
    (void)words.run({"jobs", "cancel", added, added, added});
    CHECK(words.talk.asked == 1);
}

TEST_CASE("what makes no sense is refused where it is read", "[jobs][command]") {
    for (const auto& words : std::vector<std::vector<std::string>>{
             {},
             {"shred"},
             {"ls", "--state", "odd"},
             {"ls", "--limit", "0"},
             {"ls", "--limit", "1001"},
             {"show"},
             {"show", "nonsense"},
             {"show", id, id},
             {"retry"},
             {"add"},
             {"add", "mail", "-", "--delay", "soon"},
             {"add", "mail", "-", "--delay", "1s", "--run-at", "2000000000"},
             {"add", "mail", "-", "--priority", "101"},
             {"add", "mail", "-", "--attempts", "0"},
             {"add", "mail", "-", "--callback", "ftp://x"},
             {"add", "mail", "-", "--key", std::string("\n")},
             {"pause"},
             {"purge", "mail"},
             {"purge", "mail", "--state", "running"},
             {"purge", "mail", "--state", "dead", "--before", "long ago"}}) {
        auto whole = words;
        whole.insert(whole.begin(), "jobs");
        CAPTURE(words);
        CHECK_FALSE(refused(whole).empty());
    }
    CHECK(refused({"jobs", "purge", "mail", "--state", "dead", "--before", "2030-01-01T00:00:00Z"}).empty());
}

TEST_CASE("times and sizes are short", "[jobs][command]") {
    CHECK(span_text(-5) == "0ms");
    CHECK(span_text(999) == "999ms");
    CHECK(span_text(119'999) == "119s");
    CHECK(span_text(120'000) == "2m");
    CHECK(span_text(48 * 3'600'000) == "2d");
    CHECK(bytes_text(1023) == "1023");
    CHECK(bytes_text(1536) == "1.5k");
    CHECK(bytes_text(5ull << 40) == "5120.0g");
}
