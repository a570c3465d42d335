// tests/master/control_test.cpp: what the control socket takes, answers and refuses.
#include <sys/stat.h>

#include <future>

#include "ipc/event.h"
#include "master/control_client.h"
#include "master/control_server.h"
#include "tests/master/sockets.h"

namespace {

/// A server that echoes commands, driven by `until`; clients live in other threads.
class Echo {
 public:
    Echo()
        : server_(*loop_, bind(), [this](master::ControlServer::ClientId client, std::string_view command) {
              if (command == "hold") return server_.answer(client, "ok\n", true);
              if (command == "refuse") return server_.answer(client, "error: because\n");
              if (command == "big") return server_.answer(client, "ok\n" + std::string(1 << 20, 'x'));
              server_.answer(client, "ok\nyou said " + std::string(command) + "\n");
          }) {}

    /// Runs the loop until the future is there.
    template <class T>
    T until(std::future<T> future) {
        REQUIRE(test::eventually([&] {
            event_base_loop(loop_.get(), EVLOOP_NONBLOCK);
            return future.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
        }));
        return future.get();
    }
    ipc::Result<std::string> ask(const std::string& command) {
        return until(std::async(std::launch::async, [&] { return master::control(path(), command); }));
    }
    /// Everything the server answers to these bytes.
    std::string raw(const std::string& bytes) {
        return until(std::async(std::launch::async, [&] {
            const auto socket = master::connect_unix(path(), false);
            (void)!::send(socket->get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
            return test::read_to_end(socket->get());
        }));
    }
    [[nodiscard]] std::string path() const { return folder_ / "control"; }

 private:
    master::UnixSocket bind() {
        auto socket = master::ControlServer::bind(path());
        REQUIRE(socket);
        return std::move(*socket);
    }
    test::Folder folder_;
    ipc::EventBase loop_{event_base_new()};
    master::ControlServer server_;
};

}  // namespace

TEST_CASE("a command is answered and the conversation ends", "[master]") {
    Echo echo;
    CHECK(echo.ask("status json").value() == "you said status json\n");
    CHECK(echo.ask("big").value().size() == 1 << 20);
    CHECK(echo.raw("half\nand more") == "ok\nyou said half\n");
}

TEST_CASE("a refusal reaches the caller as an error with its reason", "[master]") {
    Echo echo;
    const auto refused = echo.ask("refuse");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().text() == "because");
}

TEST_CASE("a line without an end is refused once it is too long", "[master]") {
    Echo echo;
    CHECK(echo.raw(std::string(1000, 'x')).starts_with("error: the command is too long"));
}

TEST_CASE("the control socket is for its owner alone and taken once", "[master]") {
    Echo echo;
    struct stat file {};
    REQUIRE(::stat(echo.path().c_str(), &file) == 0);
    CHECK((file.st_mode & 0777) == 0600);
    CHECK_FALSE(master::ControlServer::bind(echo.path()));
}

TEST_CASE("clients beyond the limit are turned away, and places become free again", "[master]") {
    Echo echo;
    {
        std::vector<ipc::UniqueFd> idle;
        for (std::size_t count = 0; count < master::ControlServer::clients_max; ++count) {
            auto socket = master::connect_unix(echo.path(), true);
            REQUIRE(socket);
            idle.push_back(std::move(*socket));
        }
        // It never read our line, so a reset may follow its words.
        CHECK(echo.raw("status\n").starts_with("error: too many control clients\n"));
    }
    CHECK(test::eventually([&] { return echo.raw("again\n") == "ok\nyou said again\n"; }));
}

TEST_CASE("a held conversation ends with the server", "[master]") {
    std::future<ipc::Result<std::string>> answer;
    {
        Echo echo;
        const auto path = echo.path();
        answer = std::async(std::launch::async, [path] { return master::control(path, "hold"); });
        CHECK(echo.ask("other").value() == "you said other\n");
        const auto held = master::connect_unix(path, false);
        REQUIRE(::send(held->get(), "hold\n", 5, MSG_NOSIGNAL) == 5);
        char byte = 0;
        const auto answered =
            echo.until(std::async(std::launch::async, [&] { return ::recv(held->get(), &byte, 1, 0); }));
        CHECK(answered == 1);
        CHECK(answer.wait_for(std::chrono::seconds(0)) == std::future_status::timeout);
    }
    CHECK(answer.get().has_value());
}

TEST_CASE("no master is an error that names the socket", "[master]") {
    const test::Folder folder;
    const auto path = folder / "none";
    const auto answer = master::control(path, "status");
    REQUIRE_FALSE(answer);
    CHECK(answer.error().text() == "connect to " + path + ": No such file or directory");
}
