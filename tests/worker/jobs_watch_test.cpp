// Who watches a job hears of what is stored, once, and of nothing else.
#include <catch2/catch.hpp>

#include <set>

#include "worker/jobs/codec.h"
#include "worker/jobs/watched_jobs.h"
#include "worker/jobs/watchers.h"

using namespace worker::jobs;

namespace {

class Listener final : public ChangeListener {
 public:
    void on_job_changed(const std::string& id) override { heard.push_back(id); }
    std::vector<std::string> heard;
};

class Watcher final : public JobWatcher {
 public:
    void on_changed() override {
        ++changes;
        if (then) then();
    }
    void on_leaving() override { ++leavings; }
    int changes = 0, leavings = 0;
    std::function<void()> then;
};

}  // namespace

TEST_CASE("listeners hear of the jobs that they watch", "[jobs][watch]") {
    WatchedJobs watched;
    Listener one, other;
    watched.add("a", one);
    watched.add("a", other);
    watched.add("b", other);
    Claim claim;
    claim.answer.jobs.resize(2);
    claim.answer.jobs[0].id = "a";
    claim.answer.jobs[1].id = "c";
    watched.note(claim);
    CHECK(one.heard == std::vector<std::string>{"a"});
    CHECK(other.heard == std::vector<std::string>{"a"});
    Finish finish;
    finish.id = "b";
    watched.note(finish);  // refused: nothing has changed
    CHECK(other.heard.size() == 1);
    finish.answer.accepted = true;
    watched.note(finish);
    Progress progress;
    progress.id = "b";
    progress.answer.accepted = true;
    watched.note(progress);
    Cancel cancel;
    cancel.id = "b";
    watched.note(cancel);
    Retry retry;
    retry.id = "b";
    watched.note(retry);
    CHECK(other.heard == std::vector<std::string>{"a", "b", "b", "b", "b"});
    CHECK(one.heard.size() == 1);
}

TEST_CASE("where nobody says which jobs were deleted or given back all are told", "[jobs][watch]") {
    WatchedJobs watched;
    Listener one;
    watched.add("a", one);
    watched.add("b", one);
    watched.note(Recover{});
    watched.note(Purge{});
    watched.note(Expire{});
    CHECK(one.heard.empty());
    Recover recover;
    recover.answer.recovered = 1;
    watched.note(recover);
    CHECK(std::set<std::string>(one.heard.begin(), one.heard.end()) == std::set<std::string>{"a", "b"});
    watched.remove("a", one);
    watched.remove("b", one);
    watched.remove("c", one);
    CHECK(watched.empty());
    watched.note(recover);
    CHECK(one.heard.size() == 2);
}

TEST_CASE("watchers are bounded, and the first and the last of a job are known", "[jobs][watch]") {
    Watchers watchers(2);
    Watcher one, other, third;
    CHECK(watchers.add("a", one) == Watchers::Added::first);
    CHECK(watchers.add("a", other) == Watchers::Added::another);
    CHECK(watchers.add("b", third) == Watchers::Added::refused);
    CHECK_FALSE(watchers.remove("b", third));
    CHECK_FALSE(watchers.remove("a", one));
    CHECK(watchers.add("b", third) == Watchers::Added::first);
    CHECK(watchers.remove("a", other));
    watchers.tell_changed("a");
    watchers.tell_changed("b");
    watchers.tell_leaving();
    CHECK(third.changes == 1);
    CHECK(third.leavings == 1);
    CHECK(one.changes + other.changes == 0);
}

TEST_CASE("watchers go while they are told", "[jobs][watch]") {
    Watchers watchers(10);
    Watcher one, other;
    CHECK(watchers.add("a", one) == Watchers::Added::first);
    CHECK(watchers.add("a", other) == Watchers::Added::another);
    one.then = [&] {
        watchers.remove("a", one);
        watchers.remove("a", other);
    };
    watchers.tell_all_changed();
    CHECK(one.changes + other.changes == 1);
    CHECK(watchers.empty());
}

TEST_CASE("watching is said in frames of its own", "[jobs][watch]") {
    std::string out;
    append_watch(out, "one");
    append_unwatch(out, "two");
    append_changed(out, "three");
    std::vector<std::pair<FrameKind, std::string>> read;
    std::string_view rest = out;
    while (!rest.empty()) {
        const auto length = frame_length(rest);
        const auto frame = parse_frame(rest.substr(frame_length_bytes, length));
        REQUIRE(frame);
        read.emplace_back(frame->head.kind, decode_text(frame->fields).value());
        rest.remove_prefix(frame_length_bytes + length);
    }
    CHECK(read == std::vector<std::pair<FrameKind, std::string>>{
                      {FrameKind::watch, "one"}, {FrameKind::unwatch, "two"}, {FrameKind::changed, "three"}});
}
