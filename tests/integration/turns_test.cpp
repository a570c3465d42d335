// No client has a loop for itself: however fast one takes what it gets, the others have their turns.
#include <sys/stat.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "tests/integration/check.h"
#include "tests/integration/server.h"

using namespace integration;

namespace {

/// A client that takes what comes as fast as it can, in a thread of its own, until it goes.
class Greedy {
 public:
    Greedy(const Server& server, const std::string& request) : client_(server.connect()) {
        client_.send(request);
        reader_ = std::thread([this] {
            while (!leaves_.load() && client_.take(piece).size() == piece) taken_ += piece;
        });
    }
    Greedy(const Greedy&) = delete;
    Greedy& operator=(const Greedy&) = delete;
    ~Greedy() {
        leaves_ = true;
        reader_.join();
    }
    [[nodiscard]] std::size_t taken() const { return taken_.load(); }

 private:
    static constexpr std::size_t piece = 64 * 1024;
    Client client_;
    std::atomic<std::size_t> taken_{0};
    std::atomic<bool> leaves_{false};
    std::thread reader_;
};

/// A sample of what `metrics` says.
double sample_of(const std::string& metrics, const std::string& name) {
    const auto at = metrics.find("\n" + name + " ");
    REQUIRE(at != std::string::npos);
    return std::stod(metrics.substr(at + 1 + name.size()));
}

const std::string routes =
    "[route quick]\npath = /quick\nrespond = 200 \"quick\"\n"
    "[route metrics]\npath = /metrics\nmetrics = on\n";

const std::string many_requests = "keepalive_requests = 1000000\n";

/// How many bytes the greedy client gets in a turn of the loops, while another one asks for little things.
/// Turns, not time: however busy the machine is there are no more of these.
double bytes_a_turn(const Server& server, const std::string& target) {
    Client beside = server.connect();
    const auto ask = [&](const std::string& what) {
        beside.send(get(what));
        const auto response = beside.response();
        REQUIRE(response.status == 200);
        return response.body;
    };
    (void)ask("/quick");  // its loop knows it
    const Greedy greedy(server, get(target));
    eventually("it streams", [&] {
        (void)ask("/quick");
        return greedy.taken() > 10'000'000;
    });
    const auto before = ask("/metrics");
    const auto taken_before = greedy.taken();
    for (int count = 0; count < 20 || greedy.taken() - taken_before < 50'000'000; ++count)
        (void)ask("/quick");
    const auto taken = static_cast<double>(greedy.taken() - taken_before);
    const auto after = ask("/metrics");
    const std::string turns = "reeve_loop_turn_seconds_count";
    return taken / (sample_of(after, turns) - sample_of(before, turns));
}

}  // namespace

TEST_CASE("a client that takes a module's stream as fast as it is made keeps nobody waiting",
          "[integration][turns][module][concurrent][one-process]") {
    const char* modules = std::getenv("MODULES");
    REQUIRE(modules != nullptr);
    const TemporaryFolder folder;
    const auto module = folder.path("probe.so");
    std::filesystem::copy_file(std::string(modules) + "/probe.so", module);
    ::chmod(module.c_str(), 0755);
    const Server server(folder, {.execution = "workers = 1\n",
                                 .server = many_requests,
                                 .routes = routes + "[module probe]\npath = @folder@/probe.so\n" +
                                           "[route stream]\npath = /stream\nmodule = probe/stream\n"});
    CHECK(bytes_a_turn(server, "/stream?1000000000") < 2'000'000);  // sixteen pieces
}
