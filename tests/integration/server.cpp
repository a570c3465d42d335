#include "tests/integration/server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "tests/integration/check.h"

namespace integration {
namespace {

constexpr int starts_max = 5;

std::string replaced(std::string text, const std::string& what, const std::string& with) {
    for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size()))
        text.replace(at, what.size(), with);
    return text;
}

/// Bound, and listening if it can; `port` 0 is any.
ipc::UniqueFd bind_loopback(std::uint16_t port) {
    ipc::UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(socket.get(), 1) != 0)
        socket.reset();
    return socket;
}

/// What a model says of accepting is its own: a test goes through the others' ways under theirs.
std::string without_accept(const std::string& lines) {
    std::string kept;
    for (std::size_t at = 0; at < lines.size();) {
        const auto end = std::min(lines.find('\n', at), lines.size() - 1) + 1;
        const std::string line = lines.substr(at, end - at);
        if (!line.starts_with("accept =")) kept += line;
        at = end;
    }
    return kept;
}

std::string under_model(const std::string& execution) {
    const std::string chosen = model();
    if (chosen == "event" || contains(execution, "model =")) return execution;
    const bool spreads = chosen == "single" || chosen == "message" || chosen == "threads";
    return "model = " + chosen + "\n" + (spreads ? execution : without_accept(execution));
}

/// Routes of that server and no other.
std::string of_server(const std::string& name, const std::string& routes) {
    std::string all;
    for (std::size_t at = 0; at < routes.size();) {
        const auto end = std::min(routes.find('\n', at), routes.size() - 1) + 1;
        const std::string line = routes.substr(at, end - at);
        all += line.starts_with("[route ") ? line + "server = " + name + "\n" : line;
        at = end;
    }
    return all;
}

std::string routes_of(const Setup& setup) {
    if (setup.aside.empty()) return setup.routes;
    return of_server("site", setup.routes) + "[server aside]\nlisten = unix:@folder@/aside\n" +
           of_server("aside", setup.aside);
}

bool is_ready(const std::string& log) { return contains(log, "] ready version="); }

}  // namespace

std::string model() {
    const char* named = std::getenv("REEVE_MODEL");
    return named == nullptr || *named == '\0' ? "event" : named;
}

bool serves_several() { return model() != "single" && model() != "acceptor"; }

std::string just_workers(unsigned count) {
    const std::string number = std::to_string(count) + "\n";
    return "workers = " + number + (model() == "process" ? "processes_max = " + number : "");
}

std::uint16_t free_port() {
    const auto socket = bind_loopback(0);
    sockaddr_in bound{};
    socklen_t size = sizeof bound;
    if (!socket || ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&bound), &size) != 0)
        fail("no free port");
    return ntohs(bound.sin_port);
}

bool is_free(std::uint16_t port) { return static_cast<bool>(bind_loopback(port)); }

std::string write_config(const TemporaryFolder& folder, const Setup& setup, std::uint16_t port) {
    ::chmod(folder.path("").c_str(), 0755);
    const char* preloads = std::getenv("REEVE_PRELOAD");
    const bool adds_preload = preloads != nullptr && !contains(setup.execution, "preload =");
    const std::string text = "[reeve]\ncontrol = @folder@/control\npid_file = @folder@/pid\n" + setup.reeve +
                             "[execution]\n" + under_model(setup.execution) +
                             (adds_preload ? "preload = on\n" : "") +
                             "[server site]\nlisten = 127.0.0.1:@port@\n" + setup.server + routes_of(setup);
    const std::string root = folder.path("");
    return folder.write("reeve.ini",
                        replaced(replaced(text, "@folder@", root.substr(0, root.find_last_not_of('/') + 1)),
                                 "@port@", std::to_string(port)));
}

Server::Server(const TemporaryFolder& folder, const Setup& setup, std::string program)
    : folder_(folder), program_(program.empty() ? reeve() : std::move(program)) {
    for (int tried = 0; tried < starts_max; ++tried) {
        port_ = setup.port != 0 ? setup.port : free_port();
        config_ = write_config(folder, setup, port_);
        if (start(config_)) return;
        if (setup.port != 0) break;
    }
    fail("the server cannot start: " + log());
}

bool Server::start(const std::string& config) {
    const ipc::UniqueFd file(
        ::open(folder_.path("stderr").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644));
    process_.emplace(std::vector<std::string>{program_, "-c", config}, file.get(), file.get());
    master_ = process_->pid();
    eventually("the server is ready",
               [&] { return !process_->running() || is_ready(contents(folder_.path("stderr"))); });
    if (process_->running()) return true;
    if (process_->wait() == 0) {  // it is the parent of a daemon
        master_ = std::atoi(contents(folder_.path("pid")).c_str());
        process_.reset();
        if (master_ <= 0) fail("a daemon without a pid file");
        return true;
    }
    if (!contains(log(), "Address already in use")) fail("the server does not start: " + log());
    return false;
}

Server::~Server() {
    if (master_ <= 0) return;
    // One that gave way to another, which we end, may take over again: then it is its turn.
    const auto start = Clock::now();
    for (int tried = 0; !processes().empty() && Clock::now() - start < patience; ++tried) {
        if (tried % 100 == 0) ::kill(serving(), SIGTERM);
        ::usleep(5'000);
    }
    if (!processes().empty()) {
        complain("processes are left: " + log());
        ::kill(-master_, SIGKILL);
    }
    const std::string said = log();
    if (contains(said, "Sanitizer") || contains(said, "runtime error:")) complain(said);
}

pid_t Server::serving() const {
    const pid_t named = std::atoi(contents(folder_.path("pid")).c_str());
    return named > 0 ? named : master_;
}

std::string Server::log() const {
    return contents(folder_.path("stderr")) + contents(folder_.path("error.log"));
}

Response Server::ask(const std::string& request) const {
    Client client = connect();
    client.send(request);
    return client.response();
}

Response Server::get(const std::string& target, const std::string& lines) const {
    return ask(integration::get(target, lines + "Connection: close\r\n"));
}

Response Server::aside(const std::string& target) const {
    Client client(folder_.path("aside"));
    client.send(integration::get(target, "Connection: close\r\n"));
    return client.response();
}

Status Server::status() const {
    Client control(folder_.path("control"));
    control.send("status json\n");
    const std::string answer = control.rest();
    if (!answer.starts_with("ok\n")) fail("no status: " + answer);
    return parse_status(answer.substr(3));
}

Ran Server::command(const std::vector<std::string>& words) const {
    std::vector<std::string> all{reeve(), "-c", config_};
    all.insert(all.end(), words.begin(), words.end());
    return run(all);
}

void Server::signal(int number) const { ::kill(master_, number); }

int Server::wait() {
    if (daemon()) {
        eventually("the daemon has ended", [&] { return processes().empty(); });
        return 0;
    }
    return process_->wait();
}

int Server::stop() {
    signal(SIGTERM);
    return wait();
}

void await_workers(const Server& server, std::size_t count) {
    const bool may_be_more = model() == "process";
    eventually("one generation is left", [&] {
        const auto now = server.status().workers;
        const auto is_in_place = [&](const WorkerStatus& worker) {
            return worker.state == "ready" ||
                   (may_be_more && worker.slot >= count && worker.state == "empty");
        };
        return (now.size() == count || (may_be_more && now.size() > count)) &&
               std::all_of(now.begin(), now.end(), is_in_place);
    });
}

}  // namespace integration
