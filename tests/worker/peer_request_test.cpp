#include "worker/handler/peer_request.h"

#include <arpa/inet.h>

#include <set>

#include "worker/http/parser.h"

using conf::ForwardedFields;
using worker::handler::PeerRequest;
using worker::http::Exchange;
using worker::http::Known;

namespace {

/// A route to the upstream "app" that adds nothing of its own.
conf::Route plain_route() {
    conf::Route route;
    route.handler = conf::Route::Handler::proxy;
    route.path.text = "/";
    route.proxy.upstream = "app";
    route.proxy.forwarded = ForwardedFields::off;
    route.proxy.request_id = route.proxy.trace = false;
    return route;
}

/// What a client sent, as far as a handler sees it: parsed and routed.
class Client {
 public:
    explicit Client(std::string_view head) : bytes_(head) {
        worker::http::Parser parser;
        parser.reset(exchange.request, 16'384, 8192);
        const auto parsed = parser.head(bytes_);
        REQUIRE((parsed == worker::http::Parsed::head || parsed == worker::http::Parsed::complete));
        const auto target = worker::http::parse_target(exchange.request.method(),
                                                       exchange.request.raw_target(), exchange.path_room);
        REQUIRE(target);
        exchange.request.target = *target;
    }
    Client& from(const std::string& address) {
        sockaddr_storage storage{};
        auto* in = reinterpret_cast<sockaddr_in*>(&storage);
        auto* in6 = reinterpret_cast<sockaddr_in6*>(&storage);
        if (address.find(':') == std::string::npos) {
            in->sin_family = AF_INET;
            REQUIRE(::inet_pton(AF_INET, address.c_str(), &in->sin_addr) == 1);
        } else {
            in6->sin6_family = AF_INET6;
            REQUIRE(::inet_pton(AF_INET6, address.c_str(), &in6->sin6_addr) == 1);
        }
        exchange.peer = worker::connection::Peer::from(storage);
        return *this;
    }
    /// The head that the peer gets.
    [[nodiscard]] std::string asks(const conf::Route& route, bool upgrade = false) const {
        const worker::execution::Clock clock;
        PeerRequest request(route, {.slot = 3, .pid = 42}, clock);
        std::string out;
        request.append(out, exchange, {.upgrade = upgrade, .host = "app"});
        return out;
    }

    Exchange exchange;

 private:
    std::string bytes_;
};

std::string get(const std::string& lines) {
    return "GET /a HTTP/1.1\r\nHost: h.example\r\n" + lines + "\r\n";
}

/// The request line's target that a peer gets for one.
std::string target_of(const conf::Route& route, const std::string& target,
                      const std::string& method = "GET") {
    const std::string head =
        Client(method + " " + target + " HTTP/1.1\r\nHost: h.example\r\n\r\n").asks(route);
    REQUIRE(head.starts_with(method + " "));
    const auto begin = method.size() + 1;
    return head.substr(begin, head.find(" HTTP/1.1\r\n") - begin);
}

/// The value of the only such line; "-" when there is none.
std::string value_of(const std::string& head, const std::string& name) {
    const auto at = head.find("\r\n" + name + ": ");
    if (at == std::string::npos) return "-";
    CHECK(head.find("\r\n" + name + ": ", at + 1) == std::string::npos);
    const auto begin = at + name.size() + 4;
    return head.substr(begin, head.find("\r\n", begin) - begin);
}

}  // namespace

TEST_CASE("a request is rebuilt: its line, Host, its fields in order, Via", "[peer_request]") {
    const Client client(
        "GET /a?b=c HTTP/1.1\r\nX-A:  b \r\nHost: h.example:81\r\naccept: */*\r\nX-A: c\r\n\r\n");
    CHECK(client.asks(plain_route()) ==
          "GET /a?b=c HTTP/1.1\r\nHost: h.example:81\r\nX-A: b\r\naccept: */*\r\nX-A: c\r\nVia: 1.1 "
          "reeve\r\n\r\n");
}

TEST_CASE("the peer is spoken to in HTTP/1.1, and Via says what the client spoke", "[peer_request]") {
    const auto head =
        Client("GET /a HTTP/1.0\r\nHost: h\r\nVia: 1.1 before\r\nVia: 1.0 fred\r\n\r\n").asks(plain_route());
    CHECK(head.starts_with("GET /a HTTP/1.1\r\n"));
    CHECK(value_of(head, "Via") == "1.1 before, 1.0 fred, 1.0 reeve");
}

TEST_CASE("Host is the client's, of the absolute form first, else the upstream's name", "[peer_request]") {
    CHECK(value_of(Client(get("")).asks(plain_route()), "Host") == "h.example");
    CHECK(value_of(Client("GET http://other:80/x HTTP/1.1\r\nHost: h\r\n\r\n").asks(plain_route()), "Host") ==
          "other:80");
    CHECK(value_of(Client("GET /a HTTP/1.0\r\n\r\n").asks(plain_route()), "Host") == "app");
}

// ---- the target ---------------------------------------------------------------------------------

TEST_CASE("a target that needed no cleaning goes on as it came", "[peer_request]") {
    const auto route = plain_route();
    for (const std::string target : {"/", "/a/b", "/a%20b", "/%7Ea/%C3%BC", "/a%3Fb", "/a%25", "/a?",
                                     "/a?b=%zz&c", "/a?b?c", "/a;b=c", "/a%2Fb", "/a\"b"}) {
        CAPTURE(target);
        CHECK(target_of(route, target) == target);
    }
}

TEST_CASE("a target that was cleaned goes on as it was routed", "[peer_request]") {
    const auto route = plain_route();
    CHECK(target_of(route, "/a/../b?c=..") == "/b?c=..");
    CHECK(target_of(route, "//a///b") == "/a/b");
    CHECK(target_of(route, "/a/%2e%2e/b%20c") == "/b%20c");
    CHECK(target_of(route, "/./a%3Fb%25") == "/a%3Fb%25");
    CHECK(target_of(route, "/x/..%2fadmin") == "/admin");
    CHECK(target_of(route, "http://h/x/../a%20b?c") == "/a%20b?c");
    CHECK(target_of(route, "http://h") == "/");
    CHECK(target_of(route, "http://h?x=/y") == "/?x=/y");
}

TEST_CASE("with strip_prefix the peer sees what follows the route's path", "[peer_request]") {
    auto route = plain_route();
    route.strip_prefix = true;
    route.path.text = "/api/";
    CHECK(target_of(route, "/api/x%20y?z=1") == "/x%20y?z=1");
    CHECK(target_of(route, "/api/") == "/");
    CHECK(target_of(route, "/api//x/../y") == "/y");
    route.path.text = "/api";
    CHECK(target_of(route, "/api") == "/");
    CHECK(target_of(route, "/api/x") == "/x");
    CHECK(target_of(route, "/apix%3f") == "/x%3F");
}

TEST_CASE("rewrite replaces what it matches, and leaves what it does not", "[peer_request]") {
    auto route = plain_route();
    route.proxy.rewrite = {"^/old/(.*)", "/new/\\1"};
    CHECK(target_of(route, "/old/a%20b?c=d") == "/new/a%20b?c=d");
    CHECK(target_of(route, "/other/old/a") == "/other/old/a");
    route.proxy.rewrite = {"^/(\\d+)/(\\w+)$", "\\2/\\1"};
    CHECK(target_of(route, "/12/ab") == "/ab/12");
    route.proxy.rewrite = {"^/item/(\\d+)", "/show?id=\\1&x=y"};
    CHECK(target_of(route, "/item/7") == "/show?id=7&x=y");
    CHECK(target_of(route, "/item/7?z=1") == "/show?id=7&x=y&z=1");
}

TEST_CASE("what a client sent cannot become a query, a fragment or a line by rewrite", "[peer_request]") {
    auto route = plain_route();
    route.proxy.rewrite = {"^/old/(.*)", "/new/\\1"};
    CHECK(target_of(route, "/old/a%3Fadmin=1") == "/new/a%3Fadmin=1");
    CHECK(target_of(route, "/old/a%3Fadmin=1?b") == "/new/a%3Fadmin=1?b");
    CHECK(target_of(route, "/old/a%23b") == "/new/a%23b");
    CHECK(target_of(route, "/old/a%20HTTP/1.0") == "/new/a%20HTTP/1.0");
    CHECK(target_of(route, "/old/%2541") == "/new/%2541");
    route.proxy.rewrite = {"^/item/(.*)", "/show?id=\\1"};
    CHECK(target_of(route, "/item/a%20%23b") == "/show?id=a%20%23b");
    CHECK(target_of(route, "/item/a%3Fb?c=d") == "/show?id=a%3Fb&c=d");
}

// ---- fields -------------------------------------------------------------------------------------

TEST_CASE("what belongs to the client's connection stays there", "[peer_request]") {
    const auto head =
        Client(get("Connection: keep-alive, X-Private, Close\r\nX-Private: a\r\nKeep-Alive: 5\r\n"
                   "Proxy-Connection: x\r\nTE: trailers\r\nTrailer: X\r\nUpgrade: h2c\r\n"
                   "Expect: 100-continue\r\nX-Public: b\r\n"))
            .asks(plain_route());
    CHECK(head == "GET /a HTTP/1.1\r\nHost: h.example\r\nX-Public: b\r\nVia: 1.1 reeve\r\n\r\n");
}

TEST_CASE("fields that Connection names are left out in any case, over several lines", "[peer_request]") {
    const auto head = Client(get("Connection: x-a\r\nX-A: 1\r\nX-B: 2\r\nconnection: X-B\r\nX-C: 3\r\n"))
                          .asks(plain_route());
    CHECK(value_of(head, "X-A") == "-");
    CHECK(value_of(head, "X-B") == "-");
    CHECK(value_of(head, "X-C") == "3");
}

TEST_CASE("naming Host or our own fields in Connection takes nothing away", "[peer_request]") {
    auto route = plain_route();
    route.proxy.forwarded = ForwardedFields::both;
    route.proxy.set_header = {{"X-Real", "yes"}};
    const auto head =
        Client(get("Connection: Host, X-Forwarded-For, Forwarded, Via, X-Real, Content-Length\r\n"))
            .from("192.0.2.1")
            .asks(route);
    CHECK(value_of(head, "Host") == "h.example");
    CHECK(value_of(head, "X-Forwarded-For") == "192.0.2.1");
    CHECK(value_of(head, "Forwarded").find("for=192.0.2.1") != std::string::npos);
    CHECK(value_of(head, "Via") == "1.1 reeve");
    CHECK(value_of(head, "X-Real") == "yes");
}

TEST_CASE("an upgrade is asked for in our own words", "[peer_request]") {
    const Client client(
        get("Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n"));
    const auto head = client.asks(plain_route(), true);
    CHECK(value_of(head, "Connection") == "upgrade");
    CHECK(value_of(head, "Upgrade") == "websocket");
    CHECK(value_of(head, "Sec-WebSocket-Key") == "k");
    CHECK(value_of(client.asks(plain_route()), "Upgrade") == "-");
}

TEST_CASE("the framing of a body is ours", "[peer_request]") {
    const auto framed = [](const std::string& head, bool follows, std::optional<std::uint64_t> length) {
        Client client(head);
        client.exchange.body_follows = follows;
        client.exchange.body_length = length;
        const auto out = client.asks(plain_route());
        return value_of(out, "Content-Length") + " " + value_of(out, "Transfer-Encoding");
    };
    const std::string post = "POST /a HTTP/1.1\r\nHost: h\r\n";
    CHECK(framed(post + "Content-Length: 005\r\n\r\n", true, 5) == "5 -");
    CHECK(framed(post + "Transfer-Encoding: CHUNKED\r\n\r\n", true, std::nullopt) == "- chunked");
    CHECK(framed(post + "Content-Length: 0\r\n\r\n", false, std::nullopt) == "0 -");
    CHECK(framed(post + "\r\n", false, std::nullopt) == "0 -");
    CHECK(framed("GET /a HTTP/1.1\r\nHost: h\r\n\r\n", false, std::nullopt) == "- -");
    CHECK(framed("DELETE /a HTTP/1.1\r\nHost: h\r\n\r\n", false, std::nullopt) == "- -");
    CHECK(framed("GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n", true, 3) == "3 -");
}

TEST_CASE("an error page is a GET without a body, whatever the client asked", "[peer_request]") {
    Client client("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n");
    client.exchange.error = 404;
    client.exchange.body_follows = true;
    client.exchange.body_length = 5;
    client.exchange.request.target = {.path = "/404.html"};
    CHECK(client.asks(plain_route()) == "GET /404.html HTTP/1.1\r\nHost: h\r\nVia: 1.1 reeve\r\n\r\n");
}

// ---- who the client is --------------------------------------------------------------------------

TEST_CASE("fields that are there and say nothing begin no list", "[peer_request]") {
    auto route = plain_route();
    route.proxy.forwarded = ForwardedFields::both;
    const auto head =
        Client(get("X-Forwarded-For:\r\nForwarded: \r\nVia:\r\n")).from("192.0.2.1").asks(route);
    CHECK(value_of(head, "X-Forwarded-For") == "192.0.2.1");
    CHECK(value_of(head, "Forwarded") == "for=192.0.2.1;host=\"h.example\";proto=http");
    CHECK(value_of(head, "Via") == "1.1 reeve");
}

TEST_CASE("X-Forwarded-For grows, -Proto and -Host are ours alone", "[peer_request]") {
    auto route = plain_route();
    route.proxy.forwarded = ForwardedFields::x_forwarded;
    const auto head =
        Client(get("X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\n"
                   "X-Forwarded-Host: evil\r\nX-Forwarded-For: 10.0.0.2\r\nForwarded: for=x\r\n"))
            .from("192.0.2.1")
            .asks(route);
    CHECK(value_of(head, "X-Forwarded-For") == "10.0.0.1, 10.0.0.2, 192.0.2.1");
    CHECK(value_of(head, "X-Forwarded-Proto") == "http");
    CHECK(value_of(head, "X-Forwarded-Host") == "h.example");
    CHECK(value_of(head, "Forwarded") == "for=x");
}

TEST_CASE("Forwarded grows by the client as RFC 7239 writes it", "[peer_request]") {
    auto route = plain_route();
    route.proxy.forwarded = ForwardedFields::forwarded;
    const std::string lines = "Forwarded: for=10.0.0.1\r\nX-Forwarded-For: 10.0.0.1\r\n";
    const auto head = Client(get(lines)).from("192.0.2.1").asks(route);
    CHECK(value_of(head, "Forwarded") == "for=10.0.0.1, for=192.0.2.1;host=\"h.example\";proto=http");
    CHECK(value_of(head, "X-Forwarded-For") == "10.0.0.1");
    CHECK(value_of(Client(get("")).from("2001:db8::1").asks(route), "Forwarded") ==
          "for=\"[2001:db8::1]\";host=\"h.example\";proto=http");
    CHECK(value_of(Client(get("")).asks(route), "Forwarded") == "for=unknown;host=\"h.example\";proto=http");
    CHECK(value_of(Client("GET / HTTP/1.0\r\n\r\n").from("192.0.2.1").asks(route), "Forwarded") ==
          "for=192.0.2.1;proto=http");
}

TEST_CASE("a secure client is https to the peer", "[peer_request]") {
    auto route = plain_route();
    route.proxy.forwarded = ForwardedFields::both;
    Client client(get(""));
    client.from("192.0.2.1").exchange.secure = true;
    const auto head = client.asks(route);
    CHECK(value_of(head, "X-Forwarded-Proto") == "https");
    CHECK(value_of(head, "Forwarded").ends_with("proto=https"));
}

TEST_CASE("with forwarded = off the client's own fields go on as they are", "[peer_request]") {
    const auto head = Client(get("X-Forwarded-For: 10.0.0.1\r\nForwarded: for=x\r\n"))
                          .from("192.0.2.1")
                          .asks(plain_route());
    CHECK(value_of(head, "X-Forwarded-For") == "10.0.0.1");
    CHECK(value_of(head, "Forwarded") == "for=x");
    CHECK(value_of(head, "X-Forwarded-Proto") == "-");
}

TEST_CASE("no client's field looks like one of a job to who also does jobs", "[peer_request]") {
    const Client client(get("Job-Id: 1\r\nJOB_ATTEMPT: 2\r\nJobs: 3\r\nIdempotency-Key: \"4\"\r\n"));
    auto route = plain_route();
    CHECK(value_of(client.asks(route), "Job-Id") == "1");
    route.hides_job_fields = true;
    const auto head = client.asks(route);
    CHECK(value_of(head, "Job-Id") == "-");
    CHECK(value_of(head, "JOB_ATTEMPT") == "-");
    CHECK(value_of(head, "Jobs") == "3");
    CHECK(value_of(head, "Idempotency-Key") == "\"4\"");
    route.proxy.set_header = {{"Job-Id", "ours"}};
    CHECK(value_of(client.asks(route), "Job-Id") == "ours");
}

TEST_CASE("ids are made where the client sent none, each another one", "[peer_request]") {
    auto route = plain_route();
    route.proxy.request_id = route.proxy.trace = true;
    const worker::execution::Clock clock;
    PeerRequest request(route, {}, clock);
    const Client client(get(""));
    std::set<std::string> seen;
    for (int count = 0; count < 1000; ++count) {
        std::string head;
        request.append(head, client.exchange, {});
        const auto id = value_of(head, "X-Request-Id"), trace = value_of(head, "traceparent");
        CHECK(seen.insert(id).second);
        CHECK(seen.insert(trace).second);
        CHECK(id.size() == 32);
        CHECK(id.find_first_not_of("0123456789abcdef") == std::string::npos);
        CHECK(trace.size() == 55);
        CHECK(trace.starts_with("00-"));
        CHECK(trace.substr(3, 32) == id);
        CHECK(trace.ends_with("-01"));
        CHECK(trace[35] == '-');
    }
    const auto kept = Client(get("X-Request-ID: mine\r\nTraceparent: 00-a-b-00\r\n")).asks(route);
    CHECK(value_of(kept, "X-Request-ID") == "mine");
    CHECK(value_of(kept, "X-Request-Id") == "-");
    CHECK(value_of(kept, "Traceparent") == "00-a-b-00");
    CHECK(value_of(kept, "traceparent") == "-");
}

// ---- set_header ---------------------------------------------------------------------------------

TEST_CASE("set_header takes the place of the client's fields and of ours, in any case", "[peer_request]") {
    auto route = plain_route();
    route.proxy.forwarded = ForwardedFields::both;
    route.proxy.request_id = route.proxy.trace = true;
    route.proxy.set_header = {{"host", "inner"},
                              {"x-a", "ours"},
                              {"X-FORWARDED-FOR", "$remote_addr"},
                              {"forwarded", "for=_x"},
                              {"x-request-id", "id"},
                              {"Via", "none"},
                              {"Traceparent", "t"},
                              {"X-Forwarded-Proto", "wss"}};
    const auto head = Client(get("X-A: theirs\r\nx-A: too\r\nVia: 1.1 x\r\n")).from("192.0.2.1").asks(route);
    CHECK(head ==
          "GET /a HTTP/1.1\r\nX-Forwarded-Host: h.example\r\nhost: inner\r\nx-a: ours\r\n"
          "X-FORWARDED-FOR: 192.0.2.1\r\nforwarded: for=_x\r\nx-request-id: id\r\nVia: none\r\nTraceparent: "
          "t\r\n"
          "X-Forwarded-Proto: wss\r\n\r\n");
}

TEST_CASE("set_header without a value takes a field away, also ours", "[peer_request]") {
    auto route = plain_route();
    route.proxy.forwarded = ForwardedFields::x_forwarded;
    route.proxy.set_header = {
        {"Cookie", ""}, {"Via", ""}, {"X-Forwarded-Host", ""}, {"X-Forwarded-Proto", ""}};
    CHECK(Client(get("Cookie: a\r\nCOOKIE: b\r\nX-B: c\r\n")).from("192.0.2.1").asks(route) ==
          "GET /a HTTP/1.1\r\nHost: h.example\r\nX-B: c\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n");
}

TEST_CASE("no variable in set_header makes a line of its own", "[peer_request]") {
    auto route = plain_route();
    route.proxy.set_header = {{"X-Path", "<$path>"}, {"X-Args", "$args"}, {"X-Worker", "$worker/$pid"}};
    Client client("GET /a%20b?c=%0d%0aX:y HTTP/1.1\r\nHost: h\r\n\r\n");
    auto head = client.asks(route);
    CHECK(value_of(head, "X-Path") == "</a b>");
    CHECK(value_of(head, "X-Args") == "c=%0d%0aX:y");
    CHECK(value_of(head, "X-Worker") == "3/42");
    // Routing refuses such a path; should it ever come, it still is one line.
    client.exchange.request.target.path = std::string_view("/\r\nX: y\0\x7f\t\x80", 11);
    head = client.asks(route);
    CHECK(value_of(head, "X-Path") == "</  X: y  \t\x80>");
}

TEST_CASE("what belongs to one connection is known by name", "[peer_request]") {
    using worker::handler::is_hop_by_hop;
    for (const Known name :
         {Known::connection, Known::content_length, Known::keep_alive, Known::proxy_connection, Known::te,
          Known::trailer, Known::transfer_encoding, Known::upgrade})
        CHECK(is_hop_by_hop(name));
    for (const Known name : {Known::host, Known::other, Known::via, Known::date, Known::set_cookie})
        CHECK_FALSE(is_hop_by_hop(name));
}
