// Sticky clients and rewritten cookies on the real program.
#include <algorithm>
#include <memory>
#include <set>

#include "tests/integration/check.h"
#include "tests/integration/proxied.h"

using namespace integration;

namespace {

/// Four workers, and a route for all.
Setup sticking(const std::vector<std::string>& peers, const std::string& sticky,
               const std::string& more = "") {
    std::string upstream = "[upstream u]\n" + sticky + "eject_failures = 1\n" + more;
    for (const std::string& peer : peers) upstream += "peer = " + peer + "\n";
    return {.execution = "workers = 4\n", .routes = upstream + "[route all]\npath = /\nproxy = u\n"};
}

/// "NAME=VALUE" of the answer's Set-Cookie.
std::string cookie_of(const Response& response) {
    const std::string field = response.field("Set-Cookie");
    return field.substr(0, field.find(';'));
}

std::string with(const std::string& cookie) { return "Cookie: a=b; " + cookie + "; c=d\r\n"; }

}  // namespace

TEST_CASE("a client stays with its peer, over all workers and reloads", "[integration][sticky]") {
    const TemporaryFolder folder;
    Origin one(always(answer("one"))), two(always(answer("two"))), three(always(answer("three")));
    const Server server(folder, sticking({one.address(), two.address(), three.address()},
                                         "sticky = cookie route path=/ httponly samesite=lax\n"));
    std::set<std::string> cookies, bodies;
    for (int i = 0; i < 60 && cookies.size() < 3; ++i) {
        const Response first = server.get("/");
        CHECK(first.field("Set-Cookie").ends_with("; Path=/; HttpOnly; SameSite=Lax"));
        const std::string cookie = cookie_of(first);
        CHECK(cookie.size() == std::string("route=").size() + 16);
        if (!cookies.insert(cookie).second) continue;
        bodies.insert(first.body);
        for (int again = 0; again < 12; ++again) {  // over connections, and so workers, of their own
            const Response next = server.get("/", with(cookie));
            CHECK(next.body == first.body);
            CHECK_FALSE(next.has("Set-Cookie"));
        }
        REQUIRE(server.command({"-s", "reload"}).status == 0);
        CHECK(server.get("/", with(cookie)).body == first.body);
    }
    CHECK(bodies.size() == 3);
    CHECK(server.get("/", "Cookie: route=0123456789abcdef\r\n").has("Set-Cookie"));
    const auto asked = one.asked();
    CHECK(std::any_of(asked.begin(), asked.end(), [](const auto& request) {
        return request.head.find("route=") != std::string::npos;  // it is passed on like any other
    }));
}

TEST_CASE("with a secret a cookie outlives the server", "[integration][sticky]") {
    Origin one(always(answer("one"))), two(always(answer("two")));
    const auto run = [&](const std::string& lines, const std::string& cookie) {
        const TemporaryFolder folder;
        const Server server(folder, sticking({one.address(), two.address()}, lines));
        return server.get("/", cookie.empty() ? "" : with(cookie));
    };
    const Response secret = run("sticky = cookie r secret=x\n", "");
    const Response again = run("sticky = cookie r secret=x\n", cookie_of(secret));
    CHECK(again.body == secret.body);
    CHECK_FALSE(again.has("Set-Cookie"));
    CHECK(run("sticky = cookie r\n", cookie_of(secret)).has("Set-Cookie"));
}

TEST_CASE("a client whose peer is down has another one, and its cookie says so", "[integration][sticky]") {
    const TemporaryFolder folder;
    Origin stays(always(answer("stays")));
    auto leaves = std::make_unique<Origin>(always(answer("leaves")));
    const Server server(folder, sticking({stays.address(), leaves->address()}, "sticky = cookie r\n"));
    Response first;
    eventually("the other one answers", [&] {
        first = server.get("/");
        return first.body == "leaves";
    });
    leaves.reset();
    const Response moved = server.get("/", with(cookie_of(first)));  // it is asked, and then the next
    CHECK(moved.body == "stays");
    CHECK(cookie_of(moved) != cookie_of(first));
    const Response ejected = server.get("/", with(cookie_of(first)));  // it is not asked at all
    CHECK(cookie_of(ejected) == cookie_of(moved));
    CHECK_FALSE(server.get("/", with(cookie_of(moved))).has("Set-Cookie"));
}

TEST_CASE("a client with a cookie is not hedged", "[integration][sticky][hedging]") {
    const TemporaryFolder folder;
    Origin slow([](const Asked& asked, Origin::Talk& talk) {
        if (asked.target() == "/slow" && !talk.wait()) return;
        talk.send(answer("slow"));
    });
    Origin other(always(answer("other")));
    const Server server(folder, passing_to({slow.address(), other.address() + " backup"}, "",
                                           "sticky = cookie r\nhedge = on\nhedge_delay_min = 200ms\n"
                                           "hedge_delay_max = 200ms\nhedge_budget = 100\n"));
    const Response first = server.get("/");
    CHECK(first.body == "slow");
    CHECK(server.get("/slow").body == "other");
    Client client = server.connect();
    client.send(get("/slow", with(cookie_of(first))));
    (void)slow.await(3);
    CHECK_FALSE(client.heard(600));
    slow.go();
    slow.go();
    CHECK(client.response().body == "slow");
}

TEST_CASE("cookies of a peer are for the client's domain and path", "[integration][sticky]") {
    const TemporaryFolder folder;
    Origin origin(always(answer("x",
                                "Set-Cookie: a=b; Domain=app.internal; Path=/app/x; Secure\r\n"
                                "Set-Cookie: c=d; path=/other\r\n")));
    const Server server(folder, passing_to({origin.address()},
                                           "cookie_domain = app.internal example.org\n"
                                           "cookie_path = /app/ /\n"));
    const Response response = server.get("/");
    CHECK(contains(response.head, "Set-Cookie: a=b; Domain=example.org; Path=/x; Secure\r\n"));
    CHECK(contains(response.head, "Set-Cookie: c=d; path=/other\r\n"));
}
