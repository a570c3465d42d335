// Bodies that wait here for those who are slower: for whom, where, how many, and what when there is no room.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "tests/integration/check.h"
#include "tests/integration/proxied.h"

using namespace integration;

namespace {

constexpr std::size_t mib = 1 << 20;
constexpr std::size_t large_size = 64 * mib;

const std::string& large() {
    static const std::string text = numbers(large_size);
    return text;
}

const std::string whole_request = "buffer_request = file\nbody_max = 1g\nbuffer_memory = 64k\n";
const std::string whole_answer = "buffer_response = file\nbuffer_memory = 64k\n";

/// A folder for files that everybody may use, as /var/tmp is, and its metrics.
Setup buffering(const TemporaryFolder& folder, std::initializer_list<std::string> peers,
                const std::string& route_lines, const std::string& execution = "") {
    std::filesystem::create_directory(folder.path("spill"));
    ::chmod(folder.path("spill").c_str(), 01777);
    Setup setup = passing_to(peers, route_lines);
    setup.execution += "buffer_path = @folder@/spill\n" + execution;
    setup.aside = "[route metrics]\npath = = /metrics\nmetrics = on\n";
    return setup;
}

/// The number behind the sample; -1 when there is none.
double sample(const Server& server, const std::string& name) {
    const std::string metrics = "\n" + server.aside("/metrics").body;
    const auto at = metrics.find("\n" + name + " ");
    return at == std::string::npos ? -1 : std::strtod(metrics.c_str() + at + name.size() + 2, nullptr);
}

double in_memory(const Server& server) { return sample(server, "reeve_buffered_bytes{place=\"memory\"}"); }
double in_files(const Server& server) { return sample(server, "reeve_buffered_bytes{place=\"file\"}"); }
double spilled(const Server& server) { return sample(server, "reeve_buffer_spilled_bytes_total"); }

double refusals(const Server& server, const std::string& body, const std::string& reason) {
    return sample(server, "reeve_buffer_refusals_total{body=\"" + body + "\",reason=\"" + reason + "\"}");
}

/// Calls under way.
double active(const Server& server, const Origin& origin) {
    return sample(server, "reeve_upstream_active{upstream=\"origin\",peer=\"" + origin.address() + "\"}");
}

pid_t worker_of(const Server& server) { return server.status().workers.front().pid; }

/// Until another one has the place of that one.
void await_worker(const Server& server, pid_t before) {
    eventually("another worker serves", [&] {
        const auto now = server.status().workers.front();
        return now.pid != before && now.pid != 0 && now.state == "ready";
    });
}

/// Files of its own making; the descriptors of connections come and go.
std::size_t open_files(pid_t pid, const std::string& folder) {
    std::size_t found = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) {
        std::error_code gone;
        const auto target = std::filesystem::read_symlink(entry, gone).string();
        found += target.starts_with(folder) && contains(target, "(deleted)") ? 1 : 0;
    }
    return found;
}

bool is_empty(const TemporaryFolder& folder) { return std::filesystem::is_empty(folder.path("spill")); }

/// From here on its worker, a new one, finds the disk full when a file is so long.
void fill_disk(const Server& server, rlim_t bytes) {
    rlimit limit{};
    const pid_t before = worker_of(server);
    if (::prlimit(server.pid(), RLIMIT_FSIZE, nullptr, &limit) != 0) fail("no limit for files");
    limit.rlim_cur = bytes;
    if (::prlimit(server.pid(), RLIMIT_FSIZE, &limit, nullptr) != 0) fail("no limit for files");
    ::kill(before, SIGKILL);
    await_worker(server, before);
}

std::string put(const std::string& target, const std::string& body) {
    return "PUT " + target + " HTTP/1.1\r\nHost: test\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\n\r\n" + body;
}

/// Takes it in pieces, and compares.
bool takes_large(Client& client) {
    for (std::size_t at = 0; at < large_size; at += 64 << 10)
        if (client.take(64 << 10) != std::string_view(large()).substr(at, 64 << 10)) return false;
    return true;
}

/// Says the large text as the target wants it, all at once.
void say_large(const Asked& asked, Origin::Talk& talk) {
    if (asked.target() == "/length") {
        talk.send(answer(large()));
    } else if (asked.target() == "/events") {
        talk.send(answer(large(), "Content-Type: text/Event-stream; charset=utf-8\r\n"));
    } else if (asked.target() == "/chunks") {
        talk.send(ok + chunked + "\r\n");
        for (std::size_t at = 0; at < large_size; at += mib) talk.send(chunk(large().substr(at, mib)));
        talk.send("0\r\nX-Sum: 42\r\n\r\n");
    } else if (asked.target() == "/until-end") {
        talk.send(ok + "\r\n" + large());
        talk.close();
    } else {
        talk.send(answer("small"));
    }
}

}  // namespace

// ---- requests -----------------------------------------------------------------------------------

TEST_CASE("a peer is asked when all of the request's body is here", "[integration][proxy][buffer]") {
    const TemporaryFolder folder;
    Origin origin(always(answer("thanks")));
    const Server server(folder, buffering(folder, {origin.address()}, whole_request));
    const std::string body = numbers(300'000);
    Client client = server.connect();
    SECTION("of known length") {
        client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 300000\r\n\r\n" +
                    body.substr(0, 200'000));
        eventually("the first part is here", [&] { return in_memory(server) + in_files(server) >= 200'000; });
        CHECK(origin.accepted() == 0);
        client.send(body.substr(200'000));
    }
    SECTION("in chunks, for a client that waits to be asked for it") {
        client.send("POST / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\n" + chunked + "\r\n");
        CHECK(client.head().status == 100);
        CHECK(origin.accepted() == 0);
        for (std::size_t at = 0; at < body.size(); at += 50'000) client.send(chunk(body.substr(at, 50'000)));
        client.send("0\r\n\r\n");
    }
    CHECK(client.response().body == "thanks");
    const Asked asked = origin.await();
    CHECK((asked.payload == body));
    CHECK(asked.field("Content-Length") == "300000");
    CHECK(asked.count("Content-Length") == 1);
    CHECK_FALSE(asked.has("Transfer-Encoding"));
    CHECK(in_memory(server) == 0);
    CHECK(in_files(server) == 0);
    client.send(get("/"));  // the connection goes on
    CHECK(client.response().status == 200);
    client.send(post_chunks("0\r\n\r\n"));
    CHECK(client.response().status == 200);
    CHECK(origin.await(3).field("Content-Length") == "0");
}

TEST_CASE("an upload of 64 MiB passes through a file, unchanged and unseen", "[integration][proxy][buffer]") {
    const TemporaryFolder folder;
    Origin origin(always(answer("thanks")));
    const Server server(folder, buffering(folder, {origin.address()}, whole_request));
    const pid_t worker = worker_of(server);
    Client client = server.connect();
    const std::string request = put("/", large());
    client.send(std::string_view(request).substr(0, large_size));
    eventually("most of it is in a file", [&] { return in_files(server) > 60.0 * mib; });
    CHECK(open_files(worker, folder.path("spill")) == 1);
    CHECK(is_empty(folder));
    CHECK(contains(server.command({"status", "--json"}).output, "\"buffered_file_bytes\""));
    client.send(std::string_view(request).substr(large_size));
    CHECK(client.response().status == 200);
    CHECK((origin.await().payload == large()));
    CHECK(in_files(server) == 0);
    CHECK(open_files(worker, folder.path("spill")) == 0);
    if (!sanitized()) CHECK(resident_bytes_max(worker) < 40 * mib);
}

TEST_CASE("an upload goes to another peer, all of it, when the first one breaks off",
          "[integration][proxy][buffer]") {
    const TemporaryFolder folder;
    Origin breaks(
        [](const Asked&, Origin::Talk& talk) {
            for (std::size_t got = 0; got < mib;) {
                const std::string some = talk.receive();
                if (some.empty()) return;
                got += some.size();
            }
            talk.reset();
        },
        Calls::head);
    Origin origin(always(answer("here")));
    const Server server(folder,
                        buffering(folder, {breaks.address(), origin.address() + " backup"}, whole_request));
    const std::string body = numbers(8 * mib);
    CHECK(server.ask(put("/", body)).body == "here");
    CHECK((origin.await().payload == body));
    CHECK(server.ask(post("/", body)).status == 502);  // who knows what it has done with it
    CHECK(origin.asked().size() == 1);
    CHECK(breaks.accepted() == 2);
    CHECK(in_files(server) == 0);
    CHECK(in_memory(server) == 0);
}

TEST_CASE("a body that finds no room is refused, nobody is asked, and the log says why",
          "[integration][proxy][buffer]") {
    const TemporaryFolder folder;
    Origin origin(always(answer("thanks")));
    SECTION("it is larger than the route buffers") {
        const Server server(
            folder, buffering(folder, {origin.address()}, "buffer_request = memory\nbuffer_memory = 8k\n"));
        Client told = server.connect();
        told.send("POST / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 8193\r\n\r\n");
        CHECK(told.response().status == 413);  // before any of it is sent
        CHECK(server.ask(post_chunks(chunk(numbers(8193)) + "0\r\n\r\n")).status == 413);
        CHECK(server.ask(post("/", numbers(8192))).status == 200);
        CHECK(refusals(server, "request", "size") == 2);
        CHECK(contains(server.log(), "request refused route=all why=\"the body is larger than the route"));
        CHECK(spilled(server) == 0);
    }
    SECTION("it is larger than body_max") {
        const Server server(
            folder, buffering(folder, {origin.address()}, "buffer_request = memory\nbody_max = 1k\n"));
        CHECK(server.ask(post("/", numbers(1025))).status == 413);
        CHECK(server.ask(post_chunks(chunk(numbers(1025)) + "0\r\n\r\n")).status == 413);
        CHECK(server.ask(post("/", numbers(1024))).status == 200);
        CHECK(in_memory(server) == 0);
    }
    SECTION("the disk is full") {
        auto setup = buffering(folder, {origin.address()}, whole_request + "fallback = /sorry\n");
        setup.routes += "[route sorry]\npath = = /sorry\nrespond = 200 \"sorry\"\n";
        const Server server(folder, setup);
        fill_disk(server, mib);
        const Response response = server.ask(put("/", numbers(4 * mib)));
        CHECK(response.status == 200);
        CHECK(response.body == "sorry");  // in place of a 503
        CHECK(refusals(server, "request", "disk") == 1);
        CHECK(in_files(server) == 0);
        CHECK(contains(server.log(), "no file for a body"));
        CHECK(contains(server.log(), "the body could not be written to a file"));
        CHECK(server.ask(put("/", numbers(mib))).status == 200);
    }
    for (const Asked& asked : origin.asked()) CHECK(asked.whole);
}

TEST_CASE("a body is refused while others fill what the process has for all of them",
          "[integration][proxy][buffer][concurrent][one-process]") {
    const TemporaryFolder folder;
    Origin origin(always(answer("thanks")));
    const Server server(folder, buffering(folder, {origin.address()}, whole_request,
                                          "buffer_memory_total = 1m\nbuffer_file_total = 1m\n"));
    Client first = server.connect();
    first.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 2000000\r\n\r\n" + numbers(64 * 1024 + mib));
    eventually("it fills it", [&] { return in_files(server) == mib; });
    const std::string small = numbers(65 * 1024);
    CHECK(server.ask(put("/", small)).status == 503);
    CHECK(refusals(server, "request", "total") == 1);
    CHECK(contains(server.log(), "there is no room for another body"));
    first.close();
    eventually("there is room again", [&] { return in_files(server) == 0; });
    CHECK(server.ask(put("/", small)).status == 200);
    for (const Asked& asked : origin.asked()) CHECK(asked.whole);
}

TEST_CASE("a client that leaves in the middle of its body leaves nothing behind",
          "[integration][proxy][buffer]") {
    const TemporaryFolder folder;
    Origin origin(always(answer("thanks")));
    const Server server(folder, buffering(folder, {origin.address()}, whole_request));
    const pid_t worker = worker_of(server);
    Client client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 2000000\r\n\r\n" + numbers(mib));
    eventually("a part is here", [&] { return in_files(server) > 0; });
    client.close();
    eventually("it has gone", [&] { return in_files(server) == 0 && in_memory(server) == 0; });
    CHECK(open_files(worker, folder.path("spill")) == 0);
    CHECK(origin.accepted() == 0);
}

// ---- responses ----------------------------------------------------------------------------------

TEST_CASE("a slow client no longer holds the peer, and gets what it said",
          "[integration][proxy][buffer][one-loop][concurrent]") {
    const TemporaryFolder folder;
    Origin origin(say_large);
    const Server server(folder, buffering(folder, {origin.address()}, whole_answer));
    const pid_t worker = worker_of(server);
    CHECK(server.get("/small").body == "small");
    std::size_t connections = 1;
    for (const std::string target : {"/length", "/chunks", "/until-end"}) {
        CAPTURE(target);
        Client client = server.connect_slow();
        client.send(get(target, "TE: trailers\r\n"));
        CHECK(client.head().status == 200);
        eventually("the peer is done", [&] { return active(server, origin) == 0; });
        CHECK(in_files(server) > 50.0 * mib);
        CHECK(open_files(worker, folder.path("spill")) == 1);
        CHECK(is_empty(folder));
        CHECK(server.get("/small").body == "small");  // on the connection that is free again
        connections += target == "/until-end" ? 1 : 0;
        CHECK(origin.accepted() == connections);
        if (target == "/length") {
            CHECK(takes_large(client));
        } else {
            const Chunks chunks = take_chunks(client);
            CHECK(chunks.whole);
            CHECK((chunks.payload == large()));
            CHECK(chunks.trailers == (target == "/chunks" ? "X-Sum: 42\r\n" : ""));
        }
        eventually("nothing is left", [&] { return in_files(server) == 0 && in_memory(server) == 0; });
        client.send(get("/small"));
        CHECK(client.response().body == "small");
    }
    CHECK(open_files(worker, folder.path("spill")) == 0);
    if (!sanitized()) CHECK(resident_bytes_max(worker) < 40 * mib);
}

TEST_CASE("a response beyond the bounds waits for its client, and nothing is lost",
          "[integration][proxy][buffer]") {
    const TemporaryFolder folder;
    Origin origin(say_large);
    struct Case {
        std::string lines, execution, reason;
        double files;
    };
    const std::string small = "buffer_response = file\nbuffer_memory = 64k\nbuffer_file_max = 1m\n";
    const auto one = GENERATE_COPY(values<Case>(
        {{small, "", "size", mib},
         {"buffer_response = memory\nbuffer_memory = 64k\n", "", "size", 0},
         {whole_answer, "buffer_memory_total = 1m\nbuffer_file_total = 2m\n", "total", 2 * mib}}));
    CAPTURE(one.lines, one.execution);
    const Server server(folder, buffering(folder, {origin.address()}, one.lines, one.execution));
    for (const std::string target : {"/length", "/chunks"}) {
        Client client = server.connect_slow();
        client.send(get(target));
        CHECK(client.head().status == 200);
        eventually("it is full", [&] { return in_files(server) == one.files && in_memory(server) > 0; });
        CHECK(active(server, origin) == 1);
        CHECK(in_memory(server) <= 256 * 1024);  // and what one read brought, and what is on its way out
        CHECK((target == "/length" ? takes_large(client) : take_chunks(client).payload == large()));
        eventually("nothing is left", [&] { return in_files(server) == 0 && in_memory(server) == 0; });
    }
    CHECK(refusals(server, "response", one.reason) == 2);
}

TEST_CASE("when the disk is full a response waits for its client, and nothing is lost",
          "[integration][proxy][buffer]") {
    const TemporaryFolder folder;
    Origin origin(say_large);
    const Server server(folder, buffering(folder, {origin.address()}, whole_answer));
    fill_disk(server, 3 * mib + 1000);
    Client client = server.connect_slow();
    client.send(get("/length"));
    CHECK(client.head().status == 200);
    eventually("it is full", [&] { return refusals(server, "response", "disk") == 1; });
    CHECK(active(server, origin) == 1);
    CHECK(takes_large(client));
    client.send(get("/small"));
    CHECK(client.response().body == "small");
    CHECK(contains(server.log(), "no file for a body"));
    CHECK(in_files(server) == 0);
}

TEST_CASE("a client that leaves its answer gives up file and memory at once",
          "[integration][proxy][buffer]") {
    const TemporaryFolder folder;
    Origin origin(say_large);
    const std::string lines = GENERATE("", "buffer_file_max = 1m\n");  // with its peer done, and held back
    const Server server(folder, buffering(folder, {origin.address()}, whole_answer + lines));
    const pid_t worker = worker_of(server);
    Client client = server.connect_slow();
    client.send(get("/length"));
    CHECK(client.head().status == 200);
    eventually("it waits", [&] {
        return in_files(server) > 0 &&
               (lines.empty() ? active(server, origin) == 0 : refusals(server, "response", "size") == 1);
    });
    client.close();
    eventually("nothing is left", [&] { return in_files(server) == 0 && in_memory(server) == 0; });
    CHECK(open_files(worker, folder.path("spill")) == 0);
    CHECK(active(server, origin) == 0);
}

TEST_CASE("a peer that breaks off leaves a buffered answer cut", "[integration][proxy][buffer]") {
    const TemporaryFolder folder;
    Origin origin([](const Asked&, Origin::Talk& talk) {
        talk.send(ok + "Content-Length: 100000000\r\n\r\n" + large());
        talk.close();
    });
    const Server server(folder, buffering(folder, {origin.address()}, whole_answer));
    Client client = server.connect_slow();
    client.send(get("/"));
    CHECK(client.head().status == 200);
    const std::string got = client.rest();
    CHECK(got.size() < 100'000'000);
    CHECK((got == large().substr(0, got.size())));
    eventually("nothing is left", [&] { return in_files(server) == 0 && in_memory(server) == 0; });
}

TEST_CASE("events and tunnels are not buffered", "[integration][proxy][buffer]") {
    const TemporaryFolder folder;
    Origin origin([](const Asked& asked, Origin::Talk& talk) {
        if (asked.target() != "/tunnel") return say_large(asked, talk);
        talk.send("HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
        talk.send(large());
        talk.close();
    });
    const Server server(folder,
                        buffering(folder, {origin.address()}, whole_answer + whole_request.substr(0, 22)));
    Client client = server.connect_slow();
    SECTION("events") {
        client.send(get("/events"));
        CHECK(client.head().status == 200);
    }
    SECTION("a tunnel") {
        client.send(get("/tunnel", "Connection: upgrade\r\nUpgrade: echo\r\n"));
        CHECK(client.head().status == 101);
    }
    CHECK(takes_large(client));
    CHECK(spilled(server) == 0);
}

// ---- the worker and its folder ------------------------------------------------------------------

TEST_CASE("a drain lets a slow client have what was buffered for it", "[integration][proxy][buffer]") {
    const TemporaryFolder folder;
    Origin origin(say_large);
    Server server(folder, buffering(folder, {origin.address()}, whole_answer));
    Client client = server.connect_slow();
    client.send(get("/length"));
    CHECK(client.head().status == 200);
    eventually("the peer is done", [&] { return active(server, origin) == 0; });
    server.signal(SIGQUIT);
    CHECK(takes_large(client));
    CHECK(server.wait() == 0);
}

TEST_CASE("a worker that is killed leaves no file, and nothing is counted for it any more",
          "[integration][proxy][buffer]") {
    const TemporaryFolder folder;
    Origin origin(say_large);
    const Server server(folder, buffering(folder, {origin.address()}, whole_answer));
    const pid_t worker = worker_of(server);
    Client client = server.connect_slow();
    client.send(get("/length"));
    CHECK(client.head().status == 200);
    eventually("the peer is done", [&] { return active(server, origin) == 0; });
    CHECK(in_files(server) > 0);
    ::kill(worker, SIGKILL);
    await_worker(server, worker);
    CHECK(is_empty(folder));
    CHECK(server.get("/small").status == 200);
    CHECK(in_files(server) == 0);
    CHECK(in_memory(server) == 0);
}

TEST_CASE("a buffer_path where workers cannot make files is refused", "[integration][proxy][buffer]") {
    const TemporaryFolder folder;
    Origin origin(say_large);
    std::string path = "@folder@/none", why = "No such file or directory";
    if (::geteuid() == 0) {  // as ourselves we may do anything
        const std::string lines = GENERATE("none", "ours");
        if (lines == "ours") path = "@folder@/ours", why = "Permission denied";
    }
    std::filesystem::create_directory(folder.path("ours"));
    ::chmod(folder.path("ours").c_str(), 0755);
    Setup setup = buffering(folder, {origin.address()}, whole_answer);
    const auto with_path = [&](const std::string& wanted) {
        Setup changed = setup;
        changed.execution = "workers = 1\nbuffer_path = " + wanted + "\n";
        return changed;
    };
    SECTION("by -t and at a start") {
        const auto config = write_config(folder, with_path(path), free_port());
        for (const bool only_check : {true, false}) {
            const Ran ran = run(only_check ? std::vector<std::string>{reeve(), "-t", "-c", config}
                                           : std::vector<std::string>{reeve(), "-c", config});
            CHECK(ran.status == (only_check ? 2 : 1));
            CHECK(contains(ran.errors, "buffer_path " + folder.path("")));
            CHECK(contains(ran.errors, why));
        }
    }
    SECTION("by a reload, and the old one serves on") {
        const Server server(folder, setup);
        (void)write_config(folder, with_path(path), server.port());
        const Ran ran = server.command({"-s", "reload"});
        CHECK(ran.status != 0);
        CHECK(contains(ran.errors, "buffer_path"));
        CHECK(server.get("/small").body == "small");
    }
    SECTION("but a worker that is replaced goes on without files") {
        const Server server(folder, setup);
        const pid_t before = worker_of(server);
        ::chmod(folder.path("spill").c_str(), 0500);
        REQUIRE(::kill(before, SIGKILL) == 0);
        eventually("it is replaced", [&] {
            const auto workers = server.status().workers;
            return !workers.empty() && workers.front().pid != before && workers.front().state == "ready";
        });
        CHECK(server.get("/small").body == "small");
        CHECK(contains(server.log(), "bodies have no files"));
    }
    SECTION("but not where no route wants files") {
        auto fine = with_path(path);
        fine.routes = passing_to({origin.address()}, "buffer_response = memory\n").routes;
        const Server server(folder, fine);
        CHECK(server.command({"-t"}).status == 0);
    }
}
