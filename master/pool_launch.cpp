// master/pool_launch.cpp: each step in the one right order: what needs root first, the death signal behind
// the change of user, which clears it.
#include "master/pool_launch.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "conf/pool_types.h"

namespace master {
namespace {

constexpr int cannot_begin = 126;
constexpr int not_found = 127;

int say_why(int status, const std::string& what) {
    std::fprintf(stderr, "reeve: %s: %s\n", what.c_str(), std::strerror(errno));
    std::fflush(stderr);
    return status;
}

bool limit_resources(const std::vector<conf::ResourceLimit>& limits) {
    return std::all_of(limits.begin(), limits.end(), [](const conf::ResourceLimit& limit) {
        const rlimit both{.rlim_cur = limit.value, .rlim_max = limit.value};
        return ::setrlimit(static_cast<__rlimit_resource>(conf::resource_number(limit.what)), &both) == 0;
    });
}

bool take_user(const std::string& user) {
    if (::geteuid() != 0) return true;
    errno = 0;
    const passwd* entry = ::getpwnam(user.c_str());
    if (entry == nullptr) {
        if (errno == 0) errno = ENOENT;
        return false;
    }
    return ::initgroups(user.c_str(), entry->pw_gid) == 0 &&
           ::setresgid(entry->pw_gid, entry->pw_gid, entry->pw_gid) == 0 &&
           ::setresuid(entry->pw_uid, entry->pw_uid, entry->pw_uid) == 0;
}

/// What it is woken for can wait until whoever woke it, mostly a loop of ours, has had its turn: no shorter
/// share of a processor, but fewer switches. Whom the operator has started us as anything else is left as he
/// is, and where the system refuses it members only cost more.
void yield_to_loops() {
    const sched_param none{};
    if (::sched_getscheduler(0) == SCHED_OTHER) (void)::sched_setscheduler(0, SCHED_BATCH, &none);
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> all;
    all.reserve(texts.size() + 1);
    for (auto& text : texts) all.push_back(text.data());
    all.push_back(nullptr);
    return all;
}

/// Does not return when it succeeds.
int execute(const conf::Pool& pool) {
    auto words = pool.run.command;
    auto variables = environment_of(pool);
    const auto path = conf::find_program(words.front());
    if (path.empty()) {
        errno = ENOENT;
        return say_why(not_found, words.front());
    }
    ::signal(SIGPIPE, SIG_DFL);
    ::execve(path.c_str(), pointers(words).data(), pointers(variables).data());
    return say_why(cannot_begin, "execute " + path);
}

}  // namespace

std::vector<std::string> environment_of(const conf::Pool& pool) {
    std::vector<std::string> all;
    const auto add_unless_set = [&](const char* name, std::string_view value) {
        if (std::none_of(pool.environment.begin(), pool.environment.end(),
                         [&](const conf::Variable& one) { return one.name == name; }))
            all.push_back(std::string(name) + "=" + std::string(value));
    };
    add_unless_set("PATH", conf::program_path);
    if (pool.run.kind == conf::PoolRun::Kind::fastcgi) {
        add_unless_set("PHP_FCGI_CHILDREN", "0");
        add_unless_set("PHP_FCGI_MAX_REQUESTS", "0");
    }
    for (const auto& variable : pool.environment) all.push_back(variable.name + "=" + variable.value);
    return all;
}

int launch(const Launch& what) {
    const auto& pool = what.pool;
    const bool program = pool.run.kind == conf::PoolRun::Kind::fastcgi;
    ::setpgid(0, 0);
    yield_to_loops();
    if (::dup2(what.output, STDERR_FILENO) < 0 || ::dup2(what.output, STDOUT_FILENO) < 0) return cannot_begin;
    // A program of `cgi` has its limits itself: they are not meant for what runs it.
    if (pool.run.kind != conf::PoolRun::Kind::cgi && !limit_resources(pool.rlimits))
        return say_why(cannot_begin, "rlimits");
    if (!take_user(what.user)) return say_why(cannot_begin, "become user " + what.user);
    // Who runs programs for others ends them first.
    const int at_death = pool.run.kind == conf::PoolRun::Kind::cgi ? SIGTERM : SIGKILL;
    if (::prctl(PR_SET_PDEATHSIG, at_death) != 0) return say_why(cannot_begin, "prctl pdeathsig");
    if (::getppid() != what.master) return cannot_begin;
    const std::string folder = pool.directory.empty() ? "/" : pool.directory;
    if (::chdir(folder.c_str()) != 0) return say_why(cannot_begin, "directory " + folder);
    if (program) {
        if (::dup2(what.listener, STDIN_FILENO) < 0) return say_why(cannot_begin, "descriptor 0");
        ::close_range(3, ~0u, 0);
        return execute(pool);
    }
    if (pool.run.kind == conf::PoolRun::Kind::module) {  // its code sees what a program would
        ::clearenv();
        for (const auto& variable : environment_of(pool)) {
            const auto equals = variable.find('=');
            ::setenv(variable.substr(0, equals).c_str(), variable.c_str() + equals + 1, 1);
        }
    }
    const ipc::UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!null || ::dup2(null.get(), STDIN_FILENO) < 0) return say_why(cannot_begin, "/dev/null");
    if (what.title != nullptr) what.title->set("reeve: pool " + pool.name);
    ipc::PoolSeat seat;
    seat.listener = ipc::UniqueFd(what.listener);
    seat.config = ipc::UniqueFd(what.config);
    seat.pool = pool.name;
    seat.master_pid = what.master;
    seat.vitals = what.vitals;
    return what.serve(std::move(seat));
}

}  // namespace master
