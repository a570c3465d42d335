// tests/conf/health_type_test.cpp: `health` of an upstream as it is written, and every complaint.
#include "conf/upstream_types.h"

#include <utility>

#include "tests/conf/refused.h"

using namespace conf;
using namespace std::chrono_literals;
using How = HealthCheck::How;

namespace {

Parsed<HealthCheck> health(std::string_view text) { return HealthCheckType{}.parse({text, "/"}); }

}  // namespace

TEST_CASE("a check says how it asks, and the rest has defaults", "[conf][health]") {
    const auto http = health("GET /healthz");
    REQUIRE(http);
    CHECK(http->how == How::http);
    CHECK(http->method == "GET");
    CHECK(http->target == "/healthz");
    CHECK(http->every == 5s);
    CHECK(http->timeout == 1s);
    CHECK(http->rise == 2);
    CHECK(http->fall == 3);
    CHECK((http->status_min == 200 && http->status_max == 399));
    CHECK(http->port == 0);
    CHECK((http->body.empty() && http->host.empty()));
    CHECK(health("tcp")->how == How::tcp);
    CHECK(health("off") == HealthCheck{});
}

TEST_CASE("options of a check come in any order", "[conf][health]") {
    HealthCheck wanted;
    wanted.how = How::http;
    wanted.method = "GET";
    wanted.target = "/h?x=1";
    wanted.every = 2s;
    wanted.timeout = 500ms;
    wanted.rise = 1;
    wanted.fall = 5;
    wanted.status_min = wanted.status_max = 204;
    wanted.body = "all is well";
    wanted.host = "example.org";
    wanted.port = 81;
    CHECK(health("GET /h?x=1 every 2s timeout=500ms rise=1 fall=5 status=204 \"body=all is well\" "
                 "host=example.org port=81") == wanted);
    CHECK(health("GET /h?x=1 port=81 \"body=all is well\" status=204-204 host=example.org fall=5 rise=1 "
                 "timeout=500ms every 2s") == wanted);
}

TEST_CASE("a check has a second, or as long as there is between two", "[conf][health]") {
    CHECK(health("tcp every 300ms")->timeout == 300ms);
    CHECK(health("tcp every 1h")->timeout == 1s);
    CHECK(health("tcp every 3s timeout=3s")->timeout == 3s);
}

TEST_CASE("a check prints whole, and reads back the same", "[conf][health]") {
    CHECK(HealthCheckType{}.print({}) == "off");
    CHECK(HealthCheckType{}.print(*health("tcp every 1s port=9")) ==
          "tcp every 1s timeout=1s rise=2 fall=3 port=9");
    CHECK(HealthCheckType{}.print(*health("HEAD /")) ==
          "HEAD / every 5s timeout=1s rise=2 fall=3 status=200-399");
    for (const std::string body : {"", " body=ok", " \"body=two words\"", " \"body=a \\\"quote\\\" ; x\""})
        for (const std::string host : {"", " host=[::1]:80", " host=a-b.example"})
            for (const std::string end : {"", " every 250ms", " status=200", " port=65535 rise=100 fall=1"}) {
                const auto text = "GET /x%20y" + body + host + end;
                CAPTURE(text);
                const auto check = health(text);
                REQUIRE(check);
                CHECK(health(HealthCheckType{}.print(*check)) == check);
            }
}

TEST_CASE("what is wrong with a check is said", "[conf][health]") {
    const std::vector<std::pair<std::string, std::string>> wrong{
        {"get /x", "is not one of off, tcp, GET, HEAD"},
        {"POST /x", "is not one of off, tcp, GET, HEAD"},
        {"off every 2s", "off takes nothing more"},
        {"GET", "wants a path"},
        {"GET healthz", "wants a path"},
        {"GET \"/a b\"", "wants a path"},
        {"GET every 2s", "wants a path"},
        {"GET /x every", "every wants a time"},
        {"GET /x every 99ms", "every: "},
        {"GET /x every 2d", "every: "},
        {"GET /x every 2s every 3s", "every stands there twice"},
        {"GET /x rise=1 rise=1", "rise stands there twice"},
        {"GET /x rise=0", "rise: "},
        {"GET /x fall=101", "fall: "},
        {"GET /x port=70000", "port: "},
        {"GET /x timeout=1ms", "timeout: "},
        {"GET /x every 1s timeout=2s", "timeout: 2s is longer than every 1s"},
        {"GET /x status=199", "is not a status from 200 to 599"},
        {"GET /x status=300-200", "is not a status from 200 to 599"},
        {"GET /x status=200-", "is not a status from 200 to 599"},
        {"GET /x host=", "is not a host's name"},
        {"GET /x host=a/b", "is not a host's name"},
        {"GET /x body=", "body: wants 1 to 1024 bytes"},
        {"HEAD /x body=ok", "body: the answer to HEAD has none"},
        {"tcp body=ok", "body: only GET and HEAD have one"},
        {"tcp status=200", "status: only GET and HEAD have one"},
        {"tcp host=x", "host: only GET and HEAD have one"},
        {"tcp fal=3", "did you mean"},
        {"tcp 2s", "unknown option"},
        {"tcp timeout", "unknown option"},
    };
    for (const auto& [text, complaint] : wrong) {
        CAPTURE(text);
        const auto check = health(text);
        REQUIRE_FALSE(check);
        CAPTURE(check.error());
        CHECK(check.error().find(complaint) != std::string::npos);
    }
}

TEST_CASE("a check of a port is no check of a Unix socket", "[conf][health]") {
    const std::string rest = "[route r]\npath = /\nproxy = u\n";
    CHECK(complaints("[upstream u]\npeer = unix:/run/x\nhealth = tcp\n" + rest).empty());
    const auto refused = complaints("[upstream u]\npeer = unix:/run/x\nhealth = tcp port=80\n" + rest);
    REQUIRE(refused.size() == 1);
    CHECK(refused[0] == "t:3: health: unix:/run/x has no port");
}
