#include <catch2/catch.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "worker/dispatch/router.h"

using worker::dispatch::Match;
using worker::dispatch::Router;
using Kind = conf::PathMatch::Kind;
using Handler = conf::Route::Handler;

namespace {

conf::Listen port(std::uint16_t number, bool fallback = false) {
    conf::Listen listen;
    listen.address = {conf::Address::Family::ipv4, "127.0.0.1", number};
    listen.fallback = fallback;
    return listen;
}

conf::Server server(std::string name, std::vector<std::string> hosts,
                    std::vector<conf::Listen> listen = {port(80)}) {
    conf::Server result;
    result.name = std::move(name);
    result.hosts = std::move(hosts);
    result.listen = std::move(listen);
    return result;
}

conf::Route route(Kind kind, std::string path, std::vector<std::string> methods = {}) {
    conf::Route result;
    result.path = {kind, std::move(path)};
    result.methods = std::move(methods);
    return result;
}

/// A configuration with its router.
struct House {
    conf::Config config;
    std::vector<conf::Listen> plan{port(80)};

    /// The name of the server that answers.
    [[nodiscard]] std::string host(std::string_view name, std::uint32_t address = 0) const {
        return config.servers[Router(config, plan).server(address, name).index].name;
    }
    /// The index of the route on the first server, "none", or "method ALLOW".
    [[nodiscard]] std::string path(std::string_view text, std::string_view method = "GET",
                                   std::string_view host_name = "") const {
        const Router router(config, plan);
        const Match match = router.match(router.server(0, host_name), text, method);
        switch (match.kind) {
            case Match::Kind::found: return std::to_string(match.route);
            case Match::Kind::none: return "none";
            case Match::Kind::method: return "method " + std::string(match.allow);
        }
        return "";
    }
};

House with_hosts(std::vector<conf::Server> servers, std::vector<conf::Listen> plan = {port(80)}) {
    House house;
    house.config.servers = std::move(servers);
    house.plan = std::move(plan);
    return house;
}

House with_routes(std::vector<conf::Route> routes) {
    House house;
    house.config.servers = {server("main", {})};
    house.config.routes = std::move(routes);
    return house;
}

}  // namespace

TEST_CASE("a server is found by its exact name in any case", "[dispatch][router]") {
    const House house = with_hosts({server("a", {"a.org", "www.a.org"}), server("b", {"b.org"})});
    CHECK(house.host("a.org") == "a");
    CHECK(house.host("B.Org") == "b");
    CHECK(house.host("WWW.A.ORG") == "a");
}

TEST_CASE("a host that no server names goes to the default, else to the first", "[dispatch][router]") {
    CHECK(with_hosts({server("a", {"a.org"}), server("b", {"b.org"})}).host("c.org") == "a");
    const House marked = with_hosts({server("a", {"a.org"}), server("b", {"b.org"}, {port(80, true)})});
    CHECK(marked.host("c.org") == "b");
    CHECK(marked.host("") == "b");
    CHECK(marked.host("a.org") == "a");
    CHECK(marked.host(std::string(300, 'a')) == "b");
}

TEST_CASE("a server without names takes any host, unless another is the default", "[dispatch][router]") {
    const House house = with_hosts({server("a", {"a.org"}), server("any", {})});
    CHECK(house.host("a.org") == "a");
    CHECK(house.host("c.org") == "any");
    CHECK(house.host("") == "any");
    const House marked = with_hosts({server("a", {"a.org"}, {port(80, true)}), server("any", {})});
    CHECK(marked.host("c.org") == "a");
}

TEST_CASE("an exact name beats wildcards, leading ones beat trailing ones, longer beat shorter",
          "[dispatch][router]") {
    const House house = with_hosts({server("none", {"unused.net"}), server("trail", {"www.*"}),
                                    server("longtrail", {"www.shop.*"}), server("lead", {"*.org"}),
                                    server("longlead", {"*.shop.org"}), server("exact", {"www.shop.org"})});
    CHECK(house.host("www.shop.org") == "exact");
    CHECK(house.host("x.shop.org") == "longlead");
    CHECK(house.host("x.y.shop.org") == "longlead");
    CHECK(house.host("shop.org") == "lead");
    CHECK(house.host("www.a.org") == "lead");
    CHECK(house.host("www.a.com") == "trail");
    CHECK(house.host("www.shop.com") == "longtrail");
    CHECK(house.host("www.shop.co.uk") == "longtrail");
    CHECK(house.host("WWW.SHOP.CO.UK") == "longtrail");
    CHECK(house.host("org") == "none");
    CHECK(house.host("www") == "none");
    CHECK(house.host("a.orgx") == "none");
    CHECK(house.host("xwww.com") == "none");
}

TEST_CASE("each address knows its own servers only", "[dispatch][router]") {
    const House house = with_hosts({server("a", {"x.org"}, {port(80)}), server("b", {"x.org"}, {port(81)}),
                                    server("c", {"y.org"}, {port(81), port(80)})},
                                   {port(80), port(81)});
    CHECK(house.host("x.org", 0) == "a");
    CHECK(house.host("x.org", 1) == "b");
    CHECK(house.host("y.org", 0) == "c");
    CHECK(house.host("y.org", 1) == "c");
    CHECK(house.host("z.org", 1) == "b");
}

TEST_CASE("the first of two servers with one name has it", "[dispatch][router]") {
    CHECK(
        with_hosts({server("z", {"z.org"}), server("a", {"x.org"}), server("b", {"x.org"})}).host("x.org") ==
        "a");
}

TEST_CASE("the longest prefix wins, as a plain string", "[dispatch][router]") {
    const House house = with_routes({route(Kind::prefix, "/"), route(Kind::prefix, "/static/"),
                                     route(Kind::prefix, "/static/img"), route(Kind::prefix, "/a"),
                                     route(Kind::prefix, "/stat")});
    CHECK(house.path("/") == "0");
    CHECK(house.path("/x") == "0");
    CHECK(house.path("/static/x.css") == "1");
    CHECK(house.path("/static/") == "1");
    CHECK(house.path("/static") == "4");
    CHECK(house.path("/static/imgs/x") == "2");
    CHECK(house.path("/static/im") == "1");
    CHECK(house.path("/about") == "3");
    CHECK(house.path("/sta") == "0");
    CHECK(house.path("/zzz") == "0");
}

TEST_CASE("a path that nothing covers is none", "[dispatch][router]") {
    const House house = with_routes({route(Kind::prefix, "/b/"), route(Kind::exact, "/x")});
    CHECK(house.path("/") == "none");
    CHECK(house.path("/a") == "none");
    CHECK(house.path("/b") == "none");
    CHECK(house.path("/c") == "none");
    CHECK(house.path("/xy") == "none");
    CHECK(with_routes({}).path("/") == "none");
}

TEST_CASE("the longest prefix is found among many", "[dispatch][router]") {
    std::vector<conf::Route> routes;
    std::string text = "/";
    for (int i = 0; i < 300; ++i) {
        routes.push_back(route(Kind::prefix, text));
        routes.push_back(route(Kind::prefix, text + "z" + std::to_string(i)));
        text += static_cast<char>('a' + i % 7);
    }
    const House house = with_routes(routes);
    for (const std::string_view path :
         {"/", "/abc", "/abz2", "/abz", "/zebra", "/abcdefgabcdefgx", "/az10", "/az1x", "/~"}) {
        std::size_t best = 0;
        for (std::size_t i = 0; i < routes.size(); ++i)
            if (path.starts_with(routes[i].path.text) &&
                routes[i].path.text.size() > routes[best].path.text.size())
                best = i;
        CAPTURE(path);
        CHECK(house.path(path) == std::to_string(best));
    }
}

TEST_CASE("exact goes before regular expressions, and these before prefixes", "[dispatch][router]") {
    const House house = with_routes({route(Kind::prefix, "/static/very/long"),
                                     route(Kind::regex, R"(\.png$)"), route(Kind::regex, "^/static/"),
                                     route(Kind::exact, "/static/a.png"), route(Kind::prefix, "/")});
    CHECK(house.path("/static/a.png") == "3");
    CHECK(house.path("/static/b.png") == "1");
    CHECK(house.path("/static/very/long") == "2");
    CHECK(house.path("/other") == "4");
    CHECK(house.path("/x.PNG") == "4");
    CHECK(house.path("/x.png/y") == "4");
}

TEST_CASE("a regular expression is found anywhere unless it is anchored", "[dispatch][router]") {
    const House house = with_routes({route(Kind::regex, "bcd"), route(Kind::regex, R"(^/u/\d+$)")});
    CHECK(house.path("/abcde") == "0");
    CHECK(house.path("/u/12") == "1");
    CHECK(house.path("/u/12/x") == "none");
    CHECK(house.path("/v/u/12") == "none");
}

TEST_CASE("a regular expression that is none matches nothing", "[dispatch][router]") {
    CHECK(with_routes({route(Kind::regex, "(")}).path("/(") == "none");
}

TEST_CASE("methods choose among routes of one path", "[dispatch][router]") {
    const House house =
        with_routes({route(Kind::prefix, "/a", {"POST"}), route(Kind::prefix, "/a", {"GET", "PUT"}),
                     route(Kind::regex, "^/r", {"POST"}), route(Kind::regex, "^/r", {"DELETE"}),
                     route(Kind::exact, "/e", {"POST"}), route(Kind::exact, "/e", {"PUT"})});
    CHECK(house.path("/a", "POST") == "0");
    CHECK(house.path("/a", "GET") == "1");
    CHECK(house.path("/a", "HEAD") == "1");
    CHECK(house.path("/a", "PUT") == "1");
    CHECK(house.path("/a", "DELETE") == "method POST, GET, HEAD, PUT, OPTIONS");
    CHECK(house.path("/a", "OPTIONS") == "method POST, GET, HEAD, PUT, OPTIONS");
    CHECK(house.path("/r", "DELETE") == "3");
    CHECK(house.path("/r", "GET") == "method POST, DELETE, OPTIONS");
    CHECK(house.path("/e", "PUT") == "5");
    CHECK(house.path("/e", "HEAD") == "method POST, PUT, OPTIONS");
}

TEST_CASE("methods are compared exactly", "[dispatch][router]") {
    const House house = with_routes({route(Kind::prefix, "/", {"GET"})});
    for (const char* method : {"get", "GE", "GETS", ""}) {
        CAPTURE(method);
        CHECK(house.path("/", method) == "method GET, HEAD, OPTIONS");
    }
}

TEST_CASE("a route without methods takes what its handler knows", "[dispatch][router]") {
    std::vector<conf::Route> routes;
    for (const auto handler : {Handler::files, Handler::health, Handler::status, Handler::metrics,
                               Handler::respond, Handler::redirect}) {
        routes.push_back(route(Kind::prefix, "/" + std::to_string(routes.size())));
        routes.back().handler = handler;
    }
    const House house = with_routes(routes);
    for (const char* path : {"/0", "/1", "/2", "/3"}) {
        CAPTURE(path);
        CHECK(house.path(path, "HEAD") != "none");
        CHECK(house.path(path, "POST") == "method GET, HEAD, OPTIONS");
    }
    CHECK(house.path("/4", "BREW") == "4");
    CHECK(house.path("/5", "OPTIONS") == "5");
}

TEST_CASE("a route that names the method goes before one that takes any", "[dispatch][router]") {
    std::vector<conf::Route> routes{route(Kind::prefix, "/"), route(Kind::prefix, "/", {"POST"})};
    routes[0].handler = Handler::respond;
    const House house = with_routes(routes);
    CHECK(house.path("/", "POST") == "1");
    CHECK(house.path("/", "GET") == "0");
}

TEST_CASE("OPTIONS reaches a route that names it", "[dispatch][router]") {
    const House house = with_routes({route(Kind::prefix, "/", {"GET", "OPTIONS"})});
    CHECK(house.path("/", "OPTIONS") == "0");
    CHECK(house.path("/", "PUT") == "method GET, HEAD, OPTIONS");
}

TEST_CASE("routes serve the servers they name, or every one, the server's own first", "[dispatch][router]") {
    House house = with_hosts({server("a", {"a.org"}), server("b", {"b.org"})});
    house.config.routes = {route(Kind::prefix, "/"), route(Kind::prefix, "/"), route(Kind::prefix, "/only")};
    house.config.routes[1].servers = {"b"};
    house.config.routes[2].servers = {"a"};
    CHECK(house.path("/x", "GET", "a.org") == "0");
    CHECK(house.path("/x", "GET", "b.org") == "1");
    CHECK(house.path("/only", "GET", "a.org") == "2");
    CHECK(house.path("/only", "GET", "b.org") == "1");
}

TEST_CASE("a router that was moved still answers", "[dispatch][router]") {
    House house =
        with_routes({route(Kind::regex, "^/r"), route(Kind::exact, "/e"), route(Kind::prefix, "/")});
    Router first(house.config, house.plan);
    const Router router(std::move(first));
    CHECK(router.match(router.server(0, "x"), "/r", "GET").route == 0);
    CHECK(router.match(router.server(0, "x"), "/e", "GET").route == 1);
    CHECK(router.match(router.server(0, "x"), "/p", "GET").route == 2);
}
