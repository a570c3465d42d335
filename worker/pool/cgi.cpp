#include "worker/pool/cgi.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {  // glibc 2.36 forgets it in this header
#include <sys/pidfd.h>
}

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <optional>

#include "conf/pool_types.h"
#include "ipc/clock.h"

namespace worker::pool {
namespace {

constexpr std::size_t piece_max = 64 * 1024;
constexpr int cannot_begin = 126;
constexpr std::uint32_t signalled = 1000;  ///< and its number: no exit status

struct Pipe {
    ipc::UniqueFd reading, writing;
};

std::optional<Pipe> make_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) < 0) return std::nullopt;
    return Pipe{ipc::UniqueFd(ends[0]), ipc::UniqueFd(ends[1])};
}

void be_patient_no_more(const ipc::UniqueFd& ours) { ::fcntl(ours.get(), F_SETFL, O_NONBLOCK); }

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> all;
    all.reserve(texts.size() + 1);
    for (auto& text : texts) all.push_back(text.data());
    all.push_back(nullptr);
    return all;
}

/// In the child; does not return.
[[noreturn]] void begin(const conf::Pool& pool, const std::string& program, const std::string& folder,
                        std::vector<std::string>& environment, int in, int out, int error, pid_t parent) {
    const auto fail = [](const char* what) {
        const std::string text = std::string("reeve: ") + what + ": " + std::strerror(errno) + "\n";
        (void)!::write(STDERR_FILENO, text.data(), text.size());
        ::_exit(cannot_begin);
    };
    ::setpgid(0, 0);
    if (::dup2(error, STDERR_FILENO) < 0) ::_exit(cannot_begin);
    if (::dup2(in, STDIN_FILENO) < 0 || ::dup2(out, STDOUT_FILENO) < 0) fail("descriptors");
    ::close_range(3, ~0u, 0);
    for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != parent) fail("prctl pdeathsig");
    for (const auto& limit : pool.rlimits) {
        const rlimit both{.rlim_cur = limit.value, .rlim_max = limit.value};
        if (::setrlimit(static_cast<__rlimit_resource>(conf::resource_number(limit.what)), &both) != 0)
            fail("rlimits");
    }
    if (!folder.empty() && ::chdir(folder.c_str()) != 0) fail(folder.c_str());
    auto words = pool.run.command;
    ::execve(program.c_str(), pointers(words).data(), pointers(environment).data());
    fail(program.c_str());
    ::_exit(cannot_begin);
}

/// A program that runs, and its process group; neither is left behind.
class Running {
 public:
    Running(pid_t pid, std::chrono::milliseconds grace) noexcept
        : pid_(pid), ended_(::pidfd_open(pid, 0)), grace_(grace) {
        ::setpgid(pid, pid);
    }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
    ~Running() {
        if (pid_ > 0) (void)end();
    }

    /// Becomes readable when it has ended.
    [[nodiscard]] int fd() const noexcept { return ended_.get(); }

    /// TERM, and KILL when that does not help; then whatever else is in its group. Its status.
    std::uint32_t end() {
        if (!wait(std::chrono::milliseconds(0))) {
            ::kill(-pid_, SIGTERM);
            (void)wait(grace_);
        }
        return collect();
    }
    /// As `end`, but it has some time to leave by itself: its answer is complete.
    std::uint32_t await_end() {
        if (wait(grace_)) return collect();
        (void)end();
        return 0;
    }

 private:
    [[nodiscard]] bool wait(std::chrono::milliseconds limit) const {
        pollfd waiting{.fd = ended_.get(), .events = POLLIN, .revents = 0};
        const auto until = ipc::monotonic_ms() + static_cast<std::uint64_t>(limit.count());
        for (;;) {
            const auto now = ipc::monotonic_ms();
            const int ready = ::poll(&waiting, 1, until > now ? static_cast<int>(until - now) : 0);
            if (ready >= 0 || errno != EINTR) return ready > 0;
        }
    }
    std::uint32_t collect() {
        ::kill(-pid_, SIGKILL);  // not collected yet: the group's number is still its own
        siginfo_t info{};
        while (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED) < 0 && errno == EINTR) {
        }
        pid_ = -1;
        const auto number = static_cast<std::uint32_t>(info.si_status);
        return info.si_code == CLD_EXITED ? number : signalled + number;
    }

    pid_t pid_;
    ipc::UniqueFd ended_;
    std::chrono::milliseconds grace_;
};

/// Both directions between a request and its program, until the answer is complete.
class Passing {
 public:
    Passing(FastcgiRequest& request, int ended, int leave, ipc::UniqueFd in, ipc::UniqueFd out,
            ipc::UniqueFd error)
        : request_(request),
          ended_(ended),
          leave_(leave),
          in_(std::move(in)),
          out_(std::move(out)),
          error_(std::move(error)) {
        be_patient_no_more(in_);
        be_patient_no_more(out_);
        be_patient_no_more(error_);
    }

    /// False: whoever asked is gone, or we are to leave.
    bool run() {
        while (out_) {
            feed();
            // Its body is read as far as there is room; its end is noticed all the same.
            const bool room = request_.body().size() < piece_max;
            std::array<pollfd, 6> waiting{{
                {request_.fd(), static_cast<short>(room ? POLLIN | POLLRDHUP : POLLRDHUP), 0},
                {request_.body().empty() ? -1 : in_.get(), POLLOUT, 0},
                {out_.get(), POLLIN, 0},
                {error_.get(), POLLIN, 0},
                {leave_, POLLIN, 0},
                {finished_ ? -1 : ended_, POLLIN, 0},
            }};
            const auto& [asker, in, out, error, leave, ended] = waiting;
            const int ready = ::poll(waiting.data(), waiting.size(), finished_ ? 0 : -1);
            if (ready < 0 && errno == EINTR) continue;
            if (leave.revents != 0) return false;
            if (room && (asker.revents & POLLIN) != 0)
                request_.receive();
            else if (asker.revents != 0)
                return false;
            if (in.revents != 0) feed();
            if (error.revents != 0) take(error_, true);
            if (out.revents != 0)
                take(out_, false);
            else if (finished_)
                break;  // it has ended, and somebody else holds its output: what was there is out
            if (ended.revents != 0) finished_ = true;
            if (request_.gone()) return false;
        }
        // What a pipe holds, as one turn of it: who goes on complaining keeps nobody here.
        for (std::size_t rest = 64 * 1024; rest > 0 && error_ && !request_.gone();
             rest -= std::min(rest, piece_max))
            if (!take(error_, true)) break;
        return !request_.gone();
    }

 private:
    void feed() {
        auto& body = request_.body();
        while (in_ && !body.empty()) {
            const auto written = ::write(in_.get(), body.data(), body.size());
            if (written < 0 && errno == EAGAIN) return;
            if (written < 0 && errno == EINTR) continue;
            if (written < 0) {  // it reads no more
                in_.reset();
                break;
            }
            body.erase(0, static_cast<std::size_t>(written));
        }
        if (!in_) body.clear();
        if (request_.body_ended() && body.empty()) in_.reset();
    }
    /// False: nothing more is there now.
    bool take(ipc::UniqueFd& from, bool complaint) {
        std::array<char, piece_max> bytes;
        const auto got = ::read(from.get(), bytes.data(), bytes.size());
        if (got > 0) {
            const std::string_view piece(bytes.data(), static_cast<std::size_t>(got));
            complaint ? request_.complain(piece) : request_.write(piece);
            return true;
        }
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
        from.reset();
        return false;
    }

    FastcgiRequest& request_;
    int ended_, leave_;
    ipc::UniqueFd in_, out_, error_;
    bool finished_ = false;
};

}  // namespace

Cgi::Cgi(const conf::Pool& pool, int leave)
    : pool_(pool), leave_(leave), program_(conf::find_program(pool.run.command.front())) {
    if (program_.empty()) program_ = pool.run.command.front();  // it may come yet
    // RFC 3875 7.2: where the program is. `directory` was entered before us.
    if (pool.directory.empty() && program_.front() == '/')
        folder_ = program_.substr(0, std::max<std::size_t>(program_.rfind('/'), 1));
}

std::vector<std::string> Cgi::environment(const FastcgiRequest& request) const {
    std::vector<std::string> all;
    const auto set_by_pool = [&](std::string_view name) {
        return std::any_of(pool_.environment.begin(), pool_.environment.end(),
                           [&](const conf::Variable& variable) { return variable.name == name; });
    };
    if (!set_by_pool("PATH")) all.push_back("PATH=" + std::string(conf::program_path));
    for (const auto& variable : pool_.environment) all.push_back(variable.name + "=" + variable.value);
    for (const auto& [name, value] : request.params()) {
        // Libraries take that one for the proxy they are to use.
        if (name.empty() || name == "HTTP_PROXY" || name == "PATH" || set_by_pool(name)) continue;
        if (name.find('=') != std::string::npos || name.find('\0') != std::string::npos ||
            value.find('\0') != std::string::npos)
            continue;
        all.emplace_back(name).append("=").append(value);
    }
    return all;
}

std::uint32_t Cgi::run(FastcgiRequest& request) const {
    auto in = make_pipe();
    auto out = make_pipe();
    auto error = make_pipe();
    auto variables = environment(request);
    const pid_t parent = ::getpid();
    const pid_t pid = in && out && error ? ::fork() : -1;
    if (pid < 0) {
        request.complain(std::string("reeve: no process for a CGI program: ") + std::strerror(errno) + "\n");
        return cannot_begin;
    }
    if (pid == 0)
        begin(pool_, program_, folder_, variables, in->reading.get(), out->writing.get(),
              error->writing.get(), parent);
    Running running(pid, pool_.kill_grace);
    in->reading.reset();
    out->writing.reset();
    error->writing.reset();
    Passing passing(request, running.fd(), leave_, std::move(in->writing), std::move(out->reading),
                    std::move(error->reading));
    if (!passing.run()) {
        request.give_up();
        return running.end();
    }
    const auto status = running.await_end();
    if (status > signalled) {  // whatever it has printed, it was not all
        request.complain("reeve: the program was ended by signal " + std::to_string(status - signalled) +
                         "\n");
        request.give_up();
    }
    return status;
}

}  // namespace worker::pool
