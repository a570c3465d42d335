// tests/worker/upstream_fastcgi_test.cpp: calls to peers that speak FastCGI. Peers are the test's.
#include "tests/worker/upstream_world.h"

namespace {

using ipc::CallFailure;
using std::chrono_literals::operator""ms;
using namespace std::string_literals;
using worker::http::fastcgi::ProtocolStatus;
using worker::http::fastcgi::Type;
namespace fastcgi = worker::http::fastcgi;

std::string record(Type type, std::string_view content, std::uint16_t request = 1) {
    std::string bytes;
    fastcgi::append_record(bytes, type, request, content);
    return bytes;
}
std::string out(std::string_view text) { return record(Type::standard_out, text); }
std::string err(std::string_view text) { return record(Type::standard_error, text); }
std::string end(ProtocolStatus status = ProtocolStatus::complete) {
    std::string bytes;
    fastcgi::append_end_request(bytes, 1, {.protocol_status = status});
    return bytes;
}
const std::string all = out("Server: it\nContent-Length: 3\n\nyes") + out("") + end();

const std::string head = [] {
    std::string bytes;
    fastcgi::append_begin_request(bytes, 1, {.keep_connection = true});
    fastcgi::append_end_of_stream(bytes, Type::params, 1);
    fastcgi::append_end_of_stream(bytes, Type::standard_in, 1);
    return bytes;
}();
const std::string head_of_body = head.substr(0, head.size() - fastcgi::header_bytes);

/// What a program is asked, and what is heard of it.
struct Program {
    explicit Program(World& in) : world(in), asked(in) {
        asked.question.head = head;
        asked.question.wire = worker::upstream::Wire::fastcgi;
    }
    Program& with_body() {
        asked.question.head = head_of_body;
        asked.question.body = true;
        return *this;
    }
    Program& not_twice() {
        asked.question.idempotent = false;
        return *this;
    }
    /// Until the peer has it all, on its connection number `at`.
    Conversation& begin(Backend& backend, std::size_t at = 0) {
        asked.begin();
        return hears(backend, at, asked.question.head.size());
    }
    Conversation& hears(Backend& backend, std::size_t at, std::size_t size) {
        REQUIRE(
            world.until([&] { return backend.talks.size() > at && backend.talks[at].heard.size() >= size; }));
        return backend.talks[at];
    }
    /// The peer says that, and then maybe ends the connection.
    std::string hears(Backend& backend, const std::string& bytes, bool ends = false) {
        Conversation& talk = begin(backend);
        talk.say(bytes);
        if (ends) talk.close();
        return asked.end();
    }

    World& world;
    Asked asked;
};

/// The second is asked when the first cannot be.
World::Change second_is_backup(Backend& second) {
    second.config.backup = true;
    return {};
}

}  // namespace

TEST_CASE("a program is asked by records, and its answer is a response", "[call][fastcgi]") {
    Backend backend;
    World world({&backend});
    Program program(world);
    CHECK(program.hears(backend, all) == "connected 200 length 3 end");
    CHECK(program.asked.payload == "yes");
    CHECK(program.asked.server == "it");
    CHECK(backend.talks[0].heard == head);
    CHECK(world.peer(0).use->statuses[2].get() == 1);
    CHECK(world.all_failures(0) == 0);
}

TEST_CASE("a program's answer that comes byte by byte is the same answer", "[call][fastcgi]") {
    const std::string bytes = err("one ") + out("Status: 404 No") + err("two") + out("t\nServer: it\n") +
                              out("\nna") + record(static_cast<Type>(77), "?") +
                              record(Type::get_values_result, "", 0) + "\1\6\0\1\0\2\3\0dapad"s + err("") +
                              out("") + end();
    for (const bool at_once : {true, false}) {
        Backend backend;
        World world({&backend});
        Program program(world);
        Conversation& talk = program.begin(backend);
        if (at_once) {
            talk.say(bytes);
        } else {
            for (const char byte : bytes) {
                talk.say({&byte, 1});
                world.settle(1);
            }
        }
        CHECK(program.asked.end() == "connected 404 until_end 0 end");
        CHECK(program.asked.payload == "nada");
        CHECK(program.asked.server == "it");
        CHECK(program.asked.aside == "one two");
    }
}

TEST_CASE("a connection that a program leaves open carries the next request, if it was asked to",
          "[call][fastcgi]") {
    for (const bool keep : {true, false}) {
        Backend backend;
        World world({&backend});
        Program program(world);
        program.asked.question.keep = keep;
        program.hears(backend, all);
        backend.talks[0].heard.clear();
        program.begin(backend, keep ? 0 : 1).say(all);
        CHECK(program.asked.end() == "connected 200 length 3 end");
        CHECK(backend.talks.size() == (keep ? 1 : 2));
    }
}

TEST_CASE("a connection on which a program may have more to say is not kept", "[call][fastcgi]") {
    for (const std::string& bytes : {
             all + "x",                                          // behind the end
             out("Content-Length: 2\n\nyes") + out("") + end(),  // more than its length
             out("Content-Length: 3\n\nyes") + out("") + "\1"s,  // and then it ends by a time-out
         }) {
        Backend backend;
        World world({&backend});
        Program program(world);
        program.asked.terms.read_timeout = 100ms;
        CHECK(program.hears(backend, bytes).ends_with(" end"));
        CHECK(program.asked.payload == std::string("yes").substr(0, bytes.find("2\n") < 40 ? 2 : 3));
        program.begin(backend, 1).say(all);
        CHECK(program.asked.end() == "connected 200 length 3 end");
    }
}

TEST_CASE("a request that met the end of a program's kept connection is made anew", "[call][fastcgi]") {
    Backend backend;
    World world({&backend});
    Program program(world);
    program.hears(backend, all);
    backend.talks[0].listens = false;
    program.asked.begin();
    REQUIRE(world.until([&] { return world.peer(0).use->calls.get() == 2; }));
    backend.talks[0].close();
    program.hears(backend, 1, head.size()).say(all);
    CHECK(program.asked.end().ends_with("connected 200 length 3 end"));
    CHECK(world.all_failures(0) == 0);
}

TEST_CASE("a body goes as records, and ends with an empty one", "[call][fastcgi]") {
    Backend backend;
    World world({&backend});
    Program program(world);
    program.with_body().begin(backend);
    program.asked.call.send("abc");
    program.asked.call.send(std::string(70'000, 'x'));
    program.asked.call.end_body();
    const std::string body =
        record(Type::standard_in, "abc") + record(Type::standard_in, std::string(65'528, 'x')) +
        record(Type::standard_in, std::string(70'000 - 65'528, 'x')) + record(Type::standard_in, "");
    program.hears(backend, 0, head_of_body.size() + body.size());
    CHECK(backend.talks[0].heard == head_of_body + body);
    backend.talks[0].say(all);
    CHECK(program.asked.end() == "connected 200 length 3 end");
}

TEST_CASE("a body that came before the peer had the connection is sent with the head", "[call][fastcgi]") {
    Backend first, second;
    World world({&first, &second}, second_is_backup(second));
    Program program(world);
    program.with_body().asked.begin();
    program.asked.call.send("abc");
    program.asked.call.end_body();
    const std::string sent = head_of_body + record(Type::standard_in, "abc") + record(Type::standard_in, "");
    program.hears(first, 0, sent.size());
    first.talks[0].reset();
    program.hears(second, 0, sent.size());  // and likewise to somebody else
    CHECK(second.talks[0].heard == sent);
    second.talks[0].say(all);
    CHECK(program.asked.end() == "connected connected 200 length 3 end");
}

TEST_CASE("a program that takes no further request is left for another, whatever is asked",
          "[call][fastcgi]") {
    for (const auto status : {ProtocolStatus::overloaded, ProtocolStatus::cannot_multiplex}) {
        Backend first, second;
        World world({&first, &second}, second_is_backup(second));
        Program program(world);
        program.not_twice().begin(first).say(end(status));
        program.hears(second, 0, head.size()).say(all);
        CHECK(program.asked.end() == "connected connected 200 length 3 end");
        CHECK(world.failures(0, CallFailure::status) == 1);
    }
    Backend alone;
    World world({&alone});
    Program program(world);
    CHECK(program.hears(alone, end(ProtocolStatus::overloaded)) == "connected failed 503");
    CHECK(program.asked.reason == "the peer takes no further request");
}

TEST_CASE("an answer to HEAD, and one that has no body, ends with the request and not before",
          "[call][fastcgi]") {
    Backend backend;
    World world({&backend});
    Program program(world);
    program.asked.question.bodiless = true;
    Conversation& talk = program.begin(backend);
    talk.say(out("Content-Length: 3\n\nyes"));
    REQUIRE(world.until([&] { return program.asked.status == 200; }));
    world.settle();
    CHECK_FALSE(program.asked.over);
    talk.say(out("more") + end());
    CHECK(program.asked.end() == "connected 200 none 3 end");
    CHECK(program.asked.payload.empty());
    program.asked.question.bodiless = false;
    talk.heard.clear();
    program.begin(backend).say(out("Status: 204\n\n") + end());
    CHECK(program.asked.end() == "connected 204 none 0 end");
}

TEST_CASE("a program that dies after its whole response has answered", "[call][fastcgi]") {
    for (const std::string& bytes :
         {out("Content-Length: 3\n\nyes"), out("X: y\n\nyes") + out(""), out("Status: 304\n\n")}) {
        Backend backend;
        World world({&backend});
        Program program(world);
        CHECK(program.hears(backend, bytes, true).ends_with(" end"));
        CHECK(world.all_failures(0) == 0);
    }
}

TEST_CASE("a program that dies within its response leaves one that is not whole", "[call][fastcgi]") {
    for (const std::string& bytes :
         {out("Content-Length: 4\n\nyes"), out("X: y\n\nyes"), out("X: y\n\nyes") + "\1\6\0"s}) {
        Backend backend;
        World world({&backend});
        Program program(world);
        CHECK(program.hears(backend, bytes, true).ends_with(" failed 502"));
        CHECK(program.asked.payload == "yes");
        CHECK(world.failures(0, CallFailure::reset) == 1);
    }
    Backend backend;
    World world({&backend});
    Program program(world);
    CHECK(program.hears(backend, out("Content-Length: 4\n\nyes") + end()) ==
          "connected 200 length 4 failed 502");
    CHECK(program.asked.reason == "the response is shorter than its length");
}

TEST_CASE("what is no answer of a program is refused, with a reason", "[call][fastcgi]") {
    const std::pair<std::string, std::string> cases[]{
        {"HTTP/1.1 400 Bad Request\r\n\r\n", "it does not speak FastCGI"},
        {record(Type::standard_out, "X: y\n\n", 2), "it answers another request"},
        {record(Type::end_request, "short"), "its end is malformed"},
        {end(ProtocolStatus::unknown_role), "it is no responder"},
        {end(static_cast<ProtocolStatus>(9)), "it is no responder"},
        {err("Primary script unknown") + end(), "it ended without a response"},
        {out("X: y\n") + end(), "its header is cut off"},
        {out("no header\n\n"), "its header is malformed"},
        {out("X: " + std::string(70'000 - 10, 'x').substr(0, 65'000)) + out(std::string(2000, 'x')),
         "its header is too large"},
    };
    for (const auto& [bytes, reason] : cases) {
        CAPTURE(reason);
        Backend backend;
        World world({&backend});
        Program program(world);
        CHECK(program.hears(backend, bytes) == "connected failed 502");
        CHECK(program.asked.reason == reason);
        CHECK(world.failures(0, CallFailure::malformed) == 1);
    }
}

TEST_CASE("a program that says nothing in time is left, and another is asked", "[call][fastcgi]") {
    Backend first, second;
    World world({&first, &second}, second_is_backup(second));
    Program program(world);
    program.asked.terms.read_timeout = 50ms;
    program.begin(first);
    program.hears(second, 0, head.size()).say(all);
    CHECK(program.asked.end() == "connected connected 200 length 3 end");
    CHECK(world.failures(0, CallFailure::read_timeout) == 1);
}

TEST_CASE("megabytes on the side do not hold up the answer", "[call][fastcgi]") {
    Backend backend;
    World world({&backend});
    Program program(world);
    std::string bytes;
    for (int i = 0; i < 40; ++i) bytes += err(std::string(50'000, 'e'));
    CHECK(program.hears(backend, bytes + all) == "connected 200 length 3 end");
    CHECK(program.asked.aside.size() == 2'000'000);
}

TEST_CASE("nothing more is read of a program while its caller pauses", "[call][fastcgi]") {
    Backend backend;
    World world({&backend});
    Program program(world);
    program.asked.in_payload = [&] { program.asked.call.pause(); };
    std::string body;
    for (int i = 0; i < 800; ++i) body += out(std::string(60'000, 'b'));
    Conversation& talk = program.begin(backend);
    talk.say(out("X: y\n\n") + body + end());
    std::size_t said = 0;
    REQUIRE(world.until([&] {
        const bool stands = program.asked.payload.size() > 0 && talk.said == said;
        said = talk.said;
        return stands;
    }));
    CHECK(program.asked.payload.size() < 1'000'000);
    CHECK_FALSE(talk.saying.empty());
    program.asked.in_payload = {};
    program.asked.call.resume();
    CHECK(program.asked.end() == "connected 200 until_end 0 end");
    CHECK(program.asked.payload.size() == 800 * 60'000);
}

TEST_CASE("of two copies of a request to programs the first good answer counts", "[call][fastcgi][hedging]") {
    Backend first, second;
    World world({&first, &second}, [](conf::Upstream& upstream) {
        upstream.peers[1].backup = true;
        upstream.hedge = {.on = true, .delay_min = 20ms, .delay_max = 20ms, .budget = 100};
    });
    Program program(world);
    program.begin(first).say(out("Server: fi"));  // a head that is not whole
    program.hears(second, 0, head.size());
    SECTION("the second one's") {
        second.talks[0].say(all);
        CHECK(program.asked.end() == "connected connected 200 length 3 end");
        CHECK(program.asked.server == "it");
        CHECK(world.until([&] { return first.talks[0].ended; }));
    }
    SECTION("the first one's, after the second one has begun its own") {
        second.talks[0].say(out("Server: sec"));
        world.settle();
        first.talks[0].say(out("rst\n\nyes") + end());
        CHECK(program.asked.end() == "connected connected 200 until_end 0 end");
        CHECK(program.asked.server == "first");
        CHECK(world.until([&] { return second.talks[0].ended; }));
    }
    SECTION("a bad one waits for the other, and is the answer when that fails") {
        second.talks[0].say(out("Status: 500\nServer: sorry\n") + out("\nsor") + out("ry") + end());
        world.settle();
        CHECK_FALSE(program.asked.over);
        first.talks[0].close();
        CHECK(program.asked.end() == "connected connected 500 until_end 0 end");
        CHECK(program.asked.server == "sorry");
    }
    CHECK(program.asked.payload == (program.asked.status == 500 ? "sorry" : "yes"));
}
