#include "master/lab/server.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {  // glibc 2.36 forgets it in this header
#include <sys/pidfd.h>
}

#include <array>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "ipc/clock.h"

namespace master::lab {
namespace {

constexpr int ports_tried = 5;
constexpr std::uint64_t start_limit_ms = 20'000;
constexpr int look_every_ms = 5;
constexpr int leave_ms = 400, killed_ms = 5000;
constexpr int cannot_begin = 126;

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/// One that nobody has at the moment; 0: there is none.
std::uint16_t free_port() {
    const ipc::UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    if (!socket || ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0 ||
        ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) < 0)
        return 0;
    return ntohs(address.sin_port);
}

bool takes_connections(std::uint16_t port) {
    const ipc::UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in address = loopback(port);
    return socket &&
           ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

std::string text_of(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

/// In the child; does not return.
[[noreturn]] void become(const std::string& program, const std::string& config, int output, pid_t parent) {
    ::setpgid(0, 0);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
    if (::prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || ::getppid() != parent) ::_exit(cannot_begin);
    const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (::dup2(null, STDIN_FILENO) < 0 || ::dup2(output, STDOUT_FILENO) < 0 ||
        ::dup2(output, STDERR_FILENO) < 0)
        ::_exit(cannot_begin);
    ::close_range(3, ~0u, 0);
    ::execl(program.c_str(), "reeve", "-c", config.c_str(), nullptr);
    ::_exit(cannot_begin);
}

}  // namespace

std::string configuration(const Setting& setting, const std::string& folder, std::uint16_t port) {
    return fmt::format(
        "[reeve]\ncontrol = {0}/control.sock\npid_file = {0}/reeve.pid\nerror_log = {0}/error.log warn\n"
        "slow_loop = 1m\nwatchdog = 1m\nshutdown_timeout = 1s\n"
        "[execution]\n{1}"
        "[server lab]\nlisten = 127.0.0.1:{2}\nkeepalive_requests = 1000000000\n"
        "[route warm]\npath = = /warm\nrespond = 200 \"warm\"\n{3}",
        folder, setting.execution, port, setting.sections);
}

ipc::Result<Server> Server::start(const std::string& program, const Folder& folder, const Setting& setting,
                                  const std::atomic<bool>& stop) {
    const std::string config = folder.path() + "/reeve.ini", output = folder.path() + "/output";
    for (int attempt = 0; attempt < ports_tried && !stop; ++attempt) {
        const std::uint16_t port = free_port();
        if (port == 0) return ipc::system_error("a free port");
        if (!(std::ofstream(config) << configuration(setting, folder.path(), port)).flush())
            return ipc::failure("cannot write " + config);
        const ipc::UniqueFd said(::open(output.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600));
        if (!said) return ipc::system_error("open " + output);
        const pid_t parent = ::getpid(), pid = ::fork();
        if (pid < 0) return ipc::system_error("fork");
        if (pid == 0) become(program, config, said.get(), parent);
        ::setpgid(pid, pid);
        Server server(pid, ipc::UniqueFd(::pidfd_open(pid, 0)), port);
        // Its sockets listen when all of its workers are ready. Whoever else has the port is not asked.
        const auto serves = [&] {
            return text_of(folder.path() + "/reeve.pid") == fmt::format("{}\n", pid) &&
                   takes_connections(port);
        };
        const std::uint64_t end = ipc::monotonic_ms() + start_limit_ms;
        bool ended = false;
        while (!(ended = server.wait(look_every_ms)) && !stop && ipc::monotonic_ms() < end)
            if (serves()) return server;
        if (stop) break;
        if (!ended) return ipc::failure("the server does not start:\n" + text_of(output));
        if (text_of(output).find("Address already in use") == std::string::npos)  // else somebody was faster
            return ipc::failure("the server does not start:\n" + text_of(output));
    }
    return ipc::failure(stop ? "stopped" : "no port stays free");
}

bool Server::wait(int ms) const noexcept {
    pollfd ended{ended_.get(), POLLIN, 0};
    const auto until = ipc::monotonic_ms() + static_cast<std::uint64_t>(ms);
    for (;;) {
        const auto now = ipc::monotonic_ms();
        const int ready = ::poll(&ended, 1, until > now ? static_cast<int>(until - now) : 0);
        if (ready >= 0 || errno != EINTR) return ready > 0;
    }
}

Server::~Server() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGTERM);
    if (!wait(leave_ms)) {
        ::kill(-pid_, SIGKILL);  // members of pools die with it
        (void)wait(killed_ms);
    }
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
}

}  // namespace master::lab
