// C++ modules on the real server: coroutines that wait, ask, stream and fail, and clients that leave them.
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/integration/check.h"
#include "tests/integration/origin.h"
#include "tests/integration/server.h"

using namespace integration;
using namespace std::chrono_literals;

namespace {

/// A copy of a module where workers can read it.
std::string module_file(const TemporaryFolder& folder, const std::string& name) {
    const char* modules = std::getenv("MODULES");
    REQUIRE(modules != nullptr);
    const auto path = folder.path(name + ".so");
    std::filesystem::copy_file(std::string(modules) + "/" + name + ".so", path,
                               std::filesystem::copy_options::overwrite_existing);
    ::chmod(path.c_str(), 0755);
    return path;
}

/// A route for each of the handlers, `/HANDLER`, of a module that is there as `probe`.
std::string routes(const std::vector<std::string>& handlers, const std::string& lines = "") {
    std::string text = "[module probe]\npath = @folder@/probe.so\noption = greeting=servus\n";
    for (const auto& handler : handlers)
        text += "[route " + handler + "]\npath = /" + handler + "\nmodule = probe/" + handler + "\n" + lines;
    return text;
}

/// One process, so that what its handlers count is all there is.
struct Site {
    explicit Site(const std::vector<std::string>& handlers, const std::string& lines = "",
                  const std::string& more = "")
        : setup{.execution = just_workers(1), .routes = routes(handlers, lines) + more} {
        module_file(folder, "probe");
    }
    TemporaryFolder folder;
    Setup setup;
};

/// The payload of an answer in chunks, to the end of its connection.
std::string streamed(const Server& server, const std::string& target) {
    auto client = server.connect();
    client.send(get(target, "Connection: close\r\n"));
    CHECK(client.head().status == 200);
    const std::string raw = client.rest();
    std::string body;
    for (std::size_t at = 0;;) {
        const auto line = raw.find("\r\n", at);
        if (line == std::string::npos) break;
        const auto size = std::stoul(raw.substr(at, line - at), nullptr, 16);
        if (size == 0) return body;
        body += raw.substr(line + 2, size);
        at = line + 2 + size + 2;
    }
    return body + " and no end";
}

bool forgets_all(const Server& server) { return server.get("/count").body == "0"; }

/// `reeve -t` of a configuration.
Ran check(const TemporaryFolder& folder, const std::string& text) {
    const auto path = folder.write("checked.ini", text);
    const char* program = std::getenv("REEVE");
    return run({program != nullptr ? program : "build/reeve", "-t", "-c", path});
}

}  // namespace

TEST_CASE("a coroutine of a module answers a route", "[integration][module]") {
    Site site({"hello", "greet"});
    const Server server(site.folder, site.setup);
    CHECK(server.get("/hello/you").body == "hello /hello/you\n");
    CHECK(server.get("/hello/you").field("Content-Type") == "text/plain; charset=utf-8");
    CHECK(server.get("/greet?Welt").body == "servus Welt");
    auto client = server.connect();
    client.send("HEAD /hello/you HTTP/1.1\r\nHost: t\r\n\r\n");
    const auto head = client.response(Body::none);
    CHECK(head.status == 200);
    CHECK(head.field("Content-Length") == "17");
    client.send(get("/hello/two"));
    CHECK(client.response().body == "hello /hello/two\n");
}

TEST_CASE("a handler gets all of a request", "[integration][module]") {
    Site site({"echo"});
    const Server server(site.folder, site.setup);
    const auto answer =
        server.ask(post("/echo/a%20b/../c?x=1&y", std::string(200'000, 'b'), "X-Custom: yes\r\n"));
    CHECK(answer.field("X-Size") == "200000");
    CHECK(contains(answer.body, "POST /echo/a%20b/../c?x=1&y /echo/c x=1&y test 127.0.0.1 echo\n"));
    CHECK(contains(answer.body, "X-Custom=yes\n"));
    CHECK(contains(answer.body, std::string(200'000, 'b')));
    auto client = server.connect();
    client.send("POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    client.send("2\r\nde\r\n0\r\n\r\n");
    CHECK(client.response().field("X-Size") == "5");
    CHECK(server.ask(post("/echo", std::string(2 << 20, 'x'))).status == 413);
}

TEST_CASE("what a handler throws is the server's error, and nobody else's", "[integration][module]") {
    Site site({"throws", "fails", "splits", "frames", "hello"});
    const Server server(site.folder, site.setup);
    auto client = server.connect();
    client.send(get("/throws"));
    CHECK(client.response().status == 500);
    client.send(get("/hello/again"));
    CHECK(client.response().status == 200);
    CHECK(server.get("/fails").status == 503);
    CHECK(server.get("/fails").field("Retry-After") == "1");
    CHECK(server.get("/fails?504").status == 504);
    CHECK(server.get("/fails?7").status == 500);
    const auto splits = server.get("/splits");
    CHECK(splits.status == 500);
    CHECK_FALSE(splits.has("Set-Cookie"));
    const auto frames = server.get("/frames");
    CHECK(frames.body == "four");
    CHECK(frames.field("Content-Length") == "4");
    CHECK_FALSE(frames.has("Transfer-Encoding"));
    CHECK(contains(server.log(), "a handler's own trouble"));
    CHECK(contains(server.log(), "handler=throws status=500"));
}

TEST_CASE("many coroutines wait on one loop at once",
          "[integration][module][concurrent][one-process][many]") {
    Site site({"sleep", "count", "naps"});
    const Server server(site.folder, site.setup);
    std::vector<Client> clients;
    for (int i = 0; i < 50; ++i) clients.push_back(server.connect());
    for (auto& client : clients) client.send(get("/sleep?3000"));
    eventually("all of them wait", [&] { return server.get("/count").body == "100"; });  // two frames each
    for (auto& client : clients) CHECK(client.response().body == "3000");
    CHECK(forgets_all(server));
    CHECK(server.get("/naps?5").body == "0 1 2 3 4 1 2");
    CHECK(forgets_all(server));
}

TEST_CASE("a coroutine ends where it waits when its client leaves",
          "[integration][module][concurrent][one-process]") {
    const Origin origin(silent());
    Site site({"sleep", "count", "stream", "upload", "gather"}, "",
              "[upstream origin]\npeer = " + origin.address() + "\n");
    const Server server(site.folder, site.setup);
    SECTION("while it sleeps") {
        auto client = server.connect();
        client.send(get("/sleep?100000"));
        eventually("it sleeps", [&] { return server.get("/count").body == "2"; });
        client.close();
    }
    SECTION("while it asks others") {
        auto client = server.connect();
        client.send(get("/gather"));
        eventually("it asks", [&] { return origin.open() == 2; });
        client.close();
        eventually("it asks no more", [&] { return origin.open() == 0; });
    }
    SECTION("while its client takes nothing") {
        auto client = server.connect_slow();
        client.send(get("/stream?100000"));
        eventually("it writes", [&] { return server.get("/count").body == "1"; });
        client.close();
    }
    SECTION("while it reads") {
        auto client = server.connect();
        client.send("POST /upload HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nabc");
        eventually("it reads", [&] { return server.get("/count").body == "1"; });
        client.close();
    }
    eventually("nothing is left of it", [&] { return forgets_all(server); });
}

TEST_CASE("what a module opens or begins while it is loaded is there in workers that were preloaded",
          "[integration][module][preload]") {
    Site site({"file", "ticking", "hello"});
    site.setup.execution += "preload = on\n";
    const std::string greeting = "option = greeting=servus\n";
    const auto with = [&](const std::string& option) {
        site.setup.routes.insert(site.setup.routes.find(greeting), "option = " + option + "\n");
    };
    SECTION("a file") {
        with("file=" + site.folder.write("data", "its data"));
        const Server server(site.folder, site.setup);
        CHECK(contains(server.log(), "forked_by=preloader"));
        CHECK(server.get("/file").body == "its data");
    }
    SECTION("a thread: then the master forks") {
        with("thread=yes");
        const Server server(site.folder, site.setup);
        CHECK_FALSE(contains(server.log(), "forked_by=preloader"));
        CHECK(contains(server.log(), "a module has begun a thread in its load"));
        CHECK(server.get("/ticking").body == "ticks");
    }
}

TEST_CASE("a response has the length that its handler said, or its connection ends",
          "[integration][module]") {
    Site site({"sized", "hello"});
    const Server server(site.folder, site.setup);
    auto client = server.connect();
    client.send(get("/sized?four") + get("/hello/next"));
    CHECK(client.response().body == "four");
    CHECK(client.response().body == "hello /hello/next\n");
    client.send("HEAD /sized?four HTTP/1.1\r\nHost: t\r\n\r\n" + get("/hello/next"));
    CHECK(client.response(Body::none).field("Content-Length") == "4");
    CHECK(client.response().body == "hello /hello/next\n");
    auto longer = server.connect();
    longer.send(get("/sized?fourHTTP/1.1%20200") + get("/hello/next"));
    CHECK(longer.head().status == 200);
    CHECK(longer.rest().empty());
    auto shorter = server.connect();
    shorter.send(get("/sized?few") + get("/hello/next"));
    CHECK(shorter.head().status == 200);
    CHECK(shorter.rest() == "few");
}

TEST_CASE("tasks that write at once all wait for the client",
          "[integration][module][concurrent][one-process]") {
    Site site({"pours", "count"});
    const Server server(site.folder, site.setup);
    {
        auto client = server.connect();
        client.send(get("/pours"));
        eventually("it writes", [&] { return server.get("/count").body == "1"; });
    }
    eventually("nothing is left of it", [&] { return forgets_all(server); });
    const auto all = streamed(server, "/pours");
    CHECK(all.size() == 200 * 64 * 1024 + 2);
    CHECK(all.substr(all.size() - 2) == "ab");
}

TEST_CASE("a deadline that nobody needs any more wakes nobody", "[integration][module]") {
    Site site({"outlives"});
    const Server server(site.folder, site.setup);
    CHECK(server.get("/outlives").body == "slept");
}

TEST_CASE("a route's timeout ends its coroutine", "[integration][module]") {
    Site site({"sleep", "stream"}, "timeout = 500ms\n",
              "[route count]\npath = /count\nmodule = probe/count\n");
    const Server server(site.folder, site.setup);
    CHECK(server.get("/sleep?100000").status == 504);
    CHECK(server.get("/sleep?5").status == 200);
    CHECK(forgets_all(server));
}

TEST_CASE("a handler asks upstreams", "[integration][module][one-loop]") {
    const Origin origin(by_target({{"/quick", answer("quick", "X-Origin: one\r\nConnection: X-Hop\r\n")},
                                   {"/large", answer(std::string(2000, 'l'))}}));
    Site site({"fetch"}, "", "[upstream origin]\npeer = " + origin.address() + "\n");
    const Server server(site.folder, site.setup);
    const auto quick = server.get("/fetch?/quick");
    CHECK(quick.body == "quick");
    CHECK(quick.field("X-Origin") == "one");
    CHECK(origin.asked().back().field("X-From") == "module");
    CHECK(origin.asked().back().field("Host") == "origin");
    CHECK(server.get("/fetch?/missing").status == 404);
    CHECK(server.get("/fetch?/large").status == 502);
    CHECK(server.ask(post("/fetch?/quick", "the body")).status == 200);
    CHECK(origin.asked().back().body == "the body");
    CHECK(origin.accepted() <= 2);  // kept, but for the one whose answer was too large
}

TEST_CASE("what cannot be asked fails as the handler's request does", "[integration][module]") {
    TemporaryFolder nowhere;
    Site site({"fetch"}, "", "[upstream origin]\npeer = unix:" + nowhere.path("none") + "\n");
    const Server server(site.folder, site.setup);
    CHECK(server.get("/fetch?/x").status == 502);
    CHECK(contains(server.log(), "upstream origin: connect failed"));
}

TEST_CASE("of tasks side by side there is what came in time", "[integration][module]") {
    const Origin origin([](const Asked& asked, Origin::Talk& talk) {
        if (asked.target() == "/quick") talk.send(answer("quick"));
        if (asked.target() == "/slow") talk.await_end();
    });
    Site site({"gather", "count"}, "", "[upstream origin]\npeer = " + origin.address() + "\n");
    const Server server(site.folder, site.setup);
    CHECK(server.get("/gather").body == "200 quick|late|5|threw trouble");
    CHECK(forgets_all(server));
    eventually("the late one is given up", [&] { return origin.open() <= 1; });
}

TEST_CASE("a handler answers bit by bit", "[integration][module]") {
    Site site({"stream", "breaks", "count"});
    const Server server(site.folder, site.setup);
    CHECK(streamed(server, "/stream?3") == "begin " + std::string(3000, 'x') + " end");
    CHECK(streamed(server, "/stream?5000").size() == 5'000'010);
    CHECK(forgets_all(server));
    auto client = server.connect();
    client.send(get("/breaks"));
    CHECK(client.head().status == 200);
    CHECK_FALSE(contains(client.rest(), "0\r\n\r\n"));  // the client sees that something is missing
    auto head = server.connect();
    head.send("HEAD /stream HTTP/1.1\r\nHost: t\r\n\r\n");
    CHECK(head.response(Body::none).status == 200);
    head.send(get("/count"));
    CHECK(head.response().body == "0");
}

TEST_CASE("a handler reads bit by bit, and holds up who sends too fast", "[integration][module]") {
    Site site({"upload", "talk", "ignores", "count"}, "body_max = 100m\n");
    const Server server(site.folder, site.setup);
    CHECK(server.ask(post("/upload", "")).body == "0 bounded");
    CHECK(server.ask(post("/upload", std::string(8 << 20, 'u'))).body == "8388608 bounded");
    auto client = server.connect();
    client.send("POST /talk HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    CHECK(client.head().status == 200);
    CHECK(contains(client.take(10), "hello"));
    client.send("3\r\nyou\r\n0\r\n\r\n");
    CHECK(contains(client.take(16), "you"));
    auto expects = server.connect();
    expects.send("POST /upload HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    CHECK(expects.response().status == 100);
    expects.send("ab");
    CHECK(expects.response().body == "2 bounded");
    auto ignored = server.connect();
    ignored.send("POST /ignores HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n\r\nab");
    CHECK(ignored.response().body == "enough");
    CHECK(forgets_all(server));
}

TEST_CASE("what is wrong with a module is known before anything begins", "[integration][module]") {
    TemporaryFolder folder;
    const auto probe = module_file(folder, "probe");
    const auto no_module = folder.write("text.so", "this is no shared object");
    const std::string route = "[route r]\npath = /\nmodule = m/hello\n";
    const auto fine = check(folder, "[module m]\npath = " + probe + "\n" + route);
    CAPTURE(fine.output, fine.errors);
    CHECK(fine.status == 0);
    CHECK(contains(fine.errors, "workers run without their sandbox for [module m]"));
    const auto refused = [&](const std::string& text, const std::string& why) {
        const auto ran = check(folder, text);
        CAPTURE(ran.output, ran.errors, text);
        CHECK(ran.status == 2);
        CHECK(contains(ran.errors, why));
    };
    refused("[module m]\npath = /nowhere.so\n" + route, "checked.ini:2: path: /nowhere.so cannot be loaded");
    refused("[module m]\npath = " + no_module + "\n" + route, "checked.ini:2: path: ");
    refused("[module m]\npath = /lib/x86_64-linux-gnu/libm.so.6\n" + route, "is no module");
    refused("[module m]\npath = " + probe + "\n[route r]\nmodule = m/hallo\n",
            "checked.ini:4: module: module m has no handler `hallo`; it has `");
    refused("[module m]\npath = " + probe + "\n[route r]\nmodule = m\n", "which handler of m?");
    refused("[module m]\npath = " + probe + "\n[route r]\nmodule = n/hello\n", "there is no [module n]");
    refused("[module m]\npath = " + probe + "\noption = refuse=yes\n" + route, "it was told to");
    refused("[module m]\npath = " + probe + "\noption = throw=yes\n" + route, "it was told to throw");
    refused("[module m]\npath = " + probe + "\noption = crash=yes\n" + route, "reading the configuration");
    refused("[module m]\n" + route, "checked.ini:1: [module m] has no path");
}

TEST_CASE("a module that can live in the workers' sandbox does", "[integration][module]") {
    Site site({"hello", "forks"});
    SECTION("without") {
        const Server server(site.folder, site.setup);
        CHECK(server.get("/forks").body == "1");
    }
    SECTION("with") {
        site.setup.routes.insert(site.setup.routes.find("path ="), "sandbox = on\n");
        const Server server(site.folder, site.setup);
        CHECK(server.get("/hello").status == 200);
        auto client = server.connect();
        client.send(get("/forks"));
        CHECK(client.response().status == 0);
        eventually("the log says why", [&] { return contains(server.log(), "request=\"GET /forks\""); });
        CHECK(server.get("/hello").status == 200);
    }
}

TEST_CASE("a handler that crashes costs its process and its request", "[integration][module]") {
    Site site({"crash", "hello"});
    const Server server(site.folder, site.setup);
    const auto before = server.status().workers.at(0).pid;
    auto client = server.connect();
    client.send(get("/crash"));
    CHECK(client.response().status == 0);
    CHECK(server.get("/hello").status == 200);
    CHECK(server.status().workers.at(0).pid != before);
    eventually("the log names the request", [&] { return contains(server.log(), "request=\"GET /crash\""); });
}

TEST_CASE("what a handler says is in the error log, on one line", "[integration][module]") {
    Site site({"says"});
    const Server server(site.folder, site.setup);
    CHECK(server.get("/says").status == 204);
    eventually("it is there", [&] {
        return contains(server.log(), "module says route=says handler=says text=\"one\\ntwo\"");
    });
}

namespace {

nlohmann::json pool_of(const Server& server) {
    return nlohmann::json::parse(server.command({"status", "--json"}).output)["pools"].back();
}

std::string numbers(const std::string& lines) { return "[pool numbers]\nrun = module probe\n" + lines; }

}  // namespace

TEST_CASE("a function computes in a process of a pool", "[integration][module][pool]") {
    Site site({"compute", "pid", "count"}, "body_max = 100m\n",
              numbers("size = 2\nenvironment = ONE=two words\n"));
    const Server server(site.folder, site.setup);
    CHECK(server.ask(post("/compute?reverse", "abc")).body == "cba");
    CHECK(server.ask(post("/compute?reverse", "")).body.empty());
    const std::string large(5'000'000, 'l');
    CHECK(server.ask(post("/compute?reverse", large + "x")).body == "x" + large);
    const auto pid = server.ask(post("/compute?pid", "")).body;
    CHECK(pid != server.get("/pid").body);
    CHECK(server.ask(post("/compute?pid", "")).body == pid);  // the same one is used again
    CHECK(server.ask(post("/compute?variable", "ONE")).body == "two words");
    CHECK(server.ask(post("/compute?variable", "HOME")).body == "-");
    CHECK(server.ask(post("/compute?refuses", "")).status == 500);
    CHECK(contains(server.log(), "a function's own trouble"));
    eventually("the log says what is missing", [&] {
        CHECK(server.ask(post("/compute?missing", "")).status == 500);
        return contains(server.log(), "has no function `missing`");  // not each failure has a line
    });
    CHECK(pool_of(server)["crashes_total"] == 0);
    CHECK(forgets_all(server));
}

TEST_CASE("a function that crashes costs its process and its task", "[integration][module][pool]") {
    Site site({"compute", "pid"}, "", numbers("size = 1\n"));
    const Server server(site.folder, site.setup);
    const auto worker = server.get("/pid").body;
    const auto before = server.ask(post("/compute?pid", "")).body;
    CHECK(server.ask(post("/compute?dies", "")).status == 502);
    CHECK(server.ask(post("/compute?reverse", "abc")).body == "cba");
    CHECK(server.ask(post("/compute?pid", "")).body != before);
    CHECK(server.get("/pid").body == worker);
}

TEST_CASE("a function that takes too long is answered in time, and ended", "[integration][module][pool]") {
    Site site({"compute", "count"}, "", numbers("size = 1\ntimeout = 200ms\nkill_grace = 100ms\n"));
    const Server server(site.folder, site.setup);
    const auto before = server.ask(post("/compute?pid", "")).body;
    CHECK(server.ask(post("/compute?nap", "100000")).status == 504);
    eventually("its process is replaced",
               [&] { return server.ask(post("/compute?pid", "")).body != before; });
    CHECK(forgets_all(server));
}

TEST_CASE("calls wait for a process, or are refused",
          "[integration][module][pool][concurrent][one-process]") {
    Site site({"many", "compute", "count"}, "", numbers("size = 2\nqueue = 3\n"));
    const Server server(site.folder, site.setup);
    const auto body = server.get("/many?8").body;
    CHECK(count(body, ".") == 5);
    CHECK(count(body, "the pool's queue is full") == 3);
    CHECK(forgets_all(server));
    auto client = server.connect();
    client.send(get("/many?5,3000"));
    eventually("tasks are there", [&] { return pool_of(server)["waiting"] == 3; });
    client.close();
    eventually("none waits", [&] { return pool_of(server)["waiting"] == 0; });
    CHECK(forgets_all(server));
    CHECK(server.ask(post("/compute?reverse", "abc")).body == "cba");
}

TEST_CASE("handlers of a module serve in processes of their own", "[integration][module][pool]") {
    Site site({"pid"});
    std::string text;
    for (const char* name :
         {"hello", "echo", "sleep", "throws", "stream", "upload", "crash", "naps", "fetch", "frames", "says"})
        text += std::string("[pool ") + name + "]\nrun = module probe " + name + "\nsize = 1\n[route p-" +
                name + "]\npath = /p/" + name + "\npool = " + name + "\nbody_max = 100m\n";
    site.setup.routes += text;
    const Server server(site.folder, site.setup);
    CHECK(server.get("/p/hello").body == "hello /p/hello\n");
    const auto echo = server.ask(post("/p/echo?q", "body", "X-Custom: yes\r\nJob-Id: forged\r\n")).body;
    CHECK(contains(echo, "POST /p/echo?q /p/echo q"));
    CHECK(contains(echo, "X-CUSTOM=yes\n"));
    CHECK_FALSE(contains(echo, "forged"));  // for a handler of jobs to believe it
    CHECK(contains(echo, "\nbody"));
    CHECK(server.get("/p/sleep?5").body == "5");
    CHECK(server.get("/p/naps?3").body == "0 1 2 1 2");
    CHECK(server.get("/p/throws").status == 500);
    CHECK(streamed(server, "/p/stream?30") == "begin " + std::string(30'000, 'x') + " end");
    CHECK(server.ask(post("/p/upload", std::string(3 << 20, 'u'))).body == "3145728 bounded");
    CHECK(server.get("/p/fetch").status == 500);
    CHECK(server.get("/p/frames").body == "four");
    CHECK(server.get("/p/says").status == 204);
    CHECK(server.get("/p/crash").status == 502);
    CHECK(server.get("/p/hello").status == 200);
}

TEST_CASE("what a pool's module is, is known before anything begins", "[integration][module][pool]") {
    TemporaryFolder folder;
    const auto probe = module_file(folder, "probe");
    const auto refused = [&](const std::string& text, const std::string& why) {
        const auto ran = check(folder, text);
        CAPTURE(ran.output, ran.errors, text);
        CHECK(ran.status == 2);
        CHECK(contains(ran.errors, why));
    };
    refused("[pool p]\nrun = module /nowhere.so\n", "checked.ini:2: run: /nowhere.so cannot be loaded");
    refused("[pool p]\nrun = module " + probe + " hallo\n",
            "checked.ini:2: run: module probe.so has no handler");
    refused("[pool p]\nrun = module " + probe + "\n[route r]\npool = p\n", "which handler of probe.so?");
    CHECK(check(folder, "[pool p]\nrun = module " + probe + "\n").status == 0);
}

TEST_CASE("what blocks runs in threads, and the loop goes on",
          "[integration][module][threads][concurrent][one-process]") {
    Site site({"blocks", "block_many", "block_throws", "hello", "count"}, "",
              "[pool threads]\nkind = thread\nsize = 2\nsize_max = 4\nqueue = 3\n");
    const Server server(site.folder, site.setup);
    CHECK(server.get("/blocks").body == "a text");
    CHECK(server.get("/block_throws").body == "a thread's own trouble");
    auto client = server.connect();
    client.send(get("/blocks?2000"));
    eventually("it is in its thread", [&] { return server.get("/count").body == "1"; });
    CHECK(server.get("/hello/you").status == 200);
    CHECK(client.response().body == "a text");
    const auto body = server.get("/block_many?8").body;
    CHECK(count(body, ".") == 5);
    CHECK(count(body, "the pool's queue is full") == 3);
    CHECK(forgets_all(server));
}

TEST_CASE("work in a thread that takes too long is answered in time", "[integration][module][threads]") {
    Site site({"blocks", "count"}, "",
              "[pool threads]\nkind = thread\nsize = 1\nsize_max = 2\ntimeout = 200ms\n");
    const Server server(site.folder, site.setup);
    CHECK(server.get("/blocks?3000").status == 504);
    CHECK(server.get("/blocks").body == "a text");  // in the thread that took the other one's place
    CHECK(forgets_all(server));
}

TEST_CASE("work whose client has left is taken back, or ends unseen",
          "[integration][module][threads][concurrent][one-process]") {
    Site site({"blocks", "count"}, "", "[pool threads]\nkind = thread\nsize = 1\n");
    const Server server(site.folder, site.setup);
    auto begun = server.connect(), waits = server.connect();
    begun.send(get("/blocks?2000"));
    waits.send(get("/blocks?2000"));
    eventually("both are there", [&] { return server.get("/count").body == "2"; });
    begun.close();
    waits.close();
    eventually("both are forgotten", [&] { return forgets_all(server); });
    CHECK(server.get("/blocks").body == "a text");
}

TEST_CASE("a crash in a thread is pinned on its request", "[integration][module][threads]") {
    Site site({"block_dies", "blocks"}, "", "[pool threads]\nkind = thread\nsize = 1\n");
    const Server server(site.folder, site.setup);
    auto client = server.connect();
    client.send(get("/block_dies"));
    CHECK(client.response().status == 0);
    eventually("the log names the request", [&] { return contains(server.log(), "GET /block_dies"); });
    CHECK(server.get("/blocks").status == 200);
}

TEST_CASE("a handler that never returns is named, and its process replaced", "[integration][module]") {
    Site site({"loop", "hello"});
    site.setup.reeve = "watchdog = 1s\n";
    const Server server(site.folder, site.setup);
    const auto before = server.status().workers.at(0).pid;
    auto client = server.connect();
    client.send(get("/loop"));
    CHECK(client.response().status == 0);
    CHECK(server.get("/hello").status == 200);
    CHECK(server.status().workers.at(0).pid != before);
    eventually("the log names the request", [&] { return contains(server.log(), "GET /loop"); });
}

TEST_CASE("a handler that holds up its loop is named", "[integration][module]") {
    Site site({"busy"});
    site.setup.reeve = "slow_loop = 200ms\n";
    const Server server(site.folder, site.setup);
    CHECK(server.get("/busy?400").status == 200);
    eventually("the log has it", [&] {
        return contains(server.log(), "loop was blocked") && contains(server.log(), "route=\"busy\"");
    });
}

TEST_CASE("a handler that leaks costs a replacement, and no request", "[integration][module]") {
    Site site({"leak", "hello"});
    site.setup.execution += "max_memory = 64m\n";
    const Server server(site.folder, site.setup);
    const auto before = server.status().workers.at(0).pid;
    eventually("its process is replaced", [&] {
        CHECK(server.get("/leak?8000000").status == 200);
        return server.status().workers.at(0).pid != before;
    });
    CHECK(server.get("/hello").status == 200);
}
