// tests/master/service_manager_test.cpp: what systemd is told, and the sockets it hands over.
#include "master/service_manager.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "master/activation.h"
#include "tests/master/sockets.h"

namespace {

using namespace std::chrono_literals;
using master::ServiceEnvironment;
using master::ServiceManager;

/// The manager's end.
class Manager {
 public:
    explicit Manager(const std::string& name) : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        name.copy(address.sun_path, sizeof address.sun_path - 1);
        if (name[0] == '@') address.sun_path[0] = '\0';
        const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
        REQUIRE(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0);
    }
    [[nodiscard]] std::string heard() const {
        std::array<char, 1024> bytes{};
        const auto size = ::recv(socket_.get(), bytes.data(), bytes.size(), 0);
        return size < 0 ? "nothing" : std::string(bytes.data(), static_cast<std::size_t>(size));
    }

 private:
    ipc::UniqueFd socket_;
};

}  // namespace

TEST_CASE("the service manager hears each state", "[systemd]") {
    const test::Folder folder;
    const std::string name =
        GENERATE(true, false) ? folder / "notify" : "@reeve-test-" + std::to_string(::getpid());
    const Manager manager(name);
    const ipc::EventBase loop(event_base_new());
    ServiceManager service(*loop, {.socket = name, .watchdog = {}}, [] { return true; });
    service.ready("generation 1\nMAINPID=1");
    CHECK(manager.heard() == "READY=1\nSTATUS=generation 1 MAINPID=1");
    service.reloading();
    const auto reloading = manager.heard();
    CHECK(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="));
    CHECK(std::stoull(reloading.substr(27)) > 0);
    service.stopping("bye");
    CHECK(manager.heard() == "STOPPING=1\nSTATUS=bye");
    service.main_pid(4711);
    CHECK(manager.heard() == "MAINPID=4711");
}

TEST_CASE("nobody who wants to know, or nobody there, is no trouble", "[systemd]") {
    const ipc::EventBase loop(event_base_new());
    for (const char* socket : {"", "/nowhere/at/all", "relative", "@"}) {
        ServiceManager service(*loop, {.socket = socket, .watchdog = {}}, [] { return true; });
        service.ready("x");
    }
}

TEST_CASE("the watchdog is fed only while somebody serves", "[systemd]") {
    const test::Folder folder;
    const Manager manager(folder / "notify");
    const ipc::EventBase loop(event_base_new());
    bool healthy = true;
    int asked = 0;
    ServiceManager service(*loop, {.socket = folder / "notify", .watchdog = 4ms}, [&] {
        if (++asked == 4) event_base_loopbreak(loop.get());
        return healthy;
    });
    event_base_dispatch(loop.get());
    for (int count = 0; count < 4; ++count) CHECK(manager.heard() == "WATCHDOG=1");
    healthy = false;
    asked = 0;
    event_base_dispatch(loop.get());
    CHECK(manager.heard() == "nothing");
}

TEST_CASE("the environment is taken once, and given on", "[systemd]") {
    ::setenv("NOTIFY_SOCKET", "/run/x", 1);
    ::setenv("WATCHDOG_USEC", "5000", 1);
    ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
    const auto taken = ServiceEnvironment::take();
    CHECK(taken.socket == "/run/x");
    CHECK(taken.watchdog == 5ms);
    CHECK(taken.variables() == std::vector<std::string>{"NOTIFY_SOCKET=/run/x", "WATCHDOG_USEC=5000"});
    CHECK(::getenv("NOTIFY_SOCKET") == nullptr);
    CHECK(ServiceEnvironment::take().variables().empty());

    ::setenv("WATCHDOG_USEC", "5000", 1);
    ::setenv("WATCHDOG_PID", "1", 1);  // another's
    CHECK_FALSE(ServiceEnvironment::take().watchdog);
    ::setenv("WATCHDOG_USEC", "soon", 1);
    CHECK_FALSE(ServiceEnvironment::take().watchdog);
}

TEST_CASE("sockets of a service manager are taken up by address, and not bound again", "[systemd]") {
    const pid_t child = ::fork();  // descriptor 3 has to be ours to give
    if (child == 0) {
        auto bound = master::Listeners::bind({test::listen_on("127.0.0.1")}, conf::Accept::shared, 1, {});
        if (!bound || !bound->listen()) ::_exit(1);
        const auto port = bound->all()[0].listener->address().port;
        if (::dup2(bound->all()[0].sockets[0]->fd.get(), 3) != 3) ::_exit(2);
        ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
        ::setenv("LISTEN_FDS", "1", 1);
        const auto taken = master::take_activation();
        if (!taken || taken->all().size() != 1 || ::getenv("LISTEN_FDS") != nullptr) ::_exit(3);
        const auto next =
            master::Listeners::bind({test::listen_on("127.0.0.1", port)}, conf::Accept::reuseport, 4, *taken);
        if (!next || next->all()[0].socket(2)->fd.get() != 3 || next->all()[0].has_queues()) ::_exit(4);
        ::_exit((::fcntl(3, F_GETFD) & FD_CLOEXEC) != 0 ? 0 : 5);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("what is not meant for us is left alone, and what is no listener refused", "[systemd]") {
    ::setenv("LISTEN_PID", "1", 1);
    ::setenv("LISTEN_FDS", "1", 1);
    const auto none = master::take_activation();
    REQUIRE(none);
    CHECK(none->all().empty());
    for (const char* count : {"x", "-1", "5000"}) {
        ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
        ::setenv("LISTEN_FDS", count, 1);
        CHECK_FALSE(master::take_activation());
    }
    const pid_t child = ::fork();
    if (child == 0) {
        const int file = ::open("/dev/null", O_RDONLY);
        if (::dup2(file, 3) != 3) ::_exit(2);
        ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
        ::setenv("LISTEN_FDS", "1", 1);
        ::_exit(master::take_activation() ? 1 : 0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WEXITSTATUS(status) == 0);
}
