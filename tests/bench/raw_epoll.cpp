// tests/bench/raw_epoll.cpp: the physical limit. One process, one epoll, prepared responses, no parsing.
//
//   raw_epoll PORT ROOT      serves /hello and ROOT's 1k.bin, 100k.bin, 10m.bin on 127.0.0.1:PORT until
//   killed
//
// It finds the end of a request head and its path, and knows `Connection: close`; everything else that makes
// a server is left out on purpose, so nothing that is a server can be expected to cost less.
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

constexpr std::size_t in_memory_bytes_max = 64 << 10;  // larger files go by sendfile
constexpr std::size_t read_bytes = 16 << 10;
constexpr std::size_t connections_max = 1 << 14;  // descriptors
constexpr int accepts_per_turn = 64;
constexpr int backlog = 4096;

/// What one path answers, prepared. `file` is -1 when the body follows the head in memory.
struct Resource {
    std::string path;
    std::string keep_alive;
    std::string close;
    int file = -1;
    off_t size = 0;
};

/// One connection, found by its descriptor. Its buffers keep what they have grown to.
struct Connection {
    std::string input;                  // the begin of a request whose end has not come
    std::string output;                 // what is prepared and not yet sent
    const Resource* sending = nullptr;  // the file that follows `output`
    off_t offset = 0;
    bool closing = false;          // no further request is answered
    bool watching_output = false;  // from the first full socket on
};

enum class Sent { all, blocked, failed };

class Responder {
 public:
    Responder(int listener, int poll, const std::vector<Resource>& resources)
        : listener_(listener), poll_(poll), resources_(resources), connections_(connections_max) {}

    [[noreturn]] void run() {
        std::array<epoll_event, 512> events;
        for (;;) {
            const int count = epoll_wait(poll_, events.data(), static_cast<int>(events.size()), -1);
            for (int i = 0; i < count; ++i) {
                const int fd = events[static_cast<std::size_t>(i)].data.fd;
                fd == listener_ ? accept_some() : serve(fd);
            }
        }
    }

 private:
    void accept_some() {
        for (int i = 0; i < accepts_per_turn; ++i) {
            const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd < 0) return;
            if (static_cast<std::size_t>(fd) >= connections_.size()) {
                close(fd);
                continue;
            }
            watch(fd, EPOLL_CTL_ADD, 0);
        }
    }

    void watch(int fd, int how, std::uint32_t more) {
        epoll_event event{};
        event.events = EPOLLIN | EPOLLRDHUP | EPOLLET | more;
        event.data.fd = fd;
        epoll_ctl(poll_, how, fd, &event);
    }

    /// Sends what is left, then reads and answers until the socket has no more.
    void serve(int fd) {
        Connection& connection = at(fd);
        std::array<char, read_bytes> buffer;
        for (;;) {
            if (!proceed(fd, connection)) return;
            const ssize_t got = recv(fd, buffer.data(), buffer.size(), 0);
            if (got < 0 && errno == EAGAIN) return;
            if (got <= 0) return drop(fd);
            const std::size_t size = static_cast<std::size_t>(got);
            if (connection.input.empty()) {
                const std::size_t used = answer(connection, std::string_view(buffer.data(), size));
                connection.input.assign(buffer.data() + used, size - used);
            } else {
                connection.input.append(buffer.data(), size);
                take_kept_input(connection);
            }
            if (!proceed(fd, connection)) return;
            if (size < buffer.size()) return;  // edge-triggered: a short read has emptied the socket
        }
    }

    void take_kept_input(Connection& connection) {
        const std::string kept = std::exchange(connection.input, {});
        connection.input = kept.substr(answer(connection, kept));
    }

    /// Answers whole requests up to one that needs a file or closes; returns the bytes it took.
    std::size_t answer(Connection& connection, std::string_view input) {
        std::size_t used = 0;
        while (!connection.sending && !connection.closing) {
            const std::size_t end = input.find("\r\n\r\n", used);
            if (end == input.npos) break;
            const std::string_view head = input.substr(used, end + 2 - used);
            used = end + 4;
            const Resource* resource = find(head);
            if (!resource) {
                connection.closing = true;
                break;
            }
            connection.closing = head.find("\r\nConnection: close\r\n") != head.npos;
            connection.output += connection.closing ? resource->close : resource->keep_alive;
            if (resource->file >= 0) connection.sending = resource;
        }
        return used;
    }

    const Resource* find(std::string_view head) const {
        constexpr std::string_view method = "GET ";
        if (!head.starts_with(method)) return nullptr;
        const std::string_view path =
            head.substr(method.size(), head.find(' ', method.size()) - method.size());
        for (const Resource& resource : resources_)
            if (resource.path == path) return &resource;
        return nullptr;
    }

    /// Sends, and answers what was kept behind a file. False when there is nothing to go on with now.
    bool proceed(int fd, Connection& connection) {
        for (;;) {
            const Sent sent = send_all(fd, connection);
            if (sent == Sent::failed || (sent == Sent::all && connection.closing)) {
                drop(fd);
                return false;
            }
            if (sent == Sent::blocked) {
                if (!std::exchange(connection.watching_output, true)) watch(fd, EPOLL_CTL_MOD, EPOLLOUT);
                return false;
            }
            if (connection.input.empty()) return true;
            take_kept_input(connection);
            if (connection.output.empty() && !connection.closing) return true;
        }
    }

    Sent send_all(int fd, Connection& connection) {
        if (!connection.output.empty()) {
            // MSG_MORE: the head leaves with the file's first bytes, and a last response with the FIN.
            const int flags = MSG_NOSIGNAL | (connection.sending || connection.closing ? MSG_MORE : 0);
            const ssize_t sent = send(fd, connection.output.data(), connection.output.size(), flags);
            if (sent < 0) return errno == EAGAIN ? Sent::blocked : Sent::failed;
            connection.output.erase(0, static_cast<std::size_t>(sent));
            if (!connection.output.empty()) return Sent::blocked;
        }
        while (connection.sending) {
            const Resource& resource = *connection.sending;
            const std::size_t left = static_cast<std::size_t>(resource.size - connection.offset);
            const ssize_t sent = sendfile(fd, resource.file, &connection.offset, left);
            if (sent < 0) return errno == EAGAIN ? Sent::blocked : Sent::failed;
            if (sent == 0) return Sent::failed;  // the file has shrunk
            if (connection.offset < resource.size) continue;
            connection.sending = nullptr;
            connection.offset = 0;
        }
        return Sent::all;
    }

    void drop(int fd) {
        close(fd);
        at(fd) = Connection{};
    }

    Connection& at(int fd) { return connections_[static_cast<std::size_t>(fd)]; }

    int listener_;
    int poll_;
    const std::vector<Resource>& resources_;
    std::vector<Connection> connections_;
};

std::string head(off_t size, std::string_view type, std::string_view connection) {
    std::string text =
        "HTTP/1.1 200 OK\r\nServer: raw\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: ";
    text.append(type).append("\r\nContent-Length: ").append(std::to_string(size));
    text.append("\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\nETag: \"6955b900-400\"\r\n");
    return text.append("Accept-Ranges: bytes\r\n").append(connection).append("\r\n");
}

Resource resource(std::string path, off_t size, std::string_view type, std::string_view body) {
    Resource made{std::move(path), head(size, type, ""), head(size, type, "Connection: close\r\n")};
    made.size = size;
    made.keep_alive += body;
    made.close += body;
    return made;
}

/// False when the file cannot be read; errno says why.
bool add_file(std::vector<Resource>& resources, const std::string& root, const std::string& path) {
    const int file = open((root + path).c_str(), O_RDONLY | O_CLOEXEC);
    struct stat status {};
    if (file < 0 || fstat(file, &status) < 0) return false;
    std::string body;
    if (static_cast<std::size_t>(status.st_size) <= in_memory_bytes_max) {
        body.resize(static_cast<std::size_t>(status.st_size));
        if (pread(file, body.data(), body.size(), 0) != status.st_size) return false;
    }
    resources.push_back(resource(path, status.st_size, "application/octet-stream", body));
    if (body.empty())
        resources.back().file = file;
    else
        close(file);
    return true;
}

int listen_on(std::uint16_t port) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const bool listening = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
                           setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 &&  // inherited
                           bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
                           listen(fd, backlog) == 0;
    return listening ? fd : -1;
}

}  // namespace

int main(int argc, char** argv) {
    std::uint16_t port = 0;
    if (argc != 3 || std::from_chars(argv[1], argv[1] + std::strlen(argv[1]), port).ec != std::errc{}) {
        std::fputs("usage: raw_epoll PORT ROOT\n", stderr);
        return 2;
    }
    std::signal(SIGPIPE, SIG_IGN);
    constexpr std::string_view hello = "Hello, World!";
    std::vector<Resource> resources;
    resources.push_back(resource("/hello", static_cast<off_t>(hello.size()), "text/plain", hello));
    for (const char* path : {"/1k.bin", "/100k.bin", "/10m.bin"})
        if (!add_file(resources, argv[2], path)) return std::perror(path), 1;

    const int listener = listen_on(port);
    const int poll = epoll_create1(EPOLL_CLOEXEC);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = listener;
    if (listener < 0 || poll < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event) < 0) {
        std::perror("listen");
        return 1;
    }
    Responder(listener, poll, resources).run();
}
