// tests/integration/fastcgi_origin.h: scripted programs that speak FastCGI, and real ones.
#pragma once

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
#include "tests/integration/proxied.h"
#include "worker/http/fastcgi.h"

namespace integration {

/// A request in FastCGI, as it came.
struct FastcgiAsked {
    std::map<std::string, std::string> params;
    std::string body;
    bool keep = false;   ///< the connection is to be left open
    int connection = 0;  ///< the first is 1
    int turn = 0;        ///< on that connection, likewise

    /// Empty when there is none.
    [[nodiscard]] std::string param(const std::string& name) const;
};

/// When a script is called: with the whole request, or with its params.
enum class FastcgiCalls : bool { whole, params };

/// As `Origin`, for programs.
class FastcgiOrigin {
 public:
    class Talk;
    using Script = std::function<void(const FastcgiAsked&, Talk&)>;

    explicit FastcgiOrigin(Script script, FastcgiCalls calls = FastcgiCalls::whole);
    FastcgiOrigin(const FastcgiOrigin&) = delete;
    FastcgiOrigin& operator=(const FastcgiOrigin&) = delete;
    /// Ends all connections.
    ~FastcgiOrigin();

    [[nodiscard]] const std::string& address() const noexcept { return address_; }
    [[nodiscard]] std::vector<FastcgiAsked> asked() const;
    /// Waits until so many requests have come; the last of them.
    [[nodiscard]] FastcgiAsked await(std::size_t count = 1) const;
    /// Connections ever accepted, and those that neither side has ended.
    [[nodiscard]] std::size_t accepted() const;
    [[nodiscard]] std::size_t open() const;

 private:
    void serve();
    void talk(int socket, int number);

    Script script_;
    FastcgiCalls calls_;
    std::string address_;
    ipc::UniqueFd listener_;
    mutable std::mutex mutex_;
    std::vector<FastcgiAsked> asked_;
    std::vector<int> sockets_;
    std::vector<std::thread> threads_;
    std::size_t accepted_ = 0, open_ = 0;
    bool stopping_ = false;
    std::thread acceptor_;
};

/// A connection, as its script sees it. Nothing is checked in it: it is another thread's.
class FastcgiOrigin::Talk {
 public:
    bool send(std::string_view bytes);
    /// STDOUT, STDERR, and the end of the request.
    bool out(std::string_view text);
    bool err(std::string_view text);
    bool end(worker::http::fastcgi::ProtocolStatus status = worker::http::fastcgi::ProtocolStatus::complete);
    /// All of an answer, and its end.
    bool answer(std::string_view text) { return out(text) && end(); }
    /// Until the other side ends.
    void await_end();
    void close();
    void reset();

 private:
    friend class FastcgiOrigin;
    explicit Talk(int socket) : socket_(socket) {}
    bool receive(FastcgiAsked& asked, bool whole);

    ipc::UniqueFd socket_;
    std::string input_;
    worker::http::fastcgi::RecordReader reader_;
};

/// One worker, [upstream programs] with a line for each peer, and a route for all paths.
[[nodiscard]] Setup programs_at(std::initializer_list<std::string> peers, const std::string& route_lines = "",
                                const std::string& upstream_lines = "");

/// php-cgi with two processes, and the application of tests/integration/php below `folder`/app.
class Php {
 public:
    /// `settings`: `-d` words. The folder must outlive it.
    explicit Php(const TemporaryFolder& folder, std::vector<std::string> settings = {});

    [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
    std::uint16_t port_ = 0;
    std::unique_ptr<Process> process_;
};

}  // namespace integration
