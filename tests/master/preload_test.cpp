// tests/master/preload_test.cpp: workers that another process forks for the master, and all that may end it.
#include <seccomp.h>
#include <sys/mman.h>

#include <algorithm>
#include <vector>

#include "tests/master/instance.h"

namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::Instance;

constexpr std::size_t data_bytes = 32 << 20;

/// Loads as much, and workers look at all of it.
ipc::Result<int> load(int, const std::function<int(const master::WorkerMain&)>& go) {
    const std::vector<char> data(data_bytes, 'x');
    return go([&](ipc::Seat seat) {
        for (std::size_t at = 0; at < data.size(); at += 4096)
            if (data[at] != 'x') return 9;
        return test::serve_seat(std::move(seat));
    });
}

void want_preload(conf::Config& config) { config.execution.preload = true; }

/// A master with a preloader.
class Preloaded : public Instance {
 public:
    explicit Preloaded(master::PreloadMain preload = load,
                       const std::function<void(conf::Config&)>& change = want_preload)
        : Instance(test::serve_seat, change, {}, {}, std::move(preload)) {}

    /// Of the generation that serves; 0: there is none.
    [[nodiscard]] pid_t preloader() const {
        const auto now = status();
        return now.is_object() && !now["preloaders"].empty() ? now["preloaders"][0]["pid"].get<pid_t>() : 0;
    }
    /// A new one is there, and ready.
    void await_another(pid_t before, std::size_t ready) const {
        REQUIRE(eventually([&] {
            const pid_t now = preloader();
            return now != 0 && now != before && times("preloader ready") >= ready;
        }));
    }
    [[nodiscard]] std::size_t times(const std::string& text) const {
        const auto all = log();
        std::size_t count = 0;
        for (auto at = all.find(text); at != all.npos; at = all.find(text, at + 1)) ++count;
        return count;
    }
    /// Kills the worker of slot 1, and waits for the next.
    void replace_one() const {
        const pid_t before = worker_pid(1);
        REQUIRE(::kill(before, SIGKILL) == 0);
        REQUIRE(eventually([&] {
            const auto now = status()["workers"][1];
            return now["pid"] != before && now["state"] == "ready";
        }));
        CHECK(ask() != "refused");
    }
};

bool lives(pid_t pid) { return ::kill(pid, 0) == 0; }

/// Field `number` of proc(5)'s stat, behind the name: 4 is the parent, 5 the group.
int stat_field(pid_t pid, int number) {
    std::istringstream rest(test::read_file("/proc/" + std::to_string(pid) + "/stat"));
    rest.ignore(1000, ')');
    std::string word;
    for (int at = 2; at < number; ++at) rest >> word;
    return word.empty() ? -1 : std::stoi(word);
}

/// Children of that process that have ended, and that nobody has collected.
std::vector<pid_t> zombies_of(pid_t parent) {
    std::vector<pid_t> all;
    for (const auto& each : std::filesystem::directory_iterator("/proc")) {
        const pid_t pid = std::atoi(each.path().filename().c_str());
        const auto stat = pid > 0 ? test::read_file(each.path().string() + "/stat") : std::string();
        if (stat.find(") Z ") != stat.npos && stat_field(pid, 4) == parent) all.push_back(pid);
    }
    return all;
}

std::vector<std::string> descriptors(pid_t pid) {
    std::vector<std::string> all;
    for (const auto& each : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd"))
        all.push_back(std::filesystem::read_symlink(each.path()).string());
    return all;
}

}  // namespace

TEST_CASE("workers that are preloaded share what was loaded, and are the master's children",
          "[master][preload]") {
    Preloaded instance;
    instance.await_serving();
    const pid_t pid = instance.preloader();
    REQUIRE(pid > 0);
    CHECK(test::read_file("/proc/" + std::to_string(pid) + "/comm") == "reeve:preloader\n");
    const pid_t master = instance.process.pid();
    const auto status = instance.status();
    REQUIRE(status["workers"].size() == 3);
    for (const auto& worker : status["workers"]) {
        const pid_t child = worker["pid"];
        CHECK(stat_field(child, 4) == master);
        CHECK(stat_field(child, 5) == stat_field(master, 5));
        CHECK(worker["shared_bytes"] > data_bytes);
        CHECK(worker["private_bytes"] < data_bytes / 2);
        CHECK(test::read_file("/proc/" + std::to_string(child) + "/comm") ==
              "reeve: worker " + worker["slot"].dump() + "\n");
    }
    CHECK(status["preloaders"][0]["shared_bytes"] > data_bytes);
    CHECK(status["master"]["rss_bytes"] < status["workers"][0]["rss_bytes"]);
    CHECK(instance.times("forked_by=preloader") == 3);
    std::set<std::string> answers;
    CHECK(eventually([&] { return answers.insert(instance.ask()), answers.size() >= 3; }));

    CHECK(instance.control("stop"));
    CHECK(instance.await_end() == 0);
    CHECK_FALSE(lives(pid));
    CHECK(instance.logged("preloader left generation=1"));
    CHECK(instance.logged("worker left slot=2"));
}

TEST_CASE("without preload there is no preloader, and nothing is shared but what was before",
          "[master][preload]") {
    Preloaded instance(load, [](conf::Config&) {});
    instance.await_serving();
    CHECK(instance.status()["preloaders"].empty());
    CHECK(instance.times("forked_by=preloader") == 0);
}

TEST_CASE("a preloader holds neither listening sockets nor logs", "[master][preload]") {
    Preloaded instance;
    instance.await_serving();
    const auto held = descriptors(instance.preloader());
    CAPTURE(held);
    CHECK(std::count_if(held.begin(), held.end(),
                        [](const auto& each) { return each.starts_with("socket:"); }) == 1);
    // What the tests themselves write to is everybody's.
    const auto ours = descriptors(::getpid());
    CHECK(std::none_of(held.begin(), held.end(), [&](const auto& each) {
        return each.ends_with(".log") && std::find(ours.begin(), ours.end(), each) == ours.end();
    }));
}

TEST_CASE("a worker that dies is forked by the preloader again", "[master][preload]") {
    Preloaded instance;
    instance.await_serving();
    instance.replace_one();
    CHECK(instance.times("forked_by=preloader") == 4);
    const auto status = instance.status();
    CHECK(status["workers"][1]["restarts"] == 1);
    CHECK(status["workers"][1]["shared_bytes"] > data_bytes);
    REQUIRE(instance.control("worker restart 0"));
    REQUIRE(eventually([&] { return instance.times("forked_by=preloader") == 5; }));
}

TEST_CASE("a preloader that is killed is replaced, and workers do not notice", "[master][preload]") {
    Preloaded instance;
    instance.await_serving();
    const auto before = instance.pids();
    const pid_t pid = instance.preloader();
    REQUIRE(::kill(pid, SIGKILL) == 0);
    instance.await_another(pid, 2);
    CHECK(instance.pids() == before);
    CHECK(instance.status()["preloaders"][0]["restarts"] == 1);
    CHECK(instance.logged("preloader died, the master forks meanwhile"));
    instance.replace_one();
    CHECK(instance.times("forked_by=preloader") == 4);
}

TEST_CASE("without a preloader the master forks", "[master][preload]") {
    // The first one gets ready, those behind it never do.
    const test::Folder marks;
    const auto mark = marks / "loaded";
    Preloaded instance([mark](int config, const auto& go) -> ipc::Result<int> {
        if (std::filesystem::exists(mark)) return ipc::failure("the data is gone");
        std::ofstream(mark).flush();
        return load(config, go);
    });
    instance.await_serving();
    REQUIRE(::kill(instance.preloader(), SIGKILL) == 0);
    REQUIRE(eventually([&] { return instance.logged("the data is gone"); }));
    instance.replace_one();
    CHECK(instance.times("forked_by=preloader") == 3);
    CHECK(instance.times("worker started") == 4);
}

TEST_CASE("a preloader that hangs is killed when it is needed, and the master forks", "[master][preload]") {
    Preloaded instance;
    instance.await_serving();
    const pid_t pid = instance.preloader();
    REQUIRE(::kill(pid, SIGSTOP) == 0);
    instance.replace_one();
    CHECK(instance.logged("preloader does not fork in time and is killed"));
    CHECK(instance.times("forked_by=preloader") == 3);
    instance.await_another(pid, 2);
    instance.replace_one();
    CHECK(instance.times("forked_by=preloader") == 4);
}

TEST_CASE("a server whose preloader cannot load serves all the same", "[master][preload]") {
    const auto how = GENERATE(0, 1, 2);
    CAPTURE(how);
    Preloaded instance(
        [how](int, const auto&) -> ipc::Result<int> {
            if (how == 0) return ipc::failure("the data is gone");
            if (how == 1) ::kill(::getpid(), SIGSEGV);
            for (;;) ::pause();
        },
        [](conf::Config& config) {
            config.execution.preload = true;
            config.reeve.start_timeout = 3s;
        });
    instance.await_serving();
    CHECK(instance.ask() != "refused");
    CHECK(instance.times("worker started") == 3);
    CHECK(instance.times("forked_by=preloader") == 0);
    if (how == 0) CHECK(instance.logged("why=\"the data is gone\""));
    if (how == 2) CHECK(instance.logged("preloader does not get ready in time and is killed"));
}

TEST_CASE("a master that is told to stop does not wait for what is being loaded", "[master][preload]") {
    Preloaded instance([](int, const auto&) -> ipc::Result<int> {
        for (;;) ::pause();
    });
    REQUIRE(eventually([&] { return instance.preloader() != 0; }));
    const pid_t pid = instance.preloader();
    instance.process.signal(SIGTERM);
    CHECK(instance.await_end() == 1);  // it has never served
    CHECK_FALSE(lives(pid));
}

TEST_CASE("a worker whose preloader ends right then is not lost", "[master][preload]") {
    // Whoever is forked next takes the preloader along, with a worker that has its seat.
    Preloaded instance([](int config, const auto& go) -> ipc::Result<int> {
        const pid_t loader = ::getpid();
        return load(config, [&](const master::WorkerMain& run) {
            return go([&](ipc::Seat seat) {
                if (seat.started) ::kill(loader, SIGKILL);
                return run(std::move(seat));
            });
        });
    });
    instance.await_serving();
    for (std::size_t round = 2; round < 5; ++round) {
        const pid_t pid = instance.preloader();
        instance.replace_one();
        instance.await_another(pid, round);
    }
    CHECK(instance.times("worker died") == 3);  // those that the test killed
}

TEST_CASE("who dies between its fork and its first word is collected, and the master forks instead",
          "[master][preload]") {
    // What is forked closes descriptors first, and what forks does not.
    Preloaded instance([](int config, const auto& go) -> ipc::Result<int> {
        const scmp_filter_ctx filter = ::seccomp_init(SCMP_ACT_ALLOW);
        if (filter == nullptr ||
            ::seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(close_range), 0) != 0 ||
            ::seccomp_load(filter) != 0)
            return ipc::failure("no filter");
        return load(config, go);
    });
    instance.await_serving();
    const std::string collected = "a process that the preloader forked ended before it was known";
    CHECK(eventually([&] { return instance.times(collected) == 3; }));
    const pid_t preloader = instance.preloader();
    CHECK(zombies_of(instance.process.pid()).empty());
    instance.replace_one();
    CHECK(eventually([&] { return instance.times(collected) == 4; }));
    CHECK(zombies_of(instance.process.pid()).empty());
    CHECK(instance.preloader() == preloader);
    CHECK(instance.times("the master does it") == 4);
    CHECK(instance.log().find("ending=\"signal SIGSYS") != std::string::npos);
}

TEST_CASE("each generation has a preloader of its own", "[master][preload]") {
    Preloaded instance;
    instance.await_serving();
    const pid_t pid = instance.preloader();
    instance.want("workers 2");
    REQUIRE(instance.control("reload"));
    instance.await_one_generation();
    REQUIRE(eventually([&] { return !lives(pid); }));
    const auto status = instance.status();
    REQUIRE(status["preloaders"].size() == 1);
    CHECK(status["preloaders"][0]["generation"] == 2);
    CHECK(status["workers"].size() == 2);
    CHECK(instance.times("forked_by=preloader") == 5);
    CHECK(instance.logged("generation has left generation=1"));
    CHECK(instance.logged("preloader left generation=1"));
    instance.process.signal(SIGWINCH);
    REQUIRE(eventually([&] { return instance.status()["master"]["state"] == "idle"; }));
    CHECK(instance.status()["preloaders"].empty());
    REQUIRE(instance.control("reload"));
    CHECK(instance.ask() != "refused");
    instance.process.signal(SIGQUIT);
    CHECK(instance.await_end() == 0);
}

TEST_CASE("logs that are opened anew are those of workers forked later, too", "[master][preload]") {
    Preloaded instance;
    instance.await_serving();
    std::filesystem::rename(instance.config.reeve.error_log.path, instance.folder / "old.log");
    REQUIRE(instance.control("reopen"));
    CHECK(instance.control("loglevel debug"));
    instance.replace_one();
    CHECK(instance.times("forked_by=preloader") == 1);
    const auto held = descriptors(instance.worker_pid(1));
    CAPTURE(held);
    CHECK(
        std::any_of(held.begin(), held.end(), [](const auto& each) { return each.ends_with("/error.log"); }));
    CHECK(
        std::none_of(held.begin(), held.end(), [](const auto& each) { return each.ends_with("/old.log"); }));
}

TEST_CASE("a preloader and its workers go with a master that is killed", "[master][preload]") {
    Preloaded instance;
    instance.await_serving();
    auto pids = instance.pids();
    pids.insert(instance.preloader());
    instance.process.signal(SIGKILL);
    CHECK(eventually([&] { return std::none_of(pids.begin(), pids.end(), lives); }));
}

TEST_CASE("as many workers as clients are forked by the preloader, and all share", "[master][preload]") {
    Preloaded instance(load, [](conf::Config& config) {
        config.execution.preload = true;
        config.execution.workers = 40;
    });
    instance.await_serving();
    CHECK(instance.times("forked_by=preloader") == 40);
    const auto status = instance.status();
    std::size_t known = 0;  // the master has no time to look at all of them when the machine is busy
    for (const auto& worker : status["workers"]) {
        if (worker["private_bytes"].is_null()) continue;
        ++known;
        CHECK(worker["private_bytes"] < data_bytes / 4);
        CHECK(worker["pss_bytes"] < data_bytes / 2);
    }
    CHECK(known > 0);
}
