#include "worker/handler/cgi_params.h"

#include <arpa/inet.h>

#include <map>

#include "worker/http/fastcgi.h"
#include "worker/http/host.h"
#include "worker/http/parser.h"

using worker::handler::CgiParams;
using worker::handler::Script;

namespace {

worker::connection::Peer end_at(const char* address, std::uint16_t port) {
    sockaddr_storage storage{};
    auto* in = reinterpret_cast<sockaddr_in*>(&storage);
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    REQUIRE(::inet_pton(AF_INET, address, &in->sin_addr) == 1);
    return worker::connection::Peer::from(storage);
}

/// A request as a handler sees it, and what a program is told of it.
struct Told {
    explicit Told(std::string_view text) : bytes(text) {
        worker::http::Parser parser;
        parser.reset(exchange.request, 16'384, 8192);
        const auto parsed = parser.head(bytes);
        REQUIRE((parsed == worker::http::Parsed::head || parsed == worker::http::Parsed::complete));
        const auto target = worker::http::parse_target(exchange.request.method(),
                                                       exchange.request.raw_target(), exchange.path_room);
        REQUIRE(target);
        exchange.request.target = *target;
        exchange.request.host = worker::http::host_name(
            target->authority.empty() ? exchange.request.value(worker::http::Known::host)
                                      : target->authority);
        exchange.peer = end_at("192.0.2.7", 4711);
        script.name = target->path;
    }
    /// By name; a name that stands twice is a failure.
    std::map<std::string, std::string> params() {
        const worker::execution::Clock clock;
        CgiParams writer(route, {.slot = 3, .pid = 42}, clock);
        std::string out;
        writer.append(out, exchange,
                      {.script = script,
                       .document_root = root,
                       .local = end_at("198.51.100.1", 8080),
                       .body_bytes = body,
                       .request_id = id});
        std::map<std::string, std::string> all;
        std::string_view rest = out;
        while (const auto param = worker::http::fastcgi::take_param(rest)) {
            CAPTURE(param->name);
            CHECK(all.emplace(param->name, param->value).second);
        }
        CHECK(rest.empty());
        return all;
    }
    std::string one(const std::string& name) {
        const auto all = params();
        const auto found = all.find(name);
        return found == all.end() ? "(none)" : found->second;
    }

    std::string bytes, root, id;
    worker::http::Exchange exchange;
    conf::Route route;
    Script script;
    std::optional<std::uint64_t> body;
};

std::string get(const std::string& lines, const std::string& target = "/a") {
    return "GET " + target + " HTTP/1.1\r\nHost: h.example:81\r\n" + lines + "\r\n";
}

}  // namespace

TEST_CASE("a script is told all that CGI and PHP's programs count on", "[fastcgi][cgi]") {
    Told told(
        "POST /app/x.php/more%20info?a=b HTTP/1.1\r\nHost: h.example:81\r\nContent-Type: a/b\r\n"
        "Content-Length: 5\r\nUser-Agent: me\r\n\r\n");
    told.script = {.name = "/app/x.php", .info = "/more info", .file = "/srv/app/x.php"};
    told.root = "/srv";
    told.body = 5;
    told.id = "0123";
    const std::map<std::string, std::string> expected{
        {"SCRIPT_FILENAME", "/srv/app/x.php"},
        {"SCRIPT_NAME", "/app/x.php"},
        {"PATH_INFO", "/more info"},
        {"PATH_TRANSLATED", "/srv/more info"},
        {"DOCUMENT_ROOT", "/srv"},
        {"DOCUMENT_URI", "/app/x.php/more info"},
        {"QUERY_STRING", "a=b"},
        {"REQUEST_URI", "/app/x.php/more%20info?a=b"},
        {"REQUEST_METHOD", "POST"},
        {"REQUEST_SCHEME", "http"},
        {"CONTENT_LENGTH", "5"},
        {"CONTENT_TYPE", "a/b"},
        {"REMOTE_ADDR", "192.0.2.7"},
        {"REMOTE_PORT", "4711"},
        {"SERVER_ADDR", "198.51.100.1"},
        {"SERVER_PORT", "8080"},
        {"SERVER_NAME", "h.example"},
        {"SERVER_PROTOCOL", "HTTP/1.1"},
        {"SERVER_SOFTWARE", "reeve/" REEVE_VERSION},
        {"GATEWAY_INTERFACE", "CGI/1.1"},
        {"REDIRECT_STATUS", "200"},
        {"HTTP_HOST", "h.example:81"},
        {"HTTP_USER_AGENT", "me"},
        {"HTTP_X_REQUEST_ID", "0123"},
    };
    CHECK(told.params() == expected);
}

TEST_CASE("what there is not is not told, and PATH_INFO never empty", "[fastcgi][cgi]") {
    Told told("GET / HTTP/1.0\r\n\r\n");
    const auto params = told.params();
    for (const char* name : {"PATH_INFO", "PATH_TRANSLATED", "SCRIPT_FILENAME", "DOCUMENT_ROOT",
                             "CONTENT_LENGTH", "CONTENT_TYPE", "HTTPS", "HTTP_HOST", "HTTP_X_REQUEST_ID"})
        CHECK(params.count(name) == 0);
    CHECK(params.at("QUERY_STRING").empty());  // this one must be there (RFC 3875 4.1.7)
    CHECK(params.at("SERVER_PROTOCOL") == "HTTP/1.0");
    CHECK(params.at("SERVER_NAME") == "198.51.100.1");
    told.exchange.secure = true;
    CHECK(told.one("HTTPS") == "on");
    CHECK(told.one("REQUEST_SCHEME") == "https");
}

TEST_CASE("no field of a client can be taken for another, or for a setting", "[fastcgi][cgi]") {
    const auto params = Told(get("Proxy: http://evil/\r\nX_Real_IP: 1\r\nX.Real.IP: 2\r\nX-Real-IP: 3\r\n"
                                 "X-Real~IP: 4\r\nContent_Length: 99\r\nAuthorization: Basic abc\r\n"))
                            .params();
    CHECK(params.count("HTTP_PROXY") == 0);
    CHECK(params.at("HTTP_X_REAL_IP") == "3");
    CHECK(params.count("HTTP_CONTENT_LENGTH") == 0);
    CHECK(params.count("CONTENT_LENGTH") == 0);
    CHECK(params.at("HTTP_AUTHORIZATION") == "Basic abc");
    for (const auto& [name, value] : params)
        CHECK(name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") == std::string::npos);
}

TEST_CASE("what concerns the client's connection alone is not for a program", "[fastcgi][cgi]") {
    const auto params =
        Told(get("Connection: X-Mine, keep-alive\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\n"
                 "Expect: 100-continue\r\nUpgrade: x\r\nX-Other: 2\r\n"))
            .params();
    for (const char* name : {"HTTP_CONNECTION", "HTTP_X_MINE", "HTTP_KEEP_ALIVE", "HTTP_TE", "HTTP_EXPECT",
                             "HTTP_UPGRADE", "HTTP_CONTENT_TYPE"})
        CHECK(params.count(name) == 0);
    CHECK(params.at("HTTP_X_OTHER") == "2");
}

TEST_CASE("fields that stand more than once are one param", "[fastcgi][cgi]") {
    Told told(get("Accept: a/b\r\nCookie: a=1\r\nX-A: 1\r\naccept: c/d\r\ncookie: b=2\r\nX-a: \r\n"));
    CHECK(told.one("HTTP_ACCEPT") == "a/b, c/d");
    CHECK(told.one("HTTP_COOKIE") == "a=1; b=2");
    CHECK(told.one("HTTP_X_A") == "1, ");
}

TEST_CASE("the target is told as it came, without the server it names", "[fastcgi][cgi]") {
    CHECK(Told(get("", "/a//b/../%41?x=%20&y")).one("REQUEST_URI") == "/a//b/../%41?x=%20&y");
    Told absolute(get("", "http://other.example:82/x?y=/z"));
    CHECK(absolute.one("REQUEST_URI") == "/x?y=/z");
    CHECK(absolute.one("HTTP_HOST") == "other.example:82");
    CHECK(absolute.one("SERVER_NAME") == "other.example");
    CHECK(Told(get("", "http://other.example?y=/z")).one("REQUEST_URI") == "/?y=/z");
    CHECK(Told(get("", "http://other.example")).one("REQUEST_URI") == "/");
}

TEST_CASE("the server is named as one of its names", "[fastcgi][cgi]") {
    conf::Server server;
    Told told(get(""));
    told.exchange.server = &server;
    server.hosts = {"a.example", "h.example"};
    CHECK(told.one("SERVER_NAME") == "h.example");
    server.hosts = {"a.example", "b.example"};  // it came here for want of another server
    CHECK(told.one("SERVER_NAME") == "a.example");
    server.hosts = {"*.example"};
    CHECK(told.one("SERVER_NAME") == "h.example");
}

TEST_CASE("the configuration's params take the place of ours, and of the client's fields", "[fastcgi][cgi]") {
    Told told(get("X-Env: client\r\nX-Not: client\r\n"));
    told.route.cgi.params = {{"APP_ENV", "production"}, {"SERVER_NAME", "$host!"},
                             {"HTTP_X_ENV", "ours"},    {"SERVER_SOFTWARE", ""},
                             {"HTTP_X_NOT", ""},        {"CLIENT", "$remote_addr$uri"}};
    const auto params = told.params();
    CHECK(params.at("APP_ENV") == "production");
    CHECK(params.at("SERVER_NAME") == "h.example!");
    CHECK(params.at("HTTP_X_ENV") == "ours");
    CHECK(params.at("CLIENT") == "192.0.2.7/a");
    CHECK(params.count("SERVER_SOFTWARE") == 0);
    CHECK(params.count("HTTP_X_NOT") == 0);
}

TEST_CASE("an error page is a GET of our own, and knows the error", "[fastcgi][cgi]") {
    Told told("POST /gone HTTP/1.1\r\nHost: h.example\r\nContent-Type: a/b\r\nContent-Length: 3\r\n\r\n");
    told.exchange.error = 404;
    CHECK(told.one("REQUEST_METHOD") == "GET");
    CHECK(told.one("REDIRECT_STATUS") == "404");
    CHECK(told.one("CONTENT_TYPE") == "(none)");
}

TEST_CASE("a client's own request id is not replaced", "[fastcgi][cgi]") {
    Told told(get("X-Request-Id: theirs\r\n"));
    told.id = "ours";
    CHECK(told.one("HTTP_X_REQUEST_ID") == "theirs");
}
