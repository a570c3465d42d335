// tests/integration/origin.h: a scripted server, to stand behind the proxy under test.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "ipc/unique_fd.h"

namespace integration {

/// A request, byte by byte as it came.
struct Asked {
    std::string head;     ///< request line and header lines, each with its CR LF
    std::string body;     ///< with its framing
    std::string payload;  ///< without
    int connection = 0;   ///< the first is 1
    int turn = 0;         ///< on that connection, likewise
    bool whole = false;   ///< false: the connection ended inside it

    [[nodiscard]] std::string line() const { return head.substr(0, head.find("\r\n")); }
    [[nodiscard]] std::string target() const;
    /// The value of the first such line; empty when there is none.
    [[nodiscard]] std::string field(std::string_view name) const;
    [[nodiscard]] bool has(std::string_view name) const;
    /// How many lines have the name.
    [[nodiscard]] std::size_t count(std::string_view name) const;
};

/// When a script is called: with the whole request, or with its head, to take the body itself.
enum class Calls : bool { whole, head };

/// Listens on a free port of 127.0.0.1, or on a Unix socket. Each connection has a thread, in which the
/// script is called for each request: it must not check anything. What is public here is for the test's
/// thread.
class Origin {
 public:
    class Talk;
    using Script = std::function<void(const Asked&, Talk&)>;

    explicit Origin(Script script, Calls calls = Calls::whole);
    /// On a Unix socket that everybody may use.
    Origin(const std::string& path, Script script);
    Origin(const Origin&) = delete;
    Origin& operator=(const Origin&) = delete;
    /// Ends all connections.
    ~Origin();

    /// "127.0.0.1:9000", "unix:/run/x".
    [[nodiscard]] const std::string& address() const noexcept { return address_; }
    [[nodiscard]] std::vector<Asked> asked() const;
    /// Waits until so many requests have come; the last of them.
    [[nodiscard]] Asked await(std::size_t count = 1) const;
    /// Connections ever accepted, and those that neither side has ended.
    [[nodiscard]] std::size_t accepted() const noexcept { return accepted_.load(); }
    [[nodiscard]] std::size_t open() const noexcept { return open_.load(); }
    /// Small buffers from now on, so that whoever sends soon feels that we do not read. Before it connects: a
    /// window that shrinks under a sender is served in pieces, each behind a timer.
    void narrow();
    /// Lets one script go on that waits in `Talk::wait`, now or later.
    void go();

 private:
    void serve();
    void talk(int socket, int number);

    Script script_;
    Calls calls_;
    std::string address_;
    ipc::UniqueFd listener_;
    std::atomic<std::size_t> accepted_{0}, open_{0};
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Asked> asked_;
    std::vector<int> sockets_;  ///< of connections that are open
    std::vector<std::thread> threads_;
    int permits_ = 0;
    bool stopping_ = false;
    std::thread acceptor_;
};

/// A connection, as its script sees it. What fails because the other side has gone, or the test is over, says
/// so.
class Origin::Talk {
 public:
    /// All of it, or false.
    bool send(std::string_view bytes);
    /// The next bytes, at most so many; empty: none will come.
    std::string receive(std::size_t most = 65536);
    /// The rest of a request, of which only the head was read.
    void receive_body(Asked& asked);
    /// Until the other side ends.
    void await_end();
    /// Until the test says `go`; false: it is over.
    bool wait();
    /// Ends the connection in order, or with a reset.
    void close();
    void reset();

 private:
    friend class Origin;
    Talk(Origin& origin, int socket) : origin_(origin), socket_(socket) {}
    bool receive_head(Asked& asked);
    bool fill();
    bool receive_line(std::string& into);

    Origin& origin_;
    ipc::UniqueFd socket_;
    std::string input_;
};

/// "HTTP/1.1 STATUS Reason", lines, Content-Length, body.
[[nodiscard]] std::string answer(const std::string& body, const std::string& lines = "", int status = 200);
/// The same bytes for every request.
[[nodiscard]] Origin::Script always(std::string bytes);
/// Bytes for each target, 404 for others; behind those that end with "CLOSE" it closes instead of saying
/// that.
[[nodiscard]] Origin::Script by_target(std::map<std::string, std::string> answers);
/// Reads the request, says this, and goes.
[[nodiscard]] Origin::Script leaving(std::string said, bool with_reset = false);
/// Never says a word.
[[nodiscard]] Origin::Script silent();

/// Takes no connection: its backlog is full from the start.
class DeafListener {
 public:
    DeafListener();
    [[nodiscard]] const std::string& address() const noexcept { return address_; }

 private:
    std::string address_;
    ipc::UniqueFd listener_;
    std::vector<ipc::UniqueFd> waiting_;
};

}  // namespace integration
