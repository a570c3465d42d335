// tests/bench/enqueue.cpp: puts jobs as fast as the other side confirms them, and tells what came of it:
//   enqueue http PORT CONNECTIONS SECONDS PATH    by HTTP, one at a time on each connection
//   enqueue beanstalk PORT CONNECTIONS SECONDS    into beanstalkd, likewise
//   enqueue sqlite FILE JOBS_A_COMMIT SECONDS     into a table of its own, without any server
// One line of JSON: jobs, seconds, refused, p50_ms, p99_ms, least and most of a connection.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sqlite3.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr std::size_t body_bytes = 512;
constexpr int stall_ms = 10'000;  ///< nobody answers any more

double now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct Told {
    std::vector<double> seconds;  ///< of each that was confirmed
    std::size_t refused = 0, least = 0, most = 0;
    double took = 0;

    void print() {
        std::sort(seconds.begin(), seconds.end());
        const auto ms = [&](double share) {
            const auto at = static_cast<std::size_t>(share * static_cast<double>(seconds.size()));
            return seconds.empty() ? 0.0 : seconds[std::min(at, seconds.size() - 1)] * 1e3;
        };
        std::printf(
            "{\"jobs\": %zu, \"seconds\": %.3f, \"refused\": %zu, \"p50_ms\": %.3f, \"p99_ms\": %.3f, "
            "\"least\": %zu, \"most\": %zu}\n",
            seconds.size(), took, refused, ms(0.5), ms(0.99), least, most);
    }
};

/// What a server is told, and how its answers look.
struct Protocol {
    std::string request;
    /// Bytes of the first answer in there; 0: it is not whole yet.
    std::size_t (*answer_size)(std::string_view bytes);
    bool (*confirms)(std::string_view answer);
    bool (*closes)(std::string_view answer);  ///< the server, after this answer
};

std::size_t http_answer_size(std::string_view bytes) {
    const auto head = bytes.find("\r\n\r\n");
    if (head == std::string_view::npos) return 0;
    constexpr std::string_view name = "\r\nContent-Length: ";
    const auto length = bytes.substr(0, head).find(name);
    const std::size_t body =
        length == std::string_view::npos
            ? 0
            : std::strtoul(std::string(bytes.substr(length + name.size(), 20)).c_str(), nullptr, 10);
    const auto whole = head + 4 + body;
    return bytes.size() < whole ? 0 : whole;
}

Protocol http(const std::string& path) {
    const std::string body(body_bytes, 'x');
    return {"POST " + path + " HTTP/1.1\r\nHost: bench\r\nContent-Type: text/plain\r\nContent-Length: " +
                std::to_string(body.size()) + "\r\n\r\n" + body,
            http_answer_size, [](std::string_view answer) { return answer.starts_with("HTTP/1.1 202 "); },
            [](std::string_view answer) {
                return answer.find("\r\nConnection: close\r\n") != std::string_view::npos;
            }};
}

Protocol beanstalk() {
    const std::string body(body_bytes, 'x');
    return {"put 0 0 60 " + std::to_string(body.size()) + "\r\n" + body + "\r\n",
            [](std::string_view bytes) {
                const auto end = bytes.find("\r\n");
                return end == std::string_view::npos ? 0 : end + 2;
            },
            [](std::string_view answer) { return answer.starts_with("INSERTED "); },
            [](std::string_view) { return false; }};
}

class Connections {
 public:
    Connections(const Protocol& protocol, std::uint16_t port, std::size_t count)
        : protocol_(protocol), port_(port), all_(count), poll_(::epoll_create1(EPOLL_CLOEXEC)) {}

    Told run(double seconds) {
        const auto begun = now();
        for (std::size_t at = 0; at < all_.size(); ++at) open(at);
        std::vector<epoll_event> events(all_.size());
        for (std::size_t left = all_.size(); left > 0;) {
            const int found = ::epoll_wait(poll_, events.data(), static_cast<int>(events.size()), stall_ms);
            if (found <= 0) throw std::runtime_error("nobody answers");
            for (int i = 0; i < found; ++i) {
                const auto at = events[static_cast<std::size_t>(i)].data.u64;
                if (!receive(all_[at])) continue;
                if (now() - begun >= seconds) {
                    ::close(all_[at].fd);
                    --left;
                } else if (all_[at].closes) {
                    ::close(all_[at].fd);
                    open(at);
                } else {
                    send(all_[at]);
                }
            }
        }
        told_.took = now() - begun;
        const auto [least, most] = std::minmax_element(
            all_.begin(), all_.end(), [](const One& a, const One& b) { return a.confirmed < b.confirmed; });
        told_.least = least->confirmed;
        told_.most = most->confirmed;
        return std::move(told_);
    }

 private:
    struct One {
        int fd = -1;
        std::string in;
        double sent = 0;
        std::size_t confirmed = 0;
        bool closes = false;
    };

    void open(std::size_t at) {
        auto& one = all_[at];
        one.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const int on = 1;
        ::setsockopt(one.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port_);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (::connect(one.fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
            throw std::runtime_error("cannot connect");
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.u64 = at;
        ::epoll_ctl(poll_, EPOLL_CTL_ADD, one.fd, &event);
        send(one);
    }
    void send(One& one) {
        one.sent = now();
        const auto& request = protocol_.request;
        if (::send(one.fd, request.data(), request.size(), MSG_NOSIGNAL) !=
            static_cast<ssize_t>(request.size()))
            throw std::runtime_error("a request is not taken whole");
    }
    /// True: the answer is there.
    bool receive(One& one) {
        char bytes[16 * 1024];
        const auto got = ::recv(one.fd, bytes, sizeof bytes, 0);
        if (got <= 0) throw std::runtime_error("a connection ended before its answer");
        one.in.append(bytes, static_cast<std::size_t>(got));
        const auto size = protocol_.answer_size(one.in);
        if (size == 0) return false;
        const auto answer = std::string_view(one.in).substr(0, size);
        if (protocol_.confirms(answer)) {
            told_.seconds.push_back(now() - one.sent);
            ++one.confirmed;
        } else {
            ++told_.refused;
        }
        one.closes = protocol_.closes(answer);
        one.in.erase(0, size);
        return true;
    }

    const Protocol protocol_;
    std::uint16_t port_;
    std::vector<One> all_;
    int poll_;
    Told told_;
};

void run(sqlite3* db, const char* sql) {
    if (sqlite3_exec(db, sql, nullptr, nullptr, nullptr) != SQLITE_OK)
        throw std::runtime_error(sqlite3_errmsg(db));
}

/// What the disk gives at most: a table and an index, as little as a queue can have.
Told sqlite(const char* file, long jobs_a_commit, double seconds) {
    sqlite3* db = nullptr;
    if (sqlite3_open(file, &db) != SQLITE_OK) throw std::runtime_error(sqlite3_errmsg(db));
    run(db, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    run(db,
        "CREATE TABLE jobs (seq INTEGER PRIMARY KEY, id TEXT UNIQUE, queue INTEGER, state INTEGER, "
        "run_at INTEGER, body BLOB); CREATE INDEX ready ON jobs (queue, run_at) WHERE state = 1");
    sqlite3_stmt* insert = nullptr;
    const char* const sql = "INSERT INTO jobs (id, queue, state, run_at, body) VALUES (?1, 1, 1, ?2, ?3)";
    if (sqlite3_prepare_v2(db, sql, -1, &insert, nullptr) != SQLITE_OK)
        throw std::runtime_error(sqlite3_errmsg(db));
    const std::string body(body_bytes, 'x');
    Told told;
    const auto begun = now();
    while (now() - begun < seconds) {
        const auto asked = now();
        run(db, "BEGIN IMMEDIATE");
        for (long i = 0; i < jobs_a_commit; ++i) {
            const auto number = static_cast<long>(told.seconds.size()) + i;
            const auto id = "0198c5a4-0000-7000-8000-" + std::to_string(number);
            sqlite3_bind_text(insert, 1, id.data(), static_cast<int>(id.size()), SQLITE_TRANSIENT);
            sqlite3_bind_int64(insert, 2, number);
            sqlite3_bind_blob(insert, 3, body.data(), static_cast<int>(body.size()), SQLITE_STATIC);
            if (sqlite3_step(insert) != SQLITE_DONE) throw std::runtime_error(sqlite3_errmsg(db));
            sqlite3_reset(insert);
        }
        run(db, "COMMIT");
        told.seconds.insert(told.seconds.end(), static_cast<std::size_t>(jobs_a_commit), now() - asked);
    }
    told.took = now() - begun;
    told.least = told.most = told.seconds.size();
    sqlite3_finalize(insert);
    sqlite3_close(db);
    return told;
}

}  // namespace

int main(int argc, char** argv) try {
    const std::vector<std::string> given(argv + 1, argv + argc);
    if (given.size() < 4 || (given[0] == "http") != (given.size() == 5)) {
        std::fprintf(stderr, "usage: enqueue http|beanstalk|sqlite ...\n");
        return 2;
    }
    const auto count = std::strtol(given[2].c_str(), nullptr, 10);
    const auto seconds = std::strtod(given[3].c_str(), nullptr);
    if (given[0] == "sqlite") {
        sqlite(given[1].c_str(), count, seconds).print();
        return 0;
    }
    const auto port = static_cast<std::uint16_t>(std::strtoul(given[1].c_str(), nullptr, 10));
    Connections connections(given[0] == "http" ? http(given[4]) : beanstalk(), port,
                            static_cast<std::size_t>(count));
    connections.run(seconds).print();
    return 0;
} catch (const std::exception& failure) {
    std::fprintf(stderr, "enqueue: %s\n", failure.what());
    return 1;
}
