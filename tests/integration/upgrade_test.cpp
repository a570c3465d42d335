// One binary after another, while clients ask: those that serve, and those that do not.
#include <signal.h>
#include <sys/stat.h>

#include <filesystem>

#include "tests/integration/check.h"
#include "tests/integration/load.h"
#include "tests/integration/server.h"

using namespace integration;

namespace {

namespace fs = std::filesystem;

/// The program under test at a place where another can take it.
class Program {
 public:
    explicit Program(const TemporaryFolder& folder) : path_(folder.path("bin/reeve")), folder_(folder) {
        fs::create_directories(folder.path("bin"));
        put_itself();
    }
    [[nodiscard]] const std::string& path() const { return path_; }
    void put_itself() const {
        fs::copy_file(reeve(), path_ + ".new", fs::copy_options::overwrite_existing);
        fs::rename(path_ + ".new", path_);
    }
    void put(const std::string& text) const {
        const auto file = folder_.write("bin/new", text);
        ::chmod(file.c_str(), 0755);
        fs::rename(file, path_);
    }

 private:
    std::string path_;
    const TemporaryFolder& folder_;
};

bool lives(pid_t pid) {
    const auto stat = contents("/proc/" + std::to_string(pid) + "/stat");
    return !stat.empty() && !contains(stat, ") Z ");
}

Ran upgrade(const TemporaryFolder& folder) {
    return run({reeve(), "-s", "upgrade", "--control", folder.path("control")});
}

/// A request that its worker has and waits for: its body of five bytes is not there.
Client held_by(const Server& server) {
    Client client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    CHECK(client.response().status == 100);
    return client;
}

}  // namespace

TEST_CASE("upgrades lose no request, and the new master has everything", "[integration][upgrade]") {
    const TemporaryFolder folder;
    const Program program(folder);
    const Server server(folder,
                        {.execution = GENERATE(std::string("workers = 2\naccept = reuseport\n"),
                                               std::string("workers = 2\naccept = shared\n")),
                         .server = "listen = unix:@folder@/web.sock\n"},
                        program.path());
    Load load(server.port(), 3, 3);
    pid_t before = server.serving();
    for (int round = 0; round < 4; ++round) {
        const auto asked = load.answered();
        if (round == 3) {
            ::kill(before, SIGUSR2);
            eventually("another master serves", [&] { return server.serving() != before; });
        } else {
            const Ran ran = upgrade(folder);
            INFO(ran.errors);
            REQUIRE(ran.status == 0);
            CHECK(ran.output == "master " + std::to_string(server.serving()) + " serves\n");
        }
        CHECK(server.serving() != before);
        eventually("the old master has left", [&] { return !lives(before); });
        CHECK(server.status().master == server.serving());
        Client over_unix(folder.path("web.sock"));
        over_unix.send(get("/", "Connection: close\r\n"));
        CHECK(over_unix.response().status == 200);
        eventually("clients go on", [&] { return load.answered() > asked + 20; });
        before = server.serving();
    }
    CHECK(load.finish() == "");
    const auto status = run({reeve(), "status", "--json", "--control", folder.path("control")}).output;
    const auto at = status.find("\"requests_total\": ");
    CHECK(std::stoull(status.substr(at + 18)) >= load.answered());
    CHECK(run({reeve(), "-s", "stop", "--control", folder.path("control")}).status == 0);
    CHECK_FALSE(fs::exists(folder.path("web.sock")));
    CHECK_FALSE(fs::exists(folder.path("pid")));
}

TEST_CASE("a new binary that does not serve leaves the old one serving, and the caller hears why",
          "[integration][upgrade]") {
    const TemporaryFolder folder;
    const Program program(folder);
    Setup setup{.reeve = "start_timeout = 1s\n"};
    const Server server(folder, setup, program.path());
    Load load(server.port(), 2, 2);
    const auto old = server.serving();
    const auto refused = [&](const std::string& why) {
        const Ran ran = upgrade(folder);
        CAPTURE(why, ran.errors);
        CHECK(ran.status == 1);
        CHECK(contains(ran.errors, why));
        CHECK(server.serving() == old);
        CHECK(server.get("/").status == 200);
    };
    program.put("#!/bin/sh\nexit 3\n");
    refused("exit status 3");
    program.put("#!/bin/sh\nexec sleep 60\n");
    refused("not ready in time");
    program.put("no program at all");
    refused("Exec format error");
    program.put(
        "#!/bin/sh\noffer=$(sed 's/\"layout\":1/\"layout\":99/' /proc/self/fd/$REEVE_UPGRADE)\n"
        "printf %s \"$offer\" > /proc/self/fd/$REEVE_UPGRADE\nexec " +
        reeve() + " \"$@\"\n");
    refused("the handover is of layout 99, and this program knows 1");
    fs::remove(program.path());
    refused("No such file or directory");
    program.put_itself();
    setup.server = "no_such_key = 1\n";
    write_config(folder, setup, server.port());
    const std::string wrong = contents(server.config());
    const auto lines_before = count(wrong.substr(0, wrong.find("no_such_key")), "\n");
    refused("reeve.ini:" + std::to_string(lines_before + 1) + ": ");
    setup.server = "";
    write_config(folder, setup, server.port());
    CHECK(upgrade(folder).status == 0);
    CHECK(load.finish() == "");
}

TEST_CASE("with upgrade = manual the operator decides", "[integration][upgrade]") {
    const TemporaryFolder folder;
    const Program program(folder);
    const Server server(folder, {.reeve = "upgrade = manual\n"}, program.path());
    Load load(server.port(), 2, 2);
    const auto old = server.serving();
    REQUIRE(upgrade(folder).status == 0);
    const auto heir = server.serving();
    CHECK(lives(old));

    SECTION("for the new one") {
        CHECK(contains(upgrade(folder).errors, "has not left yet"));
        ::kill(old, SIGWINCH);
        eventually("the old workers have left", [&] { return contains(server.log(), "the master stays"); });
        ::kill(old, SIGQUIT);
        eventually("the old master has left", [&] { return !lives(old); });
        CHECK(server.serving() == heir);
        CHECK(upgrade(folder).status == 0);
    }
    SECTION("for the old one") {
        ::kill(old, SIGWINCH);
        eventually("the old workers have left", [&] { return contains(server.log(), "the master stays"); });
        ::kill(old, SIGHUP);
        eventually("they are back", [&] { return count(server.log(), "generation serves") == 3; });
        ::kill(heir, SIGQUIT);
        eventually("the old one has the pid file again", [&] { return server.serving() == old; });
        eventually("it has the control socket again", [&] { return server.status().master == old; });
        CHECK(server.get("/").status == 200);
    }
    SECTION("for the old one, whose workers are still there") {
        ::kill(heir, SIGQUIT);
        eventually("the old one has the pid file again", [&] { return server.serving() == old; });
        CHECK(server.get("/").status == 200);
    }
    SECTION("for the old one, because the new one died") {
        ::kill(old, SIGWINCH);
        eventually("the old workers have left", [&] { return contains(server.log(), "the master stays"); });
        ::kill(heir, SIGKILL);
        eventually("the old one serves again", [&] { return server.serving() == old; });
        eventually("its workers are back", [&] { return server.get("/").status == 200; });
    }
    const auto wrong = load.finish();
    if (lives(heir) || !contains(server.log(), "signal SIGKILL")) CHECK(wrong == "");
}

TEST_CASE("a new master that dies while the old one drains gives all back", "[integration][upgrade]") {
    const TemporaryFolder folder;
    folder.write("www/large", std::string(32 << 20, 'x'));
    const Server server(folder, {.routes = "[route files]\npath = /\nfiles = @folder@/www\n"
                                           "[route hello]\npath = /hello\nrespond = 200 \"hello\"\n"});
    Client slow = server.connect_slow();  // keeps the old one from leaving
    slow.send(get("/large"));
    REQUIRE(slow.head().status == 200);
    const auto old = server.serving();
    REQUIRE(upgrade(folder).status == 0);
    const auto heir = server.serving();
    ::kill(heir, SIGKILL);
    eventually("the old one serves again", [&] { return server.serving() == old; });
    eventually("clients are answered",
               [&] { return Client::accepted(server.port()) && server.get("/hello").status == 200; });
    CHECK(server.status().master == old);
    CHECK(slow.take(32 << 20).size() == 32u << 20);
    CHECK(upgrade(folder).status == 0);
}

TEST_CASE("an address that the new master gave up is back with the old one", "[integration][upgrade]") {
    const TemporaryFolder folder;
    Setup setup;
    const auto given_up = free_port();
    setup.server = "listen = 127.0.0.1:" + std::to_string(given_up) + "\n";
    const Server server(folder, setup);
    Client held = held_by(server);  // keeps the old one from leaving
    const auto old = server.serving();
    setup.server = "";
    write_config(folder, setup, server.port());
    REQUIRE(upgrade(folder).status == 0);
    ::kill(server.serving(), SIGKILL);
    eventually("the old one serves again", [&] { return count(server.log(), "generation serves") == 3; });
    CHECK(server.serving() == old);
    Client client(given_up);
    client.send(get("/", "Connection: close\r\n"));
    CHECK(client.response().status == 200);
    held.send("12345");
    CHECK(held.response().status == 200);
}

TEST_CASE("who is told to quit while an upgrade starts takes the new master along",
          "[integration][upgrade]") {
    const TemporaryFolder folder;
    const Program program(folder);
    const Server server(folder, {}, program.path());
    Client held = held_by(server);  // so long that the new master could get ready
    program.put("#!/bin/sh\nsleep 0.2\nexec " + reeve() + " \"$@\"\n");
    ::kill(server.pid(), SIGUSR2);
    eventually("it starts", [&] { return contains(server.log(), "upgrade started"); });
    ::kill(server.pid(), SIGQUIT);
    eventually("it is given up", [&] { return contains(server.log(), "upgrade failed"); });
    held.send("12345");
    CHECK(held.response().status == 200);
    eventually("nobody is left", [&] { return server.processes().empty(); });
    CHECK(is_free(server.port()));
    CHECK(count(server.log(), "generation serves") == 1);
}

TEST_CASE("whose workers are sent away while an upgrade starts gives way to it", "[integration][upgrade]") {
    const TemporaryFolder folder;
    const Program program(folder);
    const Server server(folder, {}, program.path());
    program.put("#!/bin/sh\nsleep 0.2\nexec " + reeve() + " \"$@\"\n");
    ::kill(server.pid(), SIGUSR2);
    eventually("it starts", [&] { return contains(server.log(), "upgrade started"); });
    ::kill(server.pid(), SIGWINCH);
    eventually("the old master has left", [&] { return !lives(server.pid()); });
    CHECK(server.get("/").status == 200);
}

TEST_CASE("what a new master says of a bad configuration is heard to the end", "[integration][upgrade]") {
    const TemporaryFolder folder;
    Setup setup;
    const Server server(folder, setup);
    for (int line = 0; line < 20; ++line) setup.server += "no_such_key = 1\n";
    setup.server += "the_last = 1\n";
    write_config(folder, setup, server.port());
    const Ran ran = upgrade(folder);
    CHECK(ran.status == 1);
    CHECK(contains(ran.errors, "the_last"));
}

TEST_CASE("a master killed in the middle of an upgrade leaves one that serves, or a free port",
          "[integration][upgrade]") {
    for (const int delay_ms : {0, 2, 5, 9}) {
        const TemporaryFolder folder;
        const Server server(folder, {.reeve = "shutdown_timeout = 2s\n"});
        const auto old = server.serving();
        ::kill(old, SIGUSR2);
        const auto start = Clock::now();
        while (Clock::now() - start < std::chrono::milliseconds(delay_ms)) continue;
        ::kill(old, SIGKILL);
        eventually("one serves, or nobody has the port", [&] {
            if (is_free(server.port())) return true;
            return server.serving() != old && Client::accepted(server.port()) &&
                   server.get("/").status == 200;
        });
    }
}

TEST_CASE("an offer that is none ends the start with a clear error", "[integration][upgrade]") {
    const TemporaryFolder folder;
    const auto config = write_config(folder, {}, free_port());
    const Ran ran = run({"env", "REEVE_UPGRADE=17", reeve(), "-c", config});
    CHECK(ran.status == 1);
    CHECK(contains(ran.errors, "REEVE_UPGRADE names no open descriptor"));
}
