// tests/master/instance.h: a whole master in a process of its own, with workers of the test's making.
#pragma once

#include <signal.h>
#include <sys/wait.h>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include "master/child.h"
#include "master/control_client.h"
#include "master/master.h"
#include "tests/master/fake_worker.h"
#include "tests/master/sockets.h"
#include "tests/master/wanted.h"

namespace test {

using namespace std::chrono_literals;
using nlohmann::json;

inline std::string read_file(const std::string& path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

inline int serve_seat(ipc::Seat seat) { return test::FakeWorker(std::move(seat)).run(); }

/// A master in a process of its own; ended, if it has not left by itself, by the destructor.
class Instance {
 public:
    explicit Instance(master::WorkerMain worker = serve_seat,
                      const std::function<void(conf::Config&)>& change = {}, master::WorkerMain sentinel = {},
                      master::PoolMain pool = {}, master::PreloadMain preload = {}) {
        conf::Server server;
        server.listen = {listen_on("127.0.0.1")};
        server.access_log.path = folder / "access.log";
        config.servers = {server};
        config.execution.workers = 3;
        config.reeve.control = folder / "control";
        config.reeve.pid_file = folder / "pid";
        config.reeve.error_log.path = folder / "error.log";
        config.reeve.shutdown_timeout = 2s;
        if (change) change(config);
        auto forked = master::Child::fork({}, [&] {
            static char name[] = "reeve";
            char* argv[] = {name, nullptr};
            master::ProcessTitle title(1, argv);
            master::StartReport report;
            const auto read = [path = std::string(folder / "wanted"), started = config] {
                return read_wanted(path, started);
            };
            return master::run({.first = master::Reading::now(read, 5s),
                                .read = read,
                                .worker = worker,
                                .sentinel = sentinel,
                                .pool = pool,
                                .preload = preload,
                                .program = {},
                                .inheritance = std::nullopt,
                                .activated = {},
                                .service = {}},
                               title, report);
        });
        REQUIRE(forked);
        process = std::move(*forked);
    }
    ~Instance() {
        process.signal(SIGTERM);
        if (!eventually([&] { return !process || process.reap(); }, 5s)) process.signal(SIGKILL);
    }

    [[nodiscard]] json status() const {
        const auto answer = master::control(config.reeve.control, "status json");
        return answer ? json::parse(*answer) : json();
    }
    /// Waits for the READY of all, and remembers the port.
    void await_serving() {
        REQUIRE(eventually([&] {
            const auto now = status();
            return now.is_object() && now["master"]["state"] == "serving";
        }));
        const auto address = status()["listeners"][0]["address"].get<std::string>();
        port = static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
    }
    [[nodiscard]] pid_t worker_pid(std::size_t slot) const { return status()["workers"][slot]["pid"]; }
    [[nodiscard]] std::string worker_state(std::size_t slot) const {
        return status()["workers"][slot]["state"];
    }
    /// "SLOT PID" of whoever answers a new connection.
    [[nodiscard]] std::string ask() const {
        const auto socket = connect_to(port);
        return socket ? read_to_end(socket.get()) : "refused";
    }
    /// What the master finds when it reads its configuration again; see `read_wanted`.
    void want(const std::string& lines) const { std::ofstream(folder / "wanted") << lines; }
    [[nodiscard]] auto control(const std::string& command) const {
        return master::control(config.reeve.control, command);
    }
    [[nodiscard]] std::set<pid_t> pids() const {
        std::set<pid_t> all;
        const auto now = status();
        for (const auto& worker : now["workers"]) all.insert(worker["pid"].get<pid_t>());
        return all;
    }
    /// Waits until only the newest generation has processes.
    void await_one_generation() const {
        REQUIRE(eventually([&] {
            const auto now = status();
            for (const auto& worker : now["workers"])
                if (worker["generation"] != now["master"]["generation"]) return false;
            return true;
        }));
    }
    [[nodiscard]] std::string log() const { return read_file(config.reeve.error_log.path); }
    [[nodiscard]] bool logged(const std::string& text) const { return log().find(text) != std::string::npos; }
    /// Waits for the end; its exit status, or -1 for a signal.
    int await_end() {
        std::optional<master::Ending> ending;
        REQUIRE(eventually([&] { return (ending = process.reap()).has_value(); }));
        return ending->signal != 0 ? -1 : ending->status;
    }

    Folder folder;
    conf::Config config;
    master::Child process;
    std::uint16_t port = 0;
};

}  // namespace test
