#include "tests/integration/origin.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "tests/integration/check.h"
#include "tests/integration/client.h"

namespace integration {
namespace {

constexpr int narrow_bytes = 16 * 1024;

ipc::UniqueFd listen_tcp(int backlog, std::string& address) {
    ipc::UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof any;
    auto* name = reinterpret_cast<sockaddr*>(&any);
    if (::bind(socket.get(), name, size) != 0 || ::listen(socket.get(), backlog) != 0 ||
        ::getsockname(socket.get(), name, &size) != 0)
        fail("no listener for an origin");
    address = "127.0.0.1:" + std::to_string(ntohs(any.sin_port));
    return socket;
}

ipc::UniqueFd listen_unix(const std::string& path) {
    ipc::UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) fail(path + " is too long for a socket");
    std::memcpy(address.sun_path, path.data(), path.size());
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::chmod(path.c_str(), 0777) != 0 || ::listen(socket.get(), 64) != 0)
        fail("no listener at " + path);
    return socket;
}

bool same_name(std::string_view line, std::string_view name) {
    return line.size() > name.size() && line[name.size()] == ':' &&
           std::equal(name.begin(), name.end(), line.begin(),
                      [](char a, char b) { return (a | 0x20) == (b | 0x20); });
}

}  // namespace

std::string Asked::target() const {
    const std::string first = line();
    const auto begin = first.find(' ') + 1;
    return first.substr(begin, first.rfind(' ') - begin);
}

std::string Asked::field(std::string_view name) const { return Response{0, head, {}}.field(name); }

bool Asked::has(std::string_view name) const { return count(name) > 0; }

std::size_t Asked::count(std::string_view name) const {
    std::size_t found = 0;
    for (std::size_t at = 0; at < head.size(); at = head.find("\r\n", at) + 2)
        found += same_name(std::string_view(head).substr(at), name) ? 1 : 0;
    return found;
}

Origin::Origin(Script script, Calls calls) : script_(std::move(script)), calls_(calls) {
    listener_ = listen_tcp(SOMAXCONN, address_);
    acceptor_ = std::thread([this] { serve(); });
}

Origin::Origin(const std::string& path, Script script)
    : script_(std::move(script)),
      calls_(Calls::whole),
      address_("unix:" + path),
      listener_(listen_unix(path)) {
    acceptor_ = std::thread([this] { serve(); });
}

Origin::~Origin() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        for (const int socket : sockets_) ::shutdown(socket, SHUT_RDWR);
    }
    changed_.notify_all();
    ::shutdown(listener_.get(), SHUT_RDWR);  // wakes accept
    acceptor_.join();
    for (std::thread& thread : threads_) thread.join();
}

void Origin::serve() {
    for (;;) {
        const int socket = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
        if (socket < 0 && (errno == EINTR || errno == ECONNABORTED)) continue;
        if (socket < 0) return;
        const int on = 1;
        ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // pieces go as they are sent
        const std::lock_guard lock(mutex_);
        sockets_.push_back(socket);
        if (stopping_) ::shutdown(socket, SHUT_RDWR);
        ++open_;
        const int number = static_cast<int>(++accepted_);
        threads_.emplace_back([this, socket, number] { talk(socket, number); });
    }
}

void Origin::talk(int socket, int number) {
    Talk talk(*this, socket);
    for (int turn = 1; talk.socket_; ++turn) {
        Asked asked;
        asked.connection = number;
        asked.turn = turn;
        if (!talk.receive_head(asked)) break;
        if (calls_ == Calls::whole) talk.receive_body(asked);
        {
            const std::lock_guard lock(mutex_);
            asked_.push_back(asked);
        }
        changed_.notify_all();
        script_(asked, talk);
    }
    talk.close();
    --open_;
}

std::vector<Asked> Origin::asked() const {
    const std::lock_guard lock(mutex_);
    return asked_;
}

Asked Origin::await(std::size_t count) const {
    eventually("the origin is asked", [&] { return asked().size() >= count; });
    return asked()[count - 1];
}

void Origin::go() {
    {
        const std::lock_guard lock(mutex_);
        ++permits_;
    }
    changed_.notify_all();
}

bool Origin::Talk::send(std::string_view bytes) {
    while (!bytes.empty()) {
        const auto sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
}

bool Origin::Talk::fill() {
    char bytes[65536];
    ssize_t got = 0;
    do {
        got = ::recv(socket_.get(), bytes, sizeof bytes, 0);
    } while (got < 0 && errno == EINTR);
    if (got > 0) input_.append(bytes, static_cast<std::size_t>(got));
    return got > 0;
}

std::string Origin::Talk::receive(std::size_t most) {
    if (input_.empty() && !fill()) return {};
    std::string taken = input_.substr(0, most);
    input_.erase(0, taken.size());
    return taken;
}

bool Origin::Talk::receive_head(Asked& asked) {
    std::size_t end = 0;
    while ((end = input_.find("\r\n\r\n")) == std::string::npos)
        if (!fill()) return false;
    asked.head = input_.substr(0, end + 2);
    input_.erase(0, end + 4);
    return true;
}

/// With its CR LF.
bool Origin::Talk::receive_line(std::string& into) {
    std::size_t end = 0;
    while ((end = input_.find("\r\n")) == std::string::npos)
        if (!fill()) return false;
    into = input_.substr(0, end + 2);
    input_.erase(0, end + 2);
    return true;
}

void Origin::Talk::receive_body(Asked& asked) {
    const auto take = [&](std::size_t size, std::string& into) {
        while (input_.size() < size)
            if (!fill()) return false;
        into = input_.substr(0, size);
        input_.erase(0, size);
        return true;
    };
    if (asked.has("Content-Length")) {
        asked.whole = take(std::stoull(asked.field("Content-Length")), asked.body);
        asked.payload = asked.body;
        return;
    }
    if (!asked.has("Transfer-Encoding")) {
        asked.whole = true;
        return;
    }
    for (std::string line, piece; receive_line(line);) {
        asked.body += line;
        const std::size_t size = std::strtoull(line.c_str(), nullptr, 16);
        if (size == 0) {
            while (line != "\r\n" && receive_line(line)) asked.body += line;
            asked.whole = line == "\r\n";
            return;
        }
        if (!take(size + 2, piece)) return;
        asked.body += piece;
        asked.payload += piece.substr(0, size);
    }
}

void Origin::Talk::await_end() {
    while (fill()) input_.clear();
}

bool Origin::Talk::wait() {
    std::unique_lock lock(origin_.mutex_);
    origin_.changed_.wait(lock, [this] { return origin_.permits_ > 0 || origin_.stopping_; });
    if (origin_.stopping_) return false;
    --origin_.permits_;
    return true;
}

void Origin::Talk::close() {
    const std::lock_guard lock(origin_.mutex_);
    std::erase(origin_.sockets_, socket_.get());
    socket_.reset();
}

void Origin::Talk::reset() {
    const linger at_once{1, 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close();
}

void Origin::narrow() {
    ::setsockopt(listener_.get(), SOL_SOCKET, SO_RCVBUF, &narrow_bytes, sizeof narrow_bytes);
}

std::string answer(const std::string& body, const std::string& lines, int status) {
    return "HTTP/1.1 " + std::to_string(status) + " Said\r\n" + lines +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

Origin::Script always(std::string bytes) {
    return [bytes = std::move(bytes)](const Asked&, Origin::Talk& talk) { talk.send(bytes); };
}

Origin::Script by_target(std::map<std::string, std::string> answers) {
    return [answers = std::move(answers)](const Asked& asked, Origin::Talk& talk) {
        constexpr std::string_view close = "CLOSE";
        const auto found = answers.find(asked.target());
        std::string bytes = found != answers.end() ? found->second : answer("", "", 404);
        const bool closes = bytes.ends_with(close);
        if (closes) bytes.resize(bytes.size() - close.size());
        talk.send(bytes);
        if (closes) talk.close();
    };
}

Origin::Script leaving(std::string said, bool with_reset) {
    return [said = std::move(said), with_reset](const Asked&, Origin::Talk& talk) {
        talk.send(said);
        with_reset ? talk.reset() : talk.close();
    };
}

Origin::Script silent() {
    return [](const Asked&, Origin::Talk& talk) { talk.await_end(); };
}

DeafListener::DeafListener() : listener_(listen_tcp(0, address_)) {
    const auto full = [this] {
        tcp_info info{};
        socklen_t size = sizeof info;
        ::getsockopt(listener_.get(), IPPROTO_TCP, TCP_INFO, &info, &size);
        return info.tcpi_unacked > info.tcpi_sacked;  // of a listener: what waits, and the backlog
    };
    sockaddr_in own{};
    socklen_t size = sizeof own;
    auto* name = reinterpret_cast<sockaddr*>(&own);
    ::getsockname(listener_.get(), name, &size);
    eventually("the backlog is full", [&] {
        if (full()) return true;
        auto& client =
            waiting_.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        (void)::connect(client.get(), name, size);
        return full();
    });
}

}  // namespace integration
