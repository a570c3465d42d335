// reeve under a service manager: the files that it comes with, and what it says and takes.
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "tests/integration/check.h"
#include "tests/integration/server.h"

using namespace integration;

namespace {

/// A file of the repository with the program's place as it is here.
std::string with_program(const std::string& path) {
    auto text = contents(path);
    const std::string installed = "/usr/local/sbin/reeve";
    for (auto at = text.find(installed); at != std::string::npos; at = text.find(installed, at + 1))
        text.replace(at, installed.size(), reeve());
    return text;
}

/// Where NOTIFY_SOCKET points while it lives.
class NotifySocket {
 public:
    explicit NotifySocket(const std::string& path)
        : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        REQUIRE(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
        ::setenv("WATCHDOG_USEC", "200000", 1);
    }
    ~NotifySocket() {
        ::unsetenv("NOTIFY_SOCKET");
        ::unsetenv("WATCHDOG_USEC");
    }
    /// Waits until something has been said that begins so; what was said before is gone.
    std::string await(const std::string& begin) {
        std::string found;
        eventually("the service manager hears " + begin, [&] {
            std::array<char, 1024> bytes{};
            const auto size = ::recv(socket_.get(), bytes.data(), bytes.size(), 0);
            if (size > 0) found.assign(bytes.data(), static_cast<std::size_t>(size));
            return found.starts_with(begin);
        });
        return found;
    }
    /// Whether it is not said any more from some time on.
    void await_silence(const std::string& begin) {
        auto last = Clock::now();
        eventually("nobody says " + begin + " any more", [&] {
            std::array<char, 1024> bytes{};
            const auto size = ::recv(socket_.get(), bytes.data(), bytes.size(), 0);
            if (size > 0 && std::string(bytes.data(), static_cast<std::size_t>(size)).starts_with(begin))
                last = Clock::now();
            return Clock::now() - last > std::chrono::milliseconds(500);
        });
    }

 private:
    ipc::UniqueFd socket_;
};

}  // namespace

TEST_CASE("the unit files are fine", "[integration][service]") {
    const TemporaryFolder folder;
    folder.write("reeve.service", with_program("docs/systemd/reeve.service"));
    folder.write("reeve.socket", with_program("docs/systemd/reeve.socket"));
    for (const char* unit : {"reeve.service", "reeve.socket"}) {
        const Ran ran = run({"systemd-analyze", "verify", "--man=no", folder.path(unit)});
        INFO(ran.output << ran.errors);
        CHECK(ran.status == 0);
        CHECK_FALSE(contains(ran.errors, unit));
    }
    folder.write("broken.service",
                 with_program("docs/systemd/reeve.service") + "\n[Service]\nExecStart=nowhere\n");
    CHECK(run({"systemd-analyze", "verify", "--man=no", folder.path("broken.service")}).status != 0);
}

TEST_CASE("logrotate understands its snippet", "[integration][service]") {
    const TemporaryFolder folder;
    const Ran ran = run({"logrotate", "--debug", "--state", folder.path("state"), "docs/logrotate/reeve"});
    INFO(ran.errors);
    CHECK(ran.status == 0);
    CHECK_FALSE(contains(ran.errors, "error:"));
}

TEST_CASE("the service manager hears of start, reload, upgrade and end", "[integration][service]") {
    const TemporaryFolder folder;
    NotifySocket manager(folder.path("notify"));
    Setup setup;
    const Server server(folder, setup);
    CHECK(contains(manager.await("READY=1"), "STATUS=generation 1 serves"));
    manager.await("WATCHDOG=1");

    REQUIRE(server.command({"-s", "reload"}).status == 0);
    CHECK(contains(manager.await("RELOADING=1"), "MONOTONIC_USEC="));
    CHECK(contains(manager.await("READY=1"), "generation 2 serves"));

    setup.server = "no_such_key = 1\n";
    write_config(folder, setup, server.port());
    CHECK(run({reeve(), "-s", "reload", "--control", folder.path("control")}).status == 2);
    manager.await("RELOADING=1");
    CHECK(contains(manager.await("READY=1"), "the last reload failed"));

    setup.server = "";
    write_config(folder, setup, server.port());
    REQUIRE(server.command({"-s", "upgrade"}).status == 0);
    manager.await("MAINPID=" + std::to_string(server.serving()));
    manager.await("WATCHDOG=1");
    ::kill(server.serving(), SIGQUIT);
    manager.await("STOPPING=1");
}

TEST_CASE("the watchdog of the service manager is not fed while all workers stand still",
          "[integration][service]") {
    const TemporaryFolder folder;
    NotifySocket manager(folder.path("notify"));
    const Server server(folder, {.reeve = "watchdog = 60s\n", .execution = just_workers(2)});
    manager.await("WATCHDOG=1");
    for (const auto& worker : server.status().workers) freeze(worker.pid);
    manager.await_silence("WATCHDOG=1");
    for (const auto& worker : server.status().workers) ::kill(worker.pid, SIGCONT);
    manager.await("WATCHDOG=1");
}

TEST_CASE("top shows pictures until they are counted, and says when the master is gone",
          "[integration][service]") {
    const TemporaryFolder folder;
    Server server(folder, {.execution = just_workers(2)});
    const Ran two = server.command({"top", "--interval", "0.1", "--count", "2"});
    CHECK(two.status == 0);
    CHECK(count(two.output, "generation 1") == 2);
    CHECK(count(two.output, " ready ") == 4);
    CHECK_FALSE(contains(two.output, "\033"));
    server.stop();
    CHECK(server.command({"top", "--count", "1"}).status == 1);
}
