#include "conf/upstream_types.h"

#include "tests/conf/refused.h"

using namespace conf;
using namespace std::chrono_literals;

namespace {

template <class Type>
std::string complaint(const Type& type, std::string_view text) {
    const auto parsed = type.parse({text, "/etc/reeve"});
    return parsed ? "" : parsed.error();
}

UpstreamPeer peer(std::string_view text) {
    const auto parsed = PeerType{}.parse({text, "/etc/reeve"});
    if (!parsed) FAIL(parsed.error());
    REQUIRE(parsed->size() == 1);
    return parsed->front();
}

/// Printed, and read again, it is the same; what was printed.
std::string again(const UpstreamPeer& one) {
    const auto text = PeerType{}.print(one);
    CHECK(peer(text) == one);
    return text;
}

template <class Type>
std::string again(const Type& type, std::string_view text) {
    const auto parsed = type.parse({text, "/etc/reeve"});
    if (!parsed) FAIL(parsed.error());
    const auto printed = type.print(*parsed);
    const auto second = type.parse({printed, "/etc/reeve"});
    if (!second) FAIL(second.error());
    CHECK(*second == *parsed);
    return printed;
}

}  // namespace

TEST_CASE("a peer is an address and its options, in any order", "[conf]") {
    CHECK(peer("127.0.0.1:9000") ==
          UpstreamPeer{{Address::Family::ipv4, "127.0.0.1", 9000}, 1, false, false, 0, {}});
    CHECK(peer("[::1]:9000 max_conns=7 down backup weight=3") ==
          UpstreamPeer{{Address::Family::ipv6, "::1", 9000}, 3, true, true, 7, {}});
    CHECK(peer("unix:/run/x.sock backup") ==
          UpstreamPeer{{Address::Family::unix_path, "/run/x.sock", 0}, 1, true, false, 0, {}});
    CHECK(peer("unix:x.sock").address.host == "/etc/reeve/x.sock");
    CHECK(peer("localhost:80").address.text() == "127.0.0.1:80");
    CHECK(peer("10.0.0.1:80 weight=65535 max_conns=1000000").weight == 65'535);
    CHECK(peer("10.0.0.1:80 max_conns=0").max_conns == 0);
}

TEST_CASE("a peer may be a name with a port, or the name of a service", "[conf][dns]") {
    const auto app = peer("App.Example.:8080 peers_max=4 weight=2");
    CHECK(app.is_name());
    CHECK(app.name == "app.example");
    CHECK(app.address.port == 8080);
    CHECK(app.peers_max == 4);
    CHECK_FALSE(app.service);
    CHECK(again(app) == "app.example:8080 weight=2 peers_max=4");
    const auto service = peer("_http._tcp.app.example backup");
    CHECK(service.service);
    CHECK(service.text() == "_http._tcp.app.example");
    CHECK(again(service) == "_http._tcp.app.example weight=1 backup peers_max=16");
    CHECK(peer("a:80").is_name());
    CHECK_FALSE(peer("localhost:80").is_name());
    CHECK_FALSE(peer("10.0.0.1:80").is_name());
}

TEST_CASE("what is neither an address nor a name is no peer", "[conf][dns]") {
    for (const std::string_view text :
         {"10.0.0.256:80", "app.example", "app..example:80", "-app.example:80", "app.example-:80", ".:80",
          "a b:80", "app.example:0", "app.example:http", "1.2.3:80", "app/example:80"}) {
        CAPTURE(text);
        CHECK_FALSE(PeerType{}.parse({text, "/etc/reeve"}));
    }
    CHECK_FALSE(PeerType{}.parse({std::string(64, 'a') + ".example:80", "/etc/reeve"}));
    CHECK_FALSE(PeerType{}.parse({"app.example:80 peers_max=0", "/etc/reeve"}));
    CHECK_FALSE(PeerType{}.parse({"app.example:80 peers_max=65", "/etc/reeve"}));
    CHECK(complaint(PeerType{}, "10.0.0.1:80 peers_max=4") ==
          "peers_max: 10.0.0.1:80 is no name, and has one address");
}

TEST_CASE("name servers are addresses, with a port or without", "[conf][dns]") {
    const auto servers = NameServers{}.parse({"10.0.0.2 127.0.0.1:5353 [::1]:54 [::2]", "/etc/reeve"});
    REQUIRE(servers);
    REQUIRE(servers->size() == 4);
    CHECK((*servers)[0].text() == "10.0.0.2:53");
    CHECK((*servers)[1].text() == "127.0.0.1:5353");
    CHECK((*servers)[2].text() == "[::1]:54");
    CHECK((*servers)[3].text() == "[::2]:53");
    for (const std::string_view text : {"dns.example", "unix:/run/dns", "*:53", "0.0.0.0", "10.0.0.2:0"}) {
        CAPTURE(text);
        CHECK_FALSE(NameServers{}.parse({text, "/etc/reeve"}));
    }
}

TEST_CASE("a peer is printed as it reads", "[conf]") {
    CHECK(again(peer("127.0.0.1:9000")) == "127.0.0.1:9000 weight=1");
    CHECK(again(peer("[::1]:9000 down weight=3 max_conns=7 backup")) ==
          "[::1]:9000 weight=3 backup down max_conns=7");
    CHECK(again(peer("\"unix:/run/a b.sock\" down")) == "\"unix:/run/a b.sock\" weight=1 down");
}

TEST_CASE("a peer that is none is refused with what is wrong", "[conf]") {
    const PeerType type;
    CHECK(complaint(type, "example..org:80").starts_with("\"example..org\" is not a numeric address"));
    CHECK(complaint(type, "127.0.0.1:http") == "port \"http\" is not a number, 1 to 65535");
    CHECK(complaint(type, "127.0.0.1:0") == "port \"0\" is not a number, 1 to 65535");
    CHECK(complaint(type, "*:80") == "0.0.0.0:80 is nobody's address: write the peer's");
    CHECK(complaint(type, "0.0.0.0:80") == "0.0.0.0:80 is nobody's address: write the peer's");
    CHECK(complaint(type, "[::]:80") == "[::]:80 is nobody's address: write the peer's");
    CHECK(complaint(type, "8080") == "0.0.0.0:8080 is nobody's address: write the peer's");
    CHECK(complaint(type, "unix:/" + std::string(107, 'x')).find("is longer than the 107 bytes") !=
          std::string::npos);
    CHECK(complaint(type, "127.0.0.1:80 weight=0") == "weight: \"0\" is not a number, 1 to 65535");
    CHECK(complaint(type, "127.0.0.1:80 weight=65536") == "weight: \"65536\" is not a number, 1 to 65535");
    CHECK(complaint(type, "127.0.0.1:80 weight=") == "weight: \"\" is not a number, 1 to 65535");
    CHECK(complaint(type, "127.0.0.1:80 max_conns=-1") == "max_conns: \"-1\" is not a number, 0 to 1000000");
    CHECK(complaint(type, "127.0.0.1:80 max_conns=1000001") ==
          "max_conns: \"1000001\" is not a number, 0 to 1000000");
    CHECK(complaint(type, "127.0.0.1:80 backupp") == "unknown option \"backupp\"; did you mean `backup`?");
    CHECK(complaint(type, "127.0.0.1:80 weight").starts_with("unknown option \"weight\""));
    CHECK(complaint(type, "127.0.0.1:80 weights=2").starts_with("unknown option \"weights=2\""));
    CHECK(
        complaint(type, "127.0.0.1:80 fail_timeout=10s").starts_with("unknown option \"fail_timeout=10s\""));
    CHECK(complaint(type, "127.0.0.1:80 \"open") == "a quote is not closed");
}

TEST_CASE("a balance is a name, and of hash a key with variables", "[conf]") {
    const BalanceType type;
    CHECK(again(type, "round_robin") == "round_robin");
    CHECK(again(type, "least_conn") == "least_conn");
    CHECK(again(type, "random_two") == "random_two");
    CHECK(again(type, "hash $uri") == "hash $uri");
    CHECK(again(type, "hash $host$uri $$x") == "hash $host$uri $$x");
    CHECK(again(type, "hash \" $uri ; \"") == "hash \" $uri ; \"");
    CHECK(type.parse({"hash $remote_addr", ""})->key == "$remote_addr");
    CHECK(type.parse({"hash \"$uri\"", ""})->key == "$uri");
}

TEST_CASE("a balance that is none is refused with what is wrong", "[conf]") {
    const BalanceType type;
    CHECK(complaint(type, "hash") == "hash wants a key: `hash $uri`");
    CHECK(complaint(type, "hash \"\"") == "hash wants a key: `hash $uri`");
    CHECK(complaint(type, "hash $hots").starts_with("unknown variable \"$hots\""));
    CHECK(complaint(type, "hash $").starts_with("unknown variable"));
    CHECK(complaint(type, "least_conn $uri") == "least_conn takes nothing more, and here is \"$uri\"");
    CHECK(
        complaint(type, "least_con") ==
        "\"least_con\" is not one of round_robin, least_conn, random_two, hash; did you mean `least_conn`?");
    CHECK(complaint(type, "ip_hash")
              .starts_with("\"ip_hash\" is not one of round_robin, least_conn, random_two, hash"));
}

TEST_CASE("a rewrite is a regular expression and what takes its place", "[conf]") {
    const RewriteType type;
    CHECK(again(type, "^/old/(.*) /new/\\1") == "^/old/(.*) /new/\\1");
    CHECK(again(type, "\"^/a b\" \"/c d\"") == "\"^/a b\" \"/c d\"");
    CHECK(again(type, "^/a \"\"") == "^/a \"\"");
    CHECK(*type.parse({"^/old/(.*) /new?x=\\1", ""}) == Rewrite{"^/old/(.*)", "/new?x=\\1"});
    CHECK(type.print(Rewrite{}).empty());
}

TEST_CASE("a rewrite that is none is refused with what is wrong", "[conf]") {
    const RewriteType type;
    CHECK(complaint(type, "^/a") == "\"^/a\" is not `REGEX REPLACEMENT`");
    CHECK(complaint(type, "^/a /b last") == "\"^/a /b last\" is not `REGEX REPLACEMENT`");
    CHECK(complaint(type, "^/(a /b") == "\"^/(a\" is not a regular expression: missing ): ^/(a");
    CHECK(complaint(type, "\"\" /b") == "an empty regular expression");
    CHECK_FALSE(complaint(type, "^/a /\\1").empty());
    CHECK(complaint(type, "^/a /\\1").starts_with("\"/\\1\": "));
    CHECK_FALSE(complaint(type, "^/(a) /\\2").empty());
    CHECK_FALSE(complaint(type, "^/(a) /\\").empty());
    CHECK(complaint(type, "^/a \"/b") == "a quote is not closed");
}

TEST_CASE("sticky reads back as it was written", "[conf]") {
    const StickyType type;
    for (const std::string text :
         {"off", "cookie a path=/",
          "cookie a path=/b domain=x.org expires=30s httponly secure samesite=none secret=x",
          "cookie a path=/ samesite=strict", "cookie a \"path=/b c\""}) {
        CAPTURE(text);
        const auto sticky = type.parse({text, "/"});
        REQUIRE(sticky);
        CHECK(type.print(*sticky) == text);
    }
    CHECK(type.parse({"cookie a", "/"})->path == "/");
}

TEST_CASE("a sticky that is none is refused with what is wrong", "[conf]") {
    const StickyType type;
    CHECK(complaint(type, "route") == "\"route\" is not `off` or `cookie NAME` and attributes");
    CHECK(complaint(type, "cookie") == "\"cookie\" is not `off` or `cookie NAME` and attributes");
    CHECK(complaint(type, "cookie a=b") == "\"a=b\" is not the name of a cookie");
    CHECK(complaint(type, "cookie a path=b") == "path: \"b\" does not begin with /");
    CHECK(complaint(type, "cookie a path=") == "path: it is empty");
    CHECK(complaint(type, "cookie a \"path=/;x\"") == "path: \"/;x\" cannot stand in a cookie");
    CHECK(complaint(type, "cookie a domain=\xC3\xA4") == "domain: \"\xC3\xA4\" cannot stand in a cookie");
    CHECK(complaint(type, "cookie a expires=1500ms") == "expires: only whole seconds");
    CHECK(complaint(type, "cookie a expires=0").starts_with("expires: "));
    CHECK(complaint(type, "cookie a samesite=laxe").starts_with("samesite: "));
    CHECK(complaint(type, "cookie a samesite=none").starts_with("samesite=none wants `secure`"));
    CHECK(complaint(type, "cookie a HttpOnly").starts_with("unknown attribute \"HttpOnly\""));
}

TEST_CASE("a rewrite of cookies is two words", "[conf]") {
    const CookieRewriteType type;
    const auto one = type.parse({"/app/ \"\"", "/"});
    REQUIRE(one);
    CHECK(one->at(0) == CookieRewrite{"/app/", ""});
    CHECK(type.print(one->at(0)) == "/app/ \"\"");
    CHECK(complaint(type, "/app/") == "\"/app/\" is not `FROM TO`");
    CHECK(complaint(type, "\"\" /") == "FROM is empty");
    CHECK(complaint(type, "/ /;") == "\"/;\" cannot stand in a cookie");
}

TEST_CASE("every setting of an upstream goes where it belongs", "[conf]") {
    const auto config = loaded(R"(
[upstream app]
peer = 127.0.0.1:9000 weight=2
  127.0.0.1:9001
peer = unix:/run/app.sock backup
balance = hash $uri
keepalive = 7
keepalive_timeout = 5s
keepalive_requests = 10
eject_failures = 0
eject_time = 1m
sticky = cookie route path=/a domain=.x.org expires=1h httponly secure samesite=lax secret=s
hedge = on
hedge_delay_min = 2ms
hedge_delay_max = 3s
hedge_budget = 15
hedge_max = 4
concurrency = adaptive
concurrency_min = 3
concurrency_max = 77
concurrency_tolerance = 200
[upstream plain]
peer = 127.0.0.1:1
[route all]
proxy = app
)");
    REQUIRE(config.upstreams.size() == 2);
    const Upstream& app = config.upstreams[0];
    CHECK(app.name == "app");
    REQUIRE(app.peers.size() == 3);
    CHECK(app.peers[0].weight == 2);
    CHECK(app.peers[1].address.port == 9001);
    CHECK(app.peers[2].backup);
    CHECK(app.balance == Balance{Balance::How::hash, "$uri"});
    CHECK(app.keepalive == 7);
    CHECK(app.keepalive_timeout == 5s);
    CHECK(app.keepalive_requests == 10);
    CHECK(app.eject_failures == 0);
    CHECK(app.eject_time == 1min);
    CHECK(app.sticky == Sticky{.cookie = "route",
                               .path = "/a",
                               .domain = ".x.org",
                               .expires = 1h,
                               .http_only = true,
                               .secure = true,
                               .same_site = Sticky::SameSite::lax,
                               .secret = "s"});
    CHECK(app.hedge == Hedge{.on = true, .delay_min = 2ms, .delay_max = 3s, .budget = 15, .max = 4});
    CHECK(app.concurrency == Concurrency{.adaptive = true, .min = 3, .max = 77, .tolerance = 200});
    Upstream defaults;
    defaults.name = "plain";
    defaults.peers = {peer("127.0.0.1:1")};
    CHECK(config.upstreams[1] == defaults);
}

TEST_CASE("every setting of a proxy goes where it belongs", "[conf]") {
    const auto config = loaded(R"(
[upstream app]
peer = 127.0.0.1:9000
[route all]
proxy = app
connect_timeout = 1s
read_timeout = 2s
proxy_send_timeout = 3s
send_timeout = 4s
timeout = 5s
retries = 6
retry_statuses = 502 503
  504
response_header_max = 7k
buffer = 8k
rewrite = ^/a(.*) /b\1
set_header = X-A: $remote_addr
set_header = Cookie:
hide_header = X-Powered-By X-B
cookie_domain = a.internal x.org
cookie_path = /app/ /
cookie_path = /b ""
forwarded = both
request_id = off
trace = off
rewrite_redirect = off
strip_prefix = on
)");
    const Route& route = config.routes.at(0);
    CHECK(route.handler == Route::Handler::proxy);
    CHECK(route.strip_prefix);
    CHECK(route.limits.send_timeout == 4s);
    const Proxy& proxy = route.proxy;
    CHECK(proxy.upstream == "app");
    CHECK(proxy.connect_timeout == 1s);
    CHECK(proxy.read_timeout == 2s);
    CHECK(proxy.send_timeout == 3s);
    CHECK(proxy.timeout == 5s);
    CHECK(proxy.retries == 6);
    CHECK(proxy.retry_statuses == std::vector<std::uint16_t>{502, 503, 504});
    CHECK(proxy.response_header_max == 7u << 10);
    CHECK(proxy.buffer == 8u << 10);
    CHECK(proxy.rewrite == Rewrite{"^/a(.*)", "/b\\1"});
    CHECK(proxy.set_header == std::vector<Header>{{"X-A", "$remote_addr"}, {"Cookie", ""}});
    CHECK(proxy.hide_header == std::vector<std::string>{"X-Powered-By", "X-B"});
    CHECK(proxy.cookie_domain == std::vector<CookieRewrite>{{"a.internal", "x.org"}});
    CHECK(proxy.cookie_path == std::vector<CookieRewrite>{{"/app/", "/"}, {"/b", ""}});
    CHECK(proxy.forwarded == ForwardedFields::both);
    CHECK_FALSE(proxy.request_id);
    CHECK_FALSE(proxy.trace);
    CHECK_FALSE(proxy.rewrite_redirect);
}
