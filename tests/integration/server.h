// tests/integration/server.h: the real program, started for one test and gone after it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/conf/temporary_folder.h"
#include "tests/integration/client.h"
#include "tests/integration/process.h"

namespace integration {

/// What goes into the configuration beside what every test needs: control socket, pid file, one address.
/// "@folder@" and "@port@" are replaced in each text.
struct Setup {
    std::string reeve{};  ///< further lines of [reeve]
    /// Unless it says `model = ` itself, the environment's REEVE_MODEL does; see `model`. With REEVE_PRELOAD
    /// in the environment, `preload` is on unless it says otherwise.
    std::string execution = "workers = 2\n";
    std::string server{};  ///< further lines of [server site]
    std::string routes = "[route hello]\npath = /\nrespond = 200 \"hello\"\n";
    /// Routes on an address of their own, `Server::aside`. Those of `health`, `status` and `metrics` see from
    /// there what the server does, under models too that serve one request at a time.
    std::string aside{};
    std::uint16_t port = 0;  ///< 0: one that is free
};

struct WorkerStatus {
    std::uint32_t slot = 0;
    pid_t pid = 0;  ///< 0: none runs
    std::string state, in_flight;
    std::uint64_t restarts = 0, connections = 0, accepted = 0, requests = 0, refused = 0, accept_pauses = 0;
};

struct Status {
    pid_t master = 0;
    std::string state;
    std::vector<WorkerStatus> workers;
    std::vector<std::string> listeners;
};

/// Reads what `reeve status --json` prints.
[[nodiscard]] Status parse_status(const std::string& json);

/// The execution model that tests run under which do not choose one: the environment's REEVE_MODEL, or
/// `event`. Tests that are about what a model rules out, or about knobs that it sets otherwise, have a
/// tag: the Makefile lists these.
[[nodiscard]] std::string model();
/// Whether a process serves a request while another one is not over: for what a test has to say of that only
/// beside other things. One that is about nothing else has the tag [concurrent].
[[nodiscard]] bool serves_several();
/// So many workers, and never more or fewer, under `process` too: then no more than that may be served at
/// once.
[[nodiscard]] std::string just_workers(unsigned count);

/// A port of 127.0.0.1 that nobody has at the moment.
[[nodiscard]] std::uint16_t free_port();
/// Whether it could be bound again, connections that linger in TIME_WAIT aside.
[[nodiscard]] bool is_free(std::uint16_t port);

/// Writes the configuration into the folder, opens that to the workers' user, and returns its path.
std::string write_config(const TemporaryFolder& folder, const Setup& setup, std::uint16_t port);

/// Starts the program and waits until it is ready. The destructor stops it, fails the test when a process is
/// left, and when a sanitizer found something. The folder must outlive it.
class Server {
 public:
    /// `program`: none is the one under test, where it is.
    explicit Server(const TemporaryFolder& folder, const Setup& setup = {}, std::string program = {});
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    ~Server();

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    [[nodiscard]] pid_t pid() const noexcept { return master_; }
    /// The master that serves, by the pid file: after an upgrade another one than was started.
    [[nodiscard]] pid_t serving() const;
    [[nodiscard]] const std::string& config() const noexcept { return config_; }
    /// All that master and workers said.
    [[nodiscard]] std::string log() const;

    [[nodiscard]] Client connect() const { return Client(port_); }
    /// A client that takes little at a time.
    [[nodiscard]] Client connect_slow() const { return Client(port_, "127.0.0.1", 16 * 1024); }
    /// One request on a connection of its own.
    [[nodiscard]] Response get(const std::string& target, const std::string& lines = "") const;
    [[nodiscard]] Response ask(const std::string& request) const;
    /// As `get`, of the routes that Setup says so of.
    [[nodiscard]] Response aside(const std::string& target) const;

    /// Over the control socket.
    [[nodiscard]] Status status() const;
    /// `reeve -c CONFIG words`.
    [[nodiscard]] Ran command(const std::vector<std::string>& words) const;

    void signal(int number) const;
    /// Waits for the master to end; its exit status.
    int wait();
    /// Fast, by TERM; all log lines are written then.
    int stop();
    /// Those of master and workers that live.
    [[nodiscard]] std::vector<pid_t> processes() const { return living(master_); }

 private:
    /// False: somebody took the port first.
    bool start(const std::string& config);
    [[nodiscard]] bool daemon() const { return !process_; }

    const TemporaryFolder& folder_;
    std::uint16_t port_ = 0;
    std::string config_, program_;
    std::optional<Process> process_;  ///< none: it has left the terminal
    pid_t master_ = -1;               ///< also the group of all its processes
};

/// Waits until one generation is left, all ready: so many workers as are configured. Under `process` there
/// are more of them, which come and go.
void await_workers(const Server& server, std::size_t count);

}  // namespace integration
