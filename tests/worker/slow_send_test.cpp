// tests/worker/slow_send_test.cpp: a file that is slow to send is blamed for the turn it holds up.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <thread>

#include "tests/worker/turn.h"
#include "worker/connection/connections.h"
#include "worker/http/http1.h"

namespace {

using namespace std::chrono_literals;

constexpr std::size_t file_bytes = 4 << 20;

ipc::UniqueFd large_file() {
    ipc::UniqueFd file(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    REQUIRE(::ftruncate(file.get(), file_bytes) == 0);
    return file;
}

/// Answers everything with the one file, as the route "films".
class OneFile final : public worker::http::Application {
 public:
    OneFile() { route_.name = "films"; }
    [[nodiscard]] const conf::Limits& limits(std::uint32_t) const override { return limits_; }
    [[nodiscard]] bool route(worker::http::Exchange& exchange) override {
        exchange.route = &route_;
        return true;
    }
    [[nodiscard]] bool streams(const worker::http::Exchange&) const override { return false; }
    void handle(worker::http::Exchange& exchange) override {
        exchange.response.add({{}, nullptr, file_.get(), 0, file_bytes});
        exchange.finish();
    }
    void refuse(worker::http::Exchange&, worker::http::Status) override {}
    void on_over(const worker::http::Exchange&) override {}

 private:
    conf::Limits limits_;
    conf::Route route_;
    ipc::UniqueFd file_ = large_file();
};

/// Both ends of a socket. Ours blocks, as no real one does: it stands for the disk.
struct Ends {
    Ends() {
        std::array<int, 2> made{};
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, made.data()) == 0);
        ours = ipc::UniqueFd(made[0]);
        theirs = ipc::UniqueFd(made[1]);
    }
    ipc::UniqueFd ours, theirs;
};

/// Takes its time, then takes everything.
void read_late(int socket, std::chrono::milliseconds late) {
    std::this_thread::sleep_for(late);
    std::vector<char> some(1 << 16);
    while (::read(socket, some.data(), some.size()) > 0) continue;
}

}  // namespace

TEST_CASE("a turn that a file held up is blamed on the request for it", "[worker][connection]") {
    Ends ends;
    const std::string_view request = "GET /film HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    REQUIRE(::write(ends.theirs.get(), request.data(), request.size()) ==
            static_cast<ssize_t>(request.size()));
    const Logged logged;
    ipc::LoopCell cell;
    worker::execution::Loop loop(cell, 10ms);
    OneFile application;
    worker::http::Service service(loop, application);
    worker::http::Http1Factory factory(service);
    std::thread reader([&] { read_late(ends.theirs.get(), 30ms); });
    {
        worker::connection::Census census({});
        worker::connection::Connections connections(loop, factory, 64 * 1024, census);
        Turn(loop, [&] { connections.open(std::move(ends.ours), {}, 0); });
    }
    reader.join();
    CHECK(cell.slow_turns.get() == 1);
    CHECK(logged.text().find(R"(route="films" request="GET /film")") != std::string::npos);
}
