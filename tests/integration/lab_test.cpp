// `reeve lab` as it is called: it measures, writes, and leaves nothing else behind.
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/integration/check.h"
#include "tests/integration/server.h"

using namespace integration;

namespace {

/// Where the lab has its own files while it runs, in place of /tmp.
class TemporaryPlace {
 public:
    explicit TemporaryPlace(const std::string& path) : path_(path) {
        std::filesystem::create_directory(path);
        std::filesystem::permissions(path, std::filesystem::perms::all);
        ::setenv("TMPDIR", path.c_str(), 1);
    }
    TemporaryPlace(const TemporaryPlace&) = delete;
    TemporaryPlace& operator=(const TemporaryPlace&) = delete;
    ~TemporaryPlace() { ::unsetenv("TMPDIR"); }
    [[nodiscard]] bool empty() const { return std::filesystem::is_empty(path_); }
    /// The master of the trial that is under way; 0: none serves.
    [[nodiscard]] pid_t master() const {
        for (const auto& folder : std::filesystem::directory_iterator(path_)) {
            const auto pid = contents(folder.path() / "reeve.pid");
            if (!pid.empty()) return static_cast<pid_t>(std::stoi(pid));
        }
        return 0;
    }

 private:
    std::string path_;
};

}  // namespace

TEST_CASE("a quick lab writes a page and JSON, and leaves nothing else", "[integration][lab][knobs]") {
    const TemporaryFolder folder;
    const TemporaryPlace place(folder.path("tmp"));
    const auto page = folder.path("lab.html"), figures = folder.path("lab.json");
    const Ran ran = run({reeve(), "lab", "--quick", "--out", page, "--json", figures});
    CAPTURE(ran.errors, ran.output);
    REQUIRE(ran.status == 0);
    CHECK(contains(ran.errors, " tiny tasks, processes "));  // progress
    CHECK(count(ran.output, "this machine\n") == 6);
    CHECK(place.empty());
    const auto text = contents(page);
    CHECK(count(text, "<svg") >= 9);
    CHECK(text.ends_with("</html>\n"));
    const auto json = nlohmann::json::parse(contents(figures));
    CHECK(json["statements"].size() == 6);
    for (const auto& statement : json["statements"]) {
        CAPTURE(statement.dump());
        CHECK(statement["verdict"] != "not_measured");  // what it is depends on what else this machine does
    }
    for (const auto& trial : json["trials"])
        for (const auto& stream : trial["streams"]) {
            CAPTURE(trial["key"].dump(), stream.dump());
            CHECK(stream["asked"].get<int>() > 0);
            CHECK(stream["failed"] == 0);
        }
}

TEST_CASE("INT and TERM end a lab and its servers, and nothing is written", "[integration][lab][knobs]") {
    const TemporaryFolder folder;
    const TemporaryPlace place(folder.path("tmp"));
    const auto page = folder.path("lab.html");
    for (const int number : {SIGINT, SIGTERM}) {
        Process lab({reeve(), "lab", "--quick", "--out", page}, STDOUT_FILENO, STDERR_FILENO);
        pid_t master = 0;
        eventually("a trial has begun", [&] { return (master = place.master()) != 0; });
        lab.signal(number);
        CHECK(lab.wait() == 1);
        CHECK(living(master).empty());
        CHECK(place.empty());
        CHECK_FALSE(std::filesystem::exists(page));
    }
}

TEST_CASE("a lab that is killed takes its servers with it", "[integration][lab][knobs]") {
    const TemporaryFolder folder;
    const TemporaryPlace place(folder.path("tmp"));
    pid_t master = 0;
    {
        Process lab({reeve(), "lab", "--quick", "--out", folder.path("lab.html")}, STDOUT_FILENO,
                    STDERR_FILENO);
        eventually("a trial has begun", [&] { return (master = place.master()) != 0; });
        lab.signal(SIGKILL);
        CHECK(lab.wait() == 128 + SIGKILL);
    }
    eventually("nobody is left", [&] { return living(master).empty(); });
}

TEST_CASE("a lab that cannot write says so before it begins", "[integration][lab][knobs]") {
    const Ran ran = run({reeve(), "lab", "--out", "/nonexistent/lab.html"});
    CHECK(ran.status == 1);
    CHECK(ran.errors == "reeve: cannot write /nonexistent/lab.html\n");
    CHECK(run({reeve(), "lab", "--seconds", "1"}).status == 2);
}
