// tests/master/pools_test.cpp: processes of pools as their master keeps them, with the test as the worker.
#include "master/pools.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "ipc/clock.h"
#include "master/process_usage.h"
#include "tests/master/sockets.h"

namespace {

using namespace std::chrono_literals;
using ipc::MemberState;
using ipc::PoolTask;

/// Answers each byte on a connection: `p` with its pid, `x` by exiting, `s` never, `g` with the pid of a
/// child of its own; `w` writes a line to its standard error first.
int member(ipc::PoolSeat seat) {
    for (;;) {
        const ipc::UniqueFd connection(::accept4(seat.listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
        char asked = 0;
        while (::recv(connection.get(), &asked, 1, 0) == 1) {
            std::string said = std::to_string(::getpid());
            if (asked == 'x') ::_exit(3);
            if (asked == 's') {
                ::signal(SIGTERM, SIG_IGN);
                for (;;) ::pause();
            }
            if (asked == 'w') (void)!::write(STDERR_FILENO, "a word of it\n", 13);
            if (asked == 'm')  // 256 MiB more: it shares less with its parent than a process shows to have
                (void)::mmap(nullptr, 256u << 20, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
            if (asked == 'g') {
                const pid_t child = ::fork();
                if (child == 0)
                    for (;;) ::pause();
                said = std::to_string(child);
            }
            said += "\n";
            (void)!::send(connection.get(), said.data(), said.size(), MSG_NOSIGNAL);
        }
    }
}

/// 'R', 'S', 'T' and so on; '-' when there is no such process.
char state_of(pid_t pid) {
    std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
    std::string text;
    std::getline(stat, text);
    const auto at = text.rfind(')');
    return at == std::string::npos ? '-' : text.at(at + 2);
}

bool lives(pid_t pid) { return state_of(pid) != '-' && state_of(pid) != 'Z'; }

/// Pools on a loop of the test's own.
struct World {
    explicit World(const std::function<void(conf::Pool&)>& change = {}, master::PoolMain run = member)
        : serve(std::move(run)), loop(event_base_new()) {
        ::signal(SIGTERM, SIG_DFL);  // what the test framework does would happen in children that just begin
        auto& pool = plan.emplace_back();
        pool.name = "work";
        pool.run.kind = conf::PoolRun::Kind::cgi;
        pool.run.command = {"/bin/true"};
        pool.size = 2;
        pool.kill_grace = 100ms;
        if (change) change(pool);
        auto made = master::Pools::prepare({.loop = *loop,
                                            .serve = serve,
                                            .config = -1,
                                            .user = "nobody",
                                            .start_timeout = 2s,
                                            .generation = 1},
                                           plan, [this] { ++changes; });
        REQUIRE(made);
        pools = std::move(*made);
    }
    ~World() {
        pools->stop(true);
        turn_until([&] { return pools->running() == 0; });
    }
    template <class Condition>
    bool turn_until(const Condition& condition) {
        const auto end = ipc::monotonic_ms() + 10'000;
        while (!condition()) {
            if (ipc::monotonic_ms() > end) return false;
            event_base_loop(loop.get(), EVLOOP_NONBLOCK);
            ::usleep(1000);
        }
        return true;
    }
    /// Whether it does not hold all that time.
    template <class Condition>
    bool never(std::uint64_t ms, const Condition& condition) {
        const auto end = ipc::monotonic_ms() + ms;
        bool held = false;
        (void)turn_until([&] { return (held = condition()) || ipc::monotonic_ms() >= end; });
        return !held;
    }
    void start() {
        pools->start();
        REQUIRE(turn_until([&] { return pools->started(); }));
    }
    [[nodiscard]] ipc::PoolTable& table() const { return pools->table(); }
    [[nodiscard]] MemberState state(std::uint32_t index) const { return table().state(0, index); }
    [[nodiscard]] pid_t pid(std::uint32_t index) const { return report().members[index].pid; }
    [[nodiscard]] ipc::PoolReport report() const { return table().report(0, ipc::monotonic_ms()); }
    [[nodiscard]] std::uint64_t count(MemberState state) const {
        return report().states[static_cast<std::size_t>(state)];
    }
    [[nodiscard]] PoolTask acquire() {
        const auto task = table().acquire(0, row, ipc::monotonic_ms());
        REQUIRE(task);
        return *task;
    }
    [[nodiscard]] ipc::UniqueFd connect(const PoolTask& task) const {
        auto socket = master::connect_to_pool(table().address(0, task.member));
        REQUIRE(socket);
        return socket;
    }
    void release(const PoolTask& task) { REQUIRE(table().release(task, ipc::monotonic_ms())); }
    /// One task, asked and answered.
    std::string ask(char what) {
        const auto task = acquire();
        const auto socket = connect(task);
        const auto said = exchange(socket, what);
        release(task);
        return said;
    }
    /// A line, while the loop turns; empty when the other side closes.
    std::string exchange(const ipc::UniqueFd& socket, char what) {
        REQUIRE(::send(socket.get(), &what, 1, MSG_NOSIGNAL) == 1);
        return answer(socket);
    }
    std::string answer(const ipc::UniqueFd& socket) {
        std::string line;
        REQUIRE(turn_until([&] {
            char byte = 0;
            const auto got = ::recv(socket.get(), &byte, 1, MSG_DONTWAIT);
            if (got == 1 && byte != '\n') line += byte;
            return got == 0 || (got < 0 && errno != EAGAIN) || (got == 1 && byte == '\n');
        }));
        return line;
    }

    static constexpr std::uint32_t row = 5;
    master::PoolMain serve;
    ipc::EventBase loop;
    std::vector<conf::Pool> plan;
    int changes = 0;
    std::unique_ptr<master::Pools> pools;
};

}  // namespace

TEST_CASE("members are ready when they take connections", "[master][pool]") {
    World world;
    CHECK_FALSE(world.pools->started());
    world.start();
    REQUIRE(world.turn_until([&] { return world.count(MemberState::idle) == 2; }));
    CHECK(world.pools->running() == 2);
    CHECK(world.ask('p') == std::to_string(world.pid(0)));
    CHECK(world.changes > 0);
}

TEST_CASE("each member leads a process group of its own and dies with the master", "[master][pool]") {
    World world;
    world.start();
    const pid_t pid = world.pid(0);
    CHECK(::getpgid(pid) == pid);
    // the master of this one is a process that is killed
    std::array<int, 2> told{};
    REQUIRE(::pipe(told.data()) == 0);
    const pid_t doomed = ::fork();
    if (doomed == 0) {
        World other;
        other.start();
        const pid_t theirs = other.pid(0);  // which does not mind TERM
        (void)!::write(told[1], &theirs, sizeof theirs);
        for (;;) ::pause();
    }
    pid_t theirs = 0;
    REQUIRE(::read(told[0], &theirs, sizeof theirs) == sizeof theirs);
    CHECK(lives(theirs));
    ::kill(doomed, SIGKILL);
    CHECK(test::eventually([&] { return !lives(theirs); }));
    ::waitpid(doomed, nullptr, 0);
    ::close(told[0]);
    ::close(told[1]);
}

TEST_CASE("a process that dies before it takes a connection fails the start, and says why",
          "[master][pool]") {
    World world({}, [](ipc::PoolSeat) {
        std::fprintf(stderr, "no such thing as a license\n");
        std::fflush(stderr);
        return 9;
    });
    world.pools->start();
    REQUIRE(world.turn_until([&] { return world.pools->start_failure().has_value(); }));
    CHECK(*world.pools->start_failure() ==
          "pool work: its process ended before it took a connection: exit status 9: no such thing as a "
          "license");
    CHECK_FALSE(world.pools->started());
}

TEST_CASE("a program that cannot be executed fails the start", "[master][pool]") {
    World world([](conf::Pool& pool) {
        pool.run.kind = conf::PoolRun::Kind::fastcgi;
        pool.run.command = {"/no/such/program"};
    });
    world.pools->start();
    REQUIRE(world.turn_until([&] { return world.pools->start_failure().has_value(); }));
    CHECK(world.pools->start_failure()->find("exit status 127") != std::string::npos);
    CHECK(world.pools->start_failure()->find("/no/such/program: No such file") != std::string::npos);
}

TEST_CASE("a process that takes no connections in time fails the start", "[master][pool]") {
    World world({}, [](ipc::PoolSeat) {
        for (;;) ::pause();
        return 0;
    });
    world.pools->start();
    REQUIRE(world.turn_until([&] { return world.pools->start_failure().has_value(); }));
    CHECK(*world.pools->start_failure() == "pool work: its process takes no connections");
}

TEST_CASE("a member that is killed is replaced, and the others go on", "[master][pool]") {
    World world;
    world.start();
    const pid_t before = world.pid(0), other = world.pid(1);
    ::kill(before, SIGKILL);
    REQUIRE(world.turn_until(
        [&] { return world.pid(0) != before && world.pid(0) != 0 && world.state(0) == MemberState::idle; }));
    CHECK(world.pid(1) == other);
    CHECK(world.report().crashes == 1);
}

TEST_CASE("what a member that is killed has started goes with it", "[master][pool]") {
    World world;
    world.start();
    const auto task = world.acquire();
    const auto socket = world.connect(task);
    const auto grandchild = static_cast<pid_t>(std::stoi(world.exchange(socket, 'g')));
    ::kill(world.pid(task.member), SIGKILL);
    CHECK(world.turn_until([&] { return !lives(grandchild); }));
}

TEST_CASE("what waits in the queue of a member that dies is taken by the next one", "[master][pool]") {
    World world;
    world.start();
    const auto task = world.acquire();
    const pid_t before = world.pid(task.member);
    ::kill(before, SIGSTOP);
    REQUIRE(test::eventually([&] { return state_of(before) == 'T'; }));
    const auto socket = world.connect(task);
    REQUIRE(::send(socket.get(), "p", 1, MSG_NOSIGNAL) == 1);
    ::kill(before, SIGKILL);
    const auto said = world.answer(socket);
    CHECK(said == std::to_string(world.pid(task.member)));
    CHECK(said != std::to_string(before));
    CHECK(world.state(task.member) == MemberState::busy);
    world.release(task);
    CHECK(world.state(task.member) == MemberState::idle);
}

TEST_CASE("what an ended member has not taken is not begun by the next one", "[master][pool]") {
    World world;
    world.start();
    const auto task = world.acquire();
    const pid_t before = world.pid(task.member);
    ::kill(before, SIGSTOP);
    REQUIRE(test::eventually([&] { return state_of(before) == 'T'; }));
    const auto socket = world.connect(task);
    REQUIRE(::send(socket.get(), "p", 1, MSG_NOSIGNAL) == 1);
    REQUIRE(world.table().overdue(task, ipc::monotonic_ms()));
    CHECK(world.answer(socket).empty());
    REQUIRE(world.turn_until([&] { return world.state(task.member) == MemberState::idle; }));
    CHECK(world.pid(task.member) != before);
    CHECK(world.ask('p') == std::to_string(world.pid(task.member)));
}

TEST_CASE("members that keep dying are started more and more rarely", "[master][pool]") {
    World world;
    world.start();
    for (int death = 0; death < 3; ++death) {
        REQUIRE(world.turn_until([&] { return world.state(0) == MemberState::idle; }));
        const pid_t before = world.pid(0);
        ::kill(before, SIGKILL);
        REQUIRE(world.turn_until([&] { return world.pid(0) != before; }));
    }
    const auto since = ipc::monotonic_ms();
    REQUIRE(world.turn_until([&] { return world.state(0) == MemberState::idle; }));
    CHECK(ipc::monotonic_ms() - since >= 150);  // 0, 100, 200 ms
}

TEST_CASE("an overdue member is ended, with all that it has started, and replaced", "[master][pool]") {
    World world;
    world.start();
    const auto task = world.acquire();
    const pid_t before = world.pid(task.member);
    const auto socket = world.connect(task);
    const auto grandchild = static_cast<pid_t>(std::stoi(world.exchange(socket, 'g')));
    CHECK(lives(grandchild));
    REQUIRE(world.table().overdue(task, ipc::monotonic_ms()));
    REQUIRE(world.turn_until(
        [&] { return world.state(task.member) == MemberState::idle && world.pid(task.member) != before; }));
    CHECK_FALSE(lives(before));
    CHECK(test::eventually([&] { return !lives(grandchild); }));
    CHECK(world.report().kills == 0);
    CHECK(world.report().crashes == 0);
}

TEST_CASE("one that does not leave is killed after kill_grace", "[master][pool]") {
    World world([](conf::Pool& pool) {
        pool.run.kind = conf::PoolRun::Kind::fastcgi;  // whose grace is not prolonged
        pool.run.command = {"perl", "-e", "$SIG{TERM} = 'IGNORE'; while (1) { accept(C, STDIN); close(C) }"};
        pool.size = 1;
        pool.kill_grace = 200ms;
    });
    world.start();
    const auto task = world.acquire();
    const pid_t before = world.pid(0);
    const auto since = ipc::monotonic_ms();
    REQUIRE(world.table().overdue(task, since));
    REQUIRE(world.turn_until([&] { return !lives(before); }));
    const auto took = ipc::monotonic_ms() - since;
    CHECK(took >= 200);
    CHECK(took < 1500);
    CHECK(world.report().kills == 1);
}

TEST_CASE("a task that was given up holds its member until that takes connections again", "[master][pool]") {
    World world([](conf::Pool& pool) { pool.size = 1; });
    world.start();
    const auto task = world.acquire();
    const pid_t pid = world.pid(0);
    auto socket = world.connect(task);
    REQUIRE(world.exchange(socket, 'p') == std::to_string(pid));
    REQUIRE(world.table().give_up(task, ipc::monotonic_ms()));
    REQUIRE(world.never(100, [&] { return world.state(0) != MemberState::doubtful; }));
    socket.reset();
    REQUIRE(world.turn_until([&] { return world.state(0) == MemberState::idle; }));
    CHECK(world.pid(0) == pid);
}

TEST_CASE("one that never is done with a task that was given up is ended", "[master][pool]") {
    World world([](conf::Pool& pool) {
        pool.size = 1;
        pool.timeout = 300ms;
    });
    world.start();
    const auto task = world.acquire();
    const pid_t before = world.pid(0);
    const auto socket = world.connect(task);
    REQUIRE(world.exchange(socket, 'p') == std::to_string(before));
    REQUIRE(world.table().give_up(task, ipc::monotonic_ms()));
    REQUIRE(world.turn_until([&] { return world.pid(0) != before && world.state(0) == MemberState::idle; }));
    CHECK_FALSE(lives(before));
}

TEST_CASE("tasks of a worker that is gone are given up", "[master][pool]") {
    World world;
    world.start();
    (void)world.acquire();
    REQUIRE(world.table().enter(0, World::row));
    world.pools->worker_gone(World::row);
    REQUIRE(world.turn_until([&] { return world.count(MemberState::idle) == 2; }));
    CHECK(world.table().waiting(0) == 0);
}

TEST_CASE("a pool grows while tasks wait, and shrinks when there is nothing to do", "[master][pool]") {
    World world([](conf::Pool& pool) {
        pool.size = 1;
        pool.size_max = 3;
        pool.size_min = 1;
        pool.idle_timeout = 300ms;
    });
    world.start();
    const auto first = world.acquire();
    for (int waiter = 0; waiter < 5; ++waiter) REQUIRE(world.table().enter(0, World::row));
    REQUIRE(world.turn_until([&] { return world.count(MemberState::idle) == 2; }));
    CHECK(world.pools->running() == 3);
    for (int waiter = 0; waiter < 5; ++waiter) world.table().leave(0, World::row);
    world.release(first);
    REQUIRE(world.turn_until([&] { return world.pools->running() == 1; }));
    CHECK(world.state(0) == MemberState::idle);
    CHECK(world.report().crashes == 0);
    CHECK(world.report().kills == 0);
}

TEST_CASE("a pool may begin with nobody", "[master][pool]") {
    World world([](conf::Pool& pool) {
        pool.size = 0;
        pool.size_min = 0;
        pool.size_max = 2;
    });
    world.start();
    CHECK(world.pools->running() == 0);
    REQUIRE(world.table().enter(0, World::row));
    REQUIRE(world.turn_until([&] { return world.count(MemberState::idle) == 1; }));
    world.table().leave(0, World::row);
}

TEST_CASE("after max_tasks a member is replaced by one that is ready before", "[master][pool]") {
    World world([](conf::Pool& pool) {
        pool.size = 1;
        pool.max_tasks = 5;
    });
    world.start();
    const pid_t before = world.pid(0);
    std::string last = std::to_string(before);
    for (int task = 0; task < 4; ++task) REQUIRE(world.ask('p') == last);  // a tenth less at most
    int asked = 4;
    REQUIRE(world.turn_until([&] {
        // there is always one
        const bool any = world.count(MemberState::idle) == 1 || world.count(MemberState::retiring) == 1;
        REQUIRE(any);
        if (world.count(MemberState::idle) == 1 && last == std::to_string(before)) {
            last = world.ask('p');
            ++asked;
        }
        return last != std::to_string(before);
    }));
    REQUIRE(world.turn_until([&] { return world.pools->running() == 1; }));
    CHECK(world.report().recycled == 1);
    CHECK(world.report().crashes == 0);
    CHECK_FALSE(lives(before));
}

TEST_CASE("a member that is replaced finishes its task first, and meanwhile there are not too many at work",
          "[master][pool]") {
    World world([](conf::Pool& pool) {
        pool.size = 1;
        pool.max_tasks = 1;
    });
    world.start();
    const auto task = world.acquire();
    const pid_t before = world.pid(0);
    const auto socket = world.connect(task);
    REQUIRE(world.exchange(socket, 'p') == std::to_string(before));
    REQUIRE(world.turn_until([&] { return world.pools->running() == 2; }));
    REQUIRE(world.never(300, [&] { return world.count(MemberState::idle) > 0; }));
    CHECK(world.exchange(socket, 'p') == std::to_string(before));
    world.release(task);
    REQUIRE(world.turn_until([&] { return world.count(MemberState::idle) == 1; }));
    CHECK(world.ask('p') != std::to_string(before));
}

TEST_CASE("a member that holds too much memory is replaced", "[master][pool]") {
    World world([](conf::Pool& pool) {
        pool.size = 1;
        const auto own = master::process_usage(::getpid());
        pool.max_memory = own->rss_bytes + (64ull << 20);
    });
    world.start();
    const pid_t before = world.pid(0);
    world.ask('m');
    REQUIRE(world.turn_until([&] { return world.report().recycled == 1; }));
    REQUIRE(world.turn_until([&] { return !lives(before); }));
}

TEST_CASE("when pools are stopped nothing is left of them", "[master][pool]") {
    World world;
    world.start();
    const auto task = world.acquire();
    const auto socket = world.connect(task);
    const auto grandchild = static_cast<pid_t>(std::stoi(world.exchange(socket, 'g')));
    const auto stubborn = world.acquire();
    const auto other = world.connect(stubborn);
    REQUIRE(::send(other.get(), "s", 1, MSG_NOSIGNAL) == 1);
    const std::array<pid_t, 3> all{world.pid(0), world.pid(1), grandchild};
    world.pools->stop(true);
    REQUIRE(world.turn_until([&] { return world.pools->running() == 0; }));
    for (const pid_t pid : all) CHECK(test::eventually([&] { return !lives(pid); }));
}

TEST_CASE("a program has the pool's variables, folder, limits and group, and nothing of ours",
          "[master][pool]") {
    test::Folder folder;
    const auto report = folder / "report";
    World world([&](conf::Pool& pool) {
        pool.run.kind = conf::PoolRun::Kind::fastcgi;
        pool.run.command = {"/bin/sh", "-c",
                            "{ env; pwd; ulimit -n; id -un; ls /proc/self/fd | tr '\\n' ' '; echo; } > " +
                                report + ".new; mv " + report + ".new " + report +
                                "; exec perl -e 'while (1) { accept(C, STDIN); close(C) }'"};
        pool.size = 1;
        pool.environment = {{"COLOUR", "dark blue"}, {"PHP_FCGI_MAX_REQUESTS", "7"}};
        pool.directory = "/usr";
        pool.user = "nobody";
        pool.rlimits = {{conf::ResourceLimit::What::files, 123}};
        if (::geteuid() == 0) REQUIRE(::chmod((folder / "").c_str(), 0777) == 0);
    });
    world.start();
    const auto text = [&] {
        std::ifstream file(report);
        return std::string(std::istreambuf_iterator<char>(file), {});
    }();
    CAPTURE(text);
    CHECK(text.find("COLOUR=dark blue\n") != std::string::npos);
    CHECK(text.find("PHP_FCGI_CHILDREN=0\n") != std::string::npos);
    CHECK(text.find("PHP_FCGI_MAX_REQUESTS=7\n") != std::string::npos);
    CHECK(text.find("PATH=/usr/local/sbin:") != std::string::npos);
    CHECK(text.find("HOME=") == std::string::npos);
    CHECK(text.find("\n/usr\n123\n") != std::string::npos);
    if (::geteuid() == 0) CHECK(text.find("\nnobody\n0 1 2 3") != std::string::npos);
    CHECK(text.find(" 4 ") == std::string::npos);
}
