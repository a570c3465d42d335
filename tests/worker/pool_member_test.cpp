// tests/worker/pool_member_test.cpp: our own FastCGI loop and the CGI programs it runs, asked record by
// record.
#include "worker/pool/member.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "ipc/clock.h"
#include "tests/conf/temporary_folder.h"
#include "worker/http/fastcgi.h"

namespace {

using namespace std::chrono_literals;
using namespace worker::http::fastcgi;
using Params = std::vector<std::pair<std::string, std::string>>;

struct Answer {
    std::string out, error;
    std::optional<EndRequest> end;
    bool closed = false;
};

bool lives(pid_t pid) {
    std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
    std::string text;
    std::getline(stat, text);
    const auto at = text.rfind(')');
    return at != std::string::npos && text.at(at + 2) != 'Z';
}

template <class Condition>
bool eventually(const Condition& condition) {
    const auto end = ipc::monotonic_ms() + 10'000;
    while (!condition()) {
        if (ipc::monotonic_ms() > end) return false;
        std::this_thread::sleep_for(2ms);
    }
    return true;
}

std::string request(const Params& params, std::uint16_t id = 1, bool keep = false) {
    std::string out, content;
    append_begin_request(out, id, {.role = Role::responder, .keep_connection = keep});
    for (const auto& [name, value] : params) append_param(content, name, value);
    append_stream(out, Type::params, id, content);
    append_end_of_stream(out, Type::params, id);
    return out;
}

std::string body_of(std::string_view body, std::uint16_t id = 1) {
    std::string out;
    append_stream(out, Type::standard_in, id, body);
    append_end_of_stream(out, Type::standard_in, id);
    return out;
}

/// A member that runs a shell script for each request, in a process of its own.
class Member {
 public:
    explicit Member(const std::string& script, const std::function<void(conf::Pool&)>& change = {}) {
        auto& pool = config_.pools.emplace_back();
        pool.name = "work";
        pool.run.kind = conf::PoolRun::Kind::cgi;
        pool.run.command = {"/bin/sh", "-c", script};
        pool.kill_grace = 200ms;
        if (change) change(pool);
        ipc::UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un any{};
        any.sun_family = AF_UNIX;  // the kernel finds a name
        REQUIRE(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any.sun_family) == 0);
        REQUIRE(::listen(listener.get(), 8) == 0);
        REQUIRE(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address_), &address_size_) == 0);
        pid_ = ::fork();
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            ipc::PoolSeat seat;
            seat.listener = std::move(listener);
            seat.pool = "work";
            ::_exit(worker::pool::serve(config_, std::move(seat)));
        }
    }
    Member(const Member&) = delete;
    Member& operator=(const Member&) = delete;
    ~Member() {
        if (pid_ > 0) (void)end();
    }

    [[nodiscard]] ipc::UniqueFd connect() const {
        ipc::UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        REQUIRE(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address_), address_size_) == 0);
        return socket;
    }
    [[nodiscard]] Answer ask(const Params& params, std::string_view body = {}) const {
        const auto socket = connect();
        return talk(socket, request(params) + body_of(body));
    }
    /// Sends all of it, while it listens, until a request ends or the other side closes.
    static Answer talk(const ipc::UniqueFd& socket, std::string_view all) {
        Answer answer;
        RecordReader reader;
        std::array<char, 65'536> bytes;
        while (!answer.end && !answer.closed) {
            pollfd waiting{socket.get(), static_cast<short>(all.empty() ? POLLIN : POLLIN | POLLOUT), 0};
            REQUIRE(::poll(&waiting, 1, 10'000) == 1);
            if ((waiting.revents & POLLOUT) != 0 && !all.empty()) {
                const auto sent = ::send(socket.get(), all.data(), all.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
                if (sent > 0) all.remove_prefix(static_cast<std::size_t>(sent));
                if (sent < 0 && errno == EPIPE) all = {};
            }
            if ((waiting.revents & (POLLIN | POLLHUP)) == 0) continue;
            const auto got = ::recv(socket.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
            if (got == 0 || (got < 0 && errno != EAGAIN)) answer.closed = true;
            if (got <= 0) continue;
            std::string_view some(bytes.data(), static_cast<std::size_t>(got));
            while (reader.next(some) == RecordReader::Found::piece) {
                const auto& piece = reader.piece();
                if (piece.type == Type::standard_out) answer.out += piece.content;
                if (piece.type == Type::standard_error) answer.error += piece.content;
                if (piece.type == Type::end_request) answer.end = read_end_request(piece.content);
                if (piece.type == Type::get_values_result) {
                    answer.out = piece.content;
                    return answer;
                }
            }
        }
        return answer;
    }
    /// TERM; its exit status.
    int end() {
        ::kill(pid_, SIGTERM);
        int status = -1;
        REQUIRE(::waitpid(pid_, &status, 0) == pid_);
        pid_ = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }

 private:
    conf::Config config_;
    sockaddr_un address_{};
    socklen_t address_size_ = sizeof address_;
    pid_t pid_ = -1;
};

}  // namespace

TEST_CASE("a program has the request as its environment and its input, and what it prints is the answer",
          "[pool][cgi]") {
    const Member member("echo \"$REQUEST_METHOD $QUERY_STRING\"; cat; exit 3");
    const auto answer = member.ask({{"REQUEST_METHOD", "POST"}, {"QUERY_STRING", "a=b c"}}, "the body");
    CHECK(answer.out == "POST a=b c\nthe body");
    REQUIRE(answer.end);
    CHECK(answer.end->app_status == 3);
    CHECK(answer.end->protocol_status == ProtocolStatus::complete);
}

TEST_CASE("a program is run anew for each request", "[pool][cgi]") {
    const Member member("echo $$");
    const auto first = member.ask({}), second = member.ask({});
    CHECK_FALSE(first.out.empty());
    CHECK(first.out != second.out);
}

TEST_CASE("what a program complains of goes aside", "[pool][cgi]") {
    const Member member("echo oh dear >&2; echo out");
    const auto answer = member.ask({});
    CHECK(answer.out == "out\n");
    CHECK(answer.error == "oh dear\n");
}

TEST_CASE("large bodies flow both ways at once", "[pool][cgi]") {
    const Member member("cat");
    std::string body;
    while (body.size() < (3u << 20)) body += std::to_string(body.size()) + " ";
    const auto answer = member.ask({}, body);
    CHECK(answer.out == body);
}

TEST_CASE("a program need not read its body", "[pool][cgi]") {
    const Member member("echo done");
    const auto answer = member.ask({}, std::string(1u << 20, 'x'));
    CHECK(answer.out == "done\n");
    CHECK(answer.end);
}

TEST_CASE("the environment is the request's and the pool's, and nothing of ours", "[pool][cgi]") {
    ::setenv("SECRET_OF_OURS", "1", 1);
    const Member member("env; pwd; ulimit -n; ls /proc/self/fd | tr '\\n' ' '", [](conf::Pool& pool) {
        pool.environment = {{"COLOUR", "blue"}};
        pool.rlimits = {{conf::ResourceLimit::What::files, 77}};
    });
    const auto answer = member.ask({{"SERVER_NAME", "here"},
                                    {"HTTP_PROXY", "http://evil"},
                                    {"PATH", "/evil"},
                                    {"COLOUR", "red"},
                                    {"A=B", "c"},
                                    {"ZERO", std::string("a\0b", 3)}});
    CAPTURE(answer.out);
    CHECK(answer.out.find("SERVER_NAME=here\n") != std::string::npos);
    CHECK(answer.out.find("COLOUR=blue\n") != std::string::npos);
    CHECK(answer.out.find("/bin\n77\n0 1 2 3 ") != std::string::npos);
    for (const char* not_there : {"PROXY", "evil", "red", "A=B", "ZERO", "SECRET", " 4 "})
        CHECK(answer.out.find(not_there) == std::string::npos);
}

TEST_CASE("a program that cannot be run is a complaint and a status", "[pool][cgi]") {
    const Member member("", [](conf::Pool& pool) { pool.run.command = {"/no/such/program"}; });
    const auto answer = member.ask({});
    CHECK(answer.out.empty());
    CHECK(answer.error.find("reeve: /no/such: No such file") != std::string::npos);
    REQUIRE(answer.end);
    CHECK(answer.end->app_status == 126);
}

TEST_CASE("of a program that a signal ends there is no whole answer", "[pool][cgi]") {
    const Member member("test -n \"$QUICK\" && exit 0; echo before; kill -9 $$");
    const auto answer = member.ask({});
    CHECK(answer.out == "before\n");
    CHECK(answer.error == "reeve: the program was ended by signal 9\n");
    CHECK(answer.closed);
    CHECK_FALSE(answer.end);
    CHECK(member.ask({{"QUICK", "1"}}).end);
}

TEST_CASE("when whoever asked leaves, the program and all it started are ended", "[pool][cgi]") {
    const TemporaryFolder folder;
    const auto file = folder.path("pids");
    const Member member("test -n \"$QUICK\" && exit 0; sleep 1000 & echo $$ $! > " + file + ".new; mv " +
                        file + ".new " + file + "; wait");
    auto socket = member.connect();
    const auto asked = request({}) + body_of("");
    REQUIRE(::send(socket.get(), asked.data(), asked.size(), MSG_NOSIGNAL) > 0);
    REQUIRE(eventually([&] { return ::access(file.c_str(), R_OK) == 0; }));
    pid_t program = 0, child = 0;
    std::ifstream(file) >> program >> child;
    CHECK((lives(program) && lives(child)));
    socket.reset();
    CHECK(eventually([&] { return !lives(program) && !lives(child); }));
    CHECK(member.ask({{"QUICK", "1"}}).end);
}

TEST_CASE("the same while its body is still coming", "[pool][cgi]") {
    const TemporaryFolder folder;
    const auto file = folder.path("pid");
    const Member member("echo $$ > " + file + ".new; mv " + file + ".new " + file + "; sleep 1000");
    auto socket = member.connect();
    const auto asked = request({});
    REQUIRE(::send(socket.get(), asked.data(), asked.size(), MSG_NOSIGNAL) > 0);
    REQUIRE(eventually([&] { return ::access(file.c_str(), R_OK) == 0; }));
    pid_t program = 0;
    std::ifstream(file) >> program;
    socket.reset();
    CHECK(eventually([&] { return !lives(program); }));
}

TEST_CASE("a program to which TERM means nothing is killed after kill_grace", "[pool][cgi]") {
    const TemporaryFolder folder;
    const auto file = folder.path("pid");
    const Member member("trap '' TERM; echo $$ > " + file + ".new; mv " + file + ".new " + file +
                        "; while :; do sleep 1; done");
    auto socket = member.connect();
    const auto asked = request({}) + body_of("");
    REQUIRE(::send(socket.get(), asked.data(), asked.size(), MSG_NOSIGNAL) > 0);
    REQUIRE(eventually([&] { return ::access(file.c_str(), R_OK) == 0; }));
    pid_t program = 0;
    std::ifstream(file) >> program;
    const auto since = ipc::monotonic_ms();
    socket.reset();
    REQUIRE(eventually([&] { return !lives(program); }));
    CHECK(ipc::monotonic_ms() - since >= 150);
}

TEST_CASE("a member that is told to leave takes its program with it", "[pool][cgi]") {
    const TemporaryFolder folder;
    const auto file = folder.path("pid");
    Member member("echo $$ > " + file + ".new; mv " + file + ".new " + file + "; exec sleep 1000");
    const auto socket = member.connect();
    const auto asked = request({}) + body_of("");
    REQUIRE(::send(socket.get(), asked.data(), asked.size(), MSG_NOSIGNAL) > 0);
    REQUIRE(eventually([&] { return ::access(file.c_str(), R_OK) == 0; }));
    pid_t program = 0;
    std::ifstream(file) >> program;
    CHECK(member.end() == 0);
    CHECK(eventually([&] { return !lives(program); }));
}

TEST_CASE("what a program leaves in the background neither holds its answer nor stays", "[pool][cgi]") {
    const Member member("sleep 1000 & echo $!");
    const auto since = ipc::monotonic_ms();
    const auto answer = member.ask({});
    CHECK(ipc::monotonic_ms() - since < 5000);
    REQUIRE(answer.end);
    const pid_t left = static_cast<pid_t>(std::stoi(answer.out));
    CHECK(eventually([&] { return !lives(left); }));
}

TEST_CASE("a connection is kept when that is asked for", "[pool][cgi]") {
    const Member member("cat; echo $N");
    const auto socket = member.connect();
    CHECK(Member::talk(socket, request({{"N", "1"}}, 1, true) + body_of("a")).out == "a1\n");
    const auto last = Member::talk(socket, request({{"N", "2"}}, 7) + body_of("b", 7));
    CHECK(last.out == "b2\n");
    char none = 0;
    CHECK(::recv(socket.get(), &none, 1, 0) == 0);
}

TEST_CASE("a member that works takes the time it is told, and says so", "[pool][work]") {
    const Member member("", [](conf::Pool& pool) { pool.run = {conf::PoolRun::Kind::work, {}}; });
    const auto begun = ipc::monotonic_ms();
    const auto answer = member.ask({{"REEVE_WORK", "cpu=20ms wait=30ms"}});
    CHECK(ipc::monotonic_ms() - begun >= 50);
    CHECK(answer.out.ends_with("Content-Length: 26\r\n\r\nworked cpu=20ms wait=30ms\n"));
    REQUIRE(answer.end);
    CHECK(answer.end->app_status == 0);
    CHECK(member.ask({}).out.ends_with("worked none\n"));
    CHECK(member.ask({{"REEVE_WORK", "wait=1ms"}, {"REEVE_WORK_QUERY", "wait=2ms"}})
              .out.ends_with("worked wait=2ms\n"));
    const auto refused = member.ask({{"REEVE_WORK", "sing"}});
    CHECK(refused.out == "Status: 500\r\nContent-Length: 0\r\n\r\n");
    CHECK(refused.error.starts_with("reeve: REEVE_WORK: unknown option"));
    CHECK(member.ask({}, std::string(200'000, 'x')).out.ends_with("worked none\n"));
}

TEST_CASE("a request that is aborted is ended all the same, and its program with it", "[pool][cgi]") {
    const Member member("sleep 1000");
    const auto socket = member.connect();
    std::string all = request({{"A", "b"}}) + body_of("");
    append_header(all, Type::abort_request, 1, 0);
    const auto answer = Member::talk(socket, all);
    REQUIRE(answer.end);
    CHECK(answer.end->protocol_status == ProtocolStatus::complete);
    CHECK(answer.out.empty());
}

TEST_CASE("what we are asked about ourselves, and what we do not do", "[pool][cgi]") {
    const Member member("echo x");
    std::string asked, values;
    append_param(values, "FCGI_MPXS_CONNS", "");
    append_param(values, "FCGI_MAX_CONNS", "");
    append_param(values, "FCGI_COLOUR", "");
    append_record(asked, Type::get_values, management, values);
    auto told = Member::talk(member.connect(), asked).out;
    std::string expected;
    append_param(expected, "FCGI_MPXS_CONNS", "0");
    append_param(expected, "FCGI_MAX_CONNS", "1");
    CHECK(told == expected);

    std::string filter;
    append_begin_request(filter, 1, {.role = Role::filter, .keep_connection = false});
    const auto refused = Member::talk(member.connect(), filter);
    REQUIRE(refused.end);
    CHECK(refused.end->protocol_status == ProtocolStatus::unknown_role);

    std::string second;
    append_begin_request(second, 1, {});
    append_begin_request(second, 2, {});
    const auto multiplexed = Member::talk(member.connect(), second);
    REQUIRE(multiplexed.end);
    CHECK(multiplexed.end->protocol_status == ProtocolStatus::cannot_multiplex);
}

TEST_CASE("bytes that are no FastCGI, and connections that carry nothing, cost only themselves",
          "[pool][cgi]") {
    const Member member("echo fine");
    CHECK(Member::talk(member.connect(), "GET / HTTP/1.1\r\n\r\n").closed);
    for (int none = 0; none < 5; ++none) (void)member.connect();
    std::string bad;
    append_begin_request(bad, 1, {});
    append_record(bad, Type::params, 1, "\x7f");
    append_end_of_stream(bad, Type::params, 1);
    CHECK(Member::talk(member.connect(), bad).closed);
    CHECK(member.ask({}).out == "fine\n");
}
