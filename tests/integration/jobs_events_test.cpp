// Following a job by server-sent events and by `?wait=`: over its states, the keeper's death, and a reload.
#include <signal.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "tests/integration/check.h"
#include "tests/integration/server.h"

using namespace integration;
using nlohmann::json;

namespace {

struct Event {
    std::string name, id, retry, comment;
    json data;
};

/// The stream as HTML 9.2.6 reads it. HTTP/1.0: its end is the connection's.
class Events {
 public:
    Events(const Server& server, const std::string& target, const std::string& lines = "")
        : client_(server.port()) {
        client_.send("GET " + target + " HTTP/1.0\r\nHost: x\r\n" + lines + "\r\n");
        head_ = client_.head();
    }
    [[nodiscard]] const Response& head() const { return head_; }
    /// The next one that has data; none of a name: the stream has ended.
    Event next() {
        for (;;) {
            Event event;
            std::string line;
            for (std::string byte; !(byte = client_.take(1)).empty();) {
                if (byte != "\n") {
                    line += byte;
                    continue;
                }
                if (line.empty()) break;
                read(event, line);
                line.clear();
            }
            if (!event.retry.empty()) retries.push_back(event.retry);
            if (!event.name.empty()) return event;
            if (event.retry.empty() && event.comment.empty()) return {};
        }
    }
    std::vector<std::string> retries;

 private:
    static void read(Event& event, const std::string& line) {
        const auto value = [&](const std::string& name) { return line.substr(name.size()); };
        if (line.starts_with("event: ")) event.name = value("event: ");
        if (line.starts_with("id: ")) event.id = value("id: ");
        if (line.starts_with("retry: ")) event.retry = value("retry: ");
        if (line.starts_with("data: ")) event.data = json::parse(value("data: "));
        if (line.starts_with(":")) event.comment = line;
    }

    Client client_;
    Response head_;
};

/// A queue that does nothing until it is told, one job at a time: `go` in its folder ends the job.
struct Place {
    Place() {
        const auto path = folder.write("job.sh",
                                       "#!/bin/sh\ncat >/dev/null\necho 'reeve-progress: half of it' >&2\n"
                                       "while ! [ -e " +
                                           folder.path("go") +
                                           " ]; do sleep 0.05; done\n"
                                           "printf 'Content-Type: text/plain\\n\\nthe result'\n");
        ::chmod(path.c_str(), 0755);
        ::mkdir(folder.path("store").c_str(), 0777);
        ::chmod(folder.path("store").c_str(), 0777);
        setup = {
            .routes =
                "[route in]\npath = /in\nenqueue = q\n[route jobs]\npath = /jobs/\njobs = on\nallow = all\n"
                "[store]\nurl = sqlite:@folder@/store/jobs.db\n"
                "[pool p]\nrun = cgi @folder@/job.sh\nsize = 2\n[queue q]\npool = p\n"};
    }
    void go() const { folder.write("go", ""); }
    TemporaryFolder folder;
    Setup setup;
};

std::string enqueue(const Server& server) {
    const auto response = server.ask(post("/in", "x"));
    REQUIRE(response.status == 202);
    return json::parse(response.body)["id"].get<std::string>();
}

/// Until the state is that one.
Event until(Events& events, const std::string& state) {
    for (;;) {
        auto event = events.next();
        REQUIRE_FALSE(event.name.empty());
        if (event.data["state"] == state) return event;
    }
}

}  // namespace

TEST_CASE("each change of a job is an event, and the last one ends the stream",
          "[integration][jobs][events][concurrent]") {
    const Place place;
    const Server server(place.folder, place.setup);
    CHECK(server.ask(post("/jobs/queues/q/pause", "")).status == 200);
    const auto id = enqueue(server);
    Events events(server, "/jobs/" + id + "/events");
    CHECK(events.head().status == 200);
    CHECK(events.head().field("Content-Type") == "text/event-stream");
    CHECK(events.head().field("Cache-Control") == "no-store");
    const auto first = events.next();
    CHECK(first.name == "state");
    CHECK(first.data["state"] == "ready");
    CHECK(first.data["id"] == id);
    CHECK(server.ask(post("/jobs/queues/q/resume", "")).status == 200);
    CHECK(until(events, "running").name == "state");
    auto told = events.next();
    while (!told.data.contains("progress")) told = events.next();
    CHECK(told.name == "progress");
    CHECK(told.data["progress"] == "half of it");
    place.go();
    const auto last = events.next();
    CHECK(last.name == "state");
    CHECK(last.data["state"] == "done");
    CHECK(last.data["history"].size() == 1);
    CHECK(events.next().name.empty());
    // Who comes back has heard it all.
    CHECK(server.get("/jobs/" + id + "/events", "Last-Event-ID: " + last.id + "\r\n").status == 204);
    Events again(server, "/jobs/" + id, "Accept: text/event-stream\r\n");
    CHECK(again.next().data["state"] == "done");
    CHECK(again.next().name.empty());
    CHECK(contains(server.get("/jobs/" + id).head, "application/json"));
    CHECK(server.get("/jobs/00000000-0000-7000-8000-000000000000/events").status == 404);
}

TEST_CASE("a job that is cancelled, retried or deleted tells its followers",
          "[integration][jobs][events][concurrent]") {
    const Place place;
    const Server server(place.folder, place.setup);
    CHECK(server.ask(post("/jobs/queues/q/pause", "")).status == 200);
    const auto id = enqueue(server), other = enqueue(server);
    Events events(server, "/jobs/" + id + "/events"), deleted(server, "/jobs/" + other + "/events");
    CHECK(events.next().data["state"] == "ready");
    CHECK(deleted.next().data["state"] == "ready");
    CHECK(server.ask("DELETE /jobs/" + id + " HTTP/1.1\r\nHost: x\r\n\r\n").status == 200);
    CHECK(events.next().data["state"] == "cancelled");
    CHECK(events.next().name.empty());
    CHECK(server.ask(post("/jobs/queues/q/purge?state=ready", "")).status == 200);
    CHECK(deleted.next().name == "gone");
    CHECK(deleted.next().name.empty());
}

TEST_CASE("followers outlive the keeper's death", "[integration][jobs][events][concurrent]") {
    const Place place;
    const Server server(place.folder, place.setup);
    const auto id = enqueue(server);
    Events events(server, "/jobs/" + id + "/events");
    (void)until(events, "running");
    const auto status = json::parse(server.command({"status", "--json"}).output);
    REQUIRE(::kill(status["keepers"][0]["pid"].get<pid_t>(), SIGKILL) == 0);
    place.go();
    const auto last = until(events, "done");
    CHECK(last.data["attempts"] == 2);
    CHECK(events.next().name.empty());
}

TEST_CASE("a reload lets followers go, who come back, and does not wait for them",
          "[integration][jobs][events][concurrent]") {
    const Place place;
    const Server server(place.folder, place.setup);
    CHECK(server.ask(post("/jobs/queues/q/pause", "")).status == 200);
    const auto id = enqueue(server);
    Events events(server, "/jobs/" + id + "/events");
    CHECK(events.next().data["state"] == "ready");
    auto waiting = server.connect();
    waiting.send(get("/jobs/" + id + "?wait=60"));
    CHECK_FALSE(waiting.heard(100));
    const auto begun = Clock::now();
    CHECK(server.command({"-s", "reload"}).status == 0);
    CHECK(events.next().name.empty());
    CHECK(events.retries == std::vector<std::string>{"1000", "1000"});
    const auto response = waiting.response();
    CHECK(response.status == 200);
    CHECK(json::parse(response.body)["state"] == "ready");
    CHECK(response.has("Retry-After"));
    CHECK(Clock::now() - begun < std::chrono::seconds(25));
    Events again(server, "/jobs/" + id + "/events");
    CHECK(again.next().data["state"] == "ready");
    place.go();
    CHECK(server.ask(post("/jobs/queues/q/resume", "")).status == 200);
    CHECK(until(again, "done").name == "state");
}
