#include "conf/load.h"

#include "tests/conf/refused.h"

using namespace conf;
using namespace std::chrono_literals;

TEST_CASE("an empty file is a server on 127.0.0.1:8080 without routes", "[conf]") {
    const auto config = loaded("");
    REQUIRE(config.servers.size() == 1);
    CHECK(config.servers[0].name == "default");
    REQUIRE(config.servers[0].listen.size() == 1);
    CHECK(config.servers[0].listen[0].address.text() == "127.0.0.1:8080");
    CHECK(config.routes.empty());
    CHECK(config.reeve == Reeve{});
    CHECK(config.execution == Execution{});
    CHECK(advice("") ==
          std::vector<std::string>{"t: no route leads to [server default]: every request is answered 404"});
}

TEST_CASE("every setting of a daemon goes where it belongs", "[conf]") {
    const auto config = loaded(R"(
[reeve]
user = www-data
pid_file = /run/reeve.pid
control = /run/reeve.sock          ; a comment
error_log = /var/log/reeve/error.log warn
error_log_format = json
daemon = on
start_timeout = 5
shutdown_timeout = 1m
drain_delay = 500ms
watchdog = 2s
open_files = 65536
[execution]
model = event
workers = 4
accept = shared
open_file_cache = off
open_file_cache_valid = 0
open_file_cache_inactive = 2m
open_file_cache_memory = 1g
open_file_cache_small = 16k
)");
    CHECK(config.reeve.user == "www-data");
    CHECK(config.reeve.pid_file == "/run/reeve.pid");
    CHECK(config.reeve.control == "/run/reeve.sock");
    CHECK(config.reeve.error_log == ErrorLog{"/var/log/reeve/error.log", LogLevel::warn});
    CHECK(config.reeve.error_log_format == LogFormat::json);
    CHECK(config.reeve.daemon);
    CHECK(config.reeve.start_timeout == 5s);
    CHECK(config.reeve.shutdown_timeout == 1min);
    CHECK(config.reeve.drain_delay == 500ms);
    CHECK(config.reeve.watchdog == 2s);
    CHECK(config.reeve.open_files == 65536);
    CHECK(config.execution.workers == 4);
    CHECK(config.execution.accept == Accept::shared);
    CHECK(config.execution.open_file_cache == 0);
    CHECK(config.execution.open_file_cache_valid == 0ms);
    CHECK(config.execution.open_file_cache_inactive == 2min);
    CHECK(config.execution.open_file_cache_memory == 1ull << 30);
    CHECK(config.execution.open_file_cache_small == 16u << 10);
}

TEST_CASE("every setting of a server goes where it belongs", "[conf]") {
    const auto config = loaded(R"(
[server site]
listen = 0.0.0.0:8080 backlog=511
  [::]:8080 default
listen = unix:/run/site.sock
name = Example.org *.example.org
name = example.*
access_log = /var/log/access.log $remote_addr "$request" $status
header_max = 16k
uri_max = 4k
body_max = 0
header_timeout = 10s
body_timeout = 11s
send_timeout = 12s
keepalive_timeout = 0
keepalive_requests = 100
connections_max = 1000
add_header = X-Frame-Options: DENY
add_header = Link: "</a.css>; rel=preload ; as=style"
error_page = 404 410 /gone.html
error_page = 500 /oops.html
)");
    const auto& server = config.servers.at(0);
    REQUIRE(server.listen.size() == 3);
    CHECK(server.listen[0].backlog == 511);
    CHECK(server.listen[1].address.text() == "[::]:8080");
    CHECK(server.listen[1].fallback);
    CHECK(server.listen[2].address.text() == "unix:/run/site.sock");
    CHECK(server.hosts == std::vector<std::string>{"example.org", "*.example.org", "example.*"});
    CHECK(server.access_log == AccessLog{"/var/log/access.log", "$remote_addr \"$request\" $status"});
    CHECK(server.limits == Limits{16 << 10, 4 << 10, 0, 10s, 11s, 12s, 0s, 100, 1000});
    REQUIRE(server.add_header.size() == 2);
    CHECK(server.add_header[0] == Header{"X-Frame-Options", "DENY"});
    CHECK(server.add_header[1] == Header{"Link", "</a.css>; rel=preload ; as=style"});
    REQUIRE(server.error_page.size() == 2);
    CHECK(server.error_page[0] == ErrorPage{{404, 410}, "/gone.html"});
}

TEST_CASE("every setting of a route goes where it belongs", "[conf]") {
    const auto config = loaded(R"(
[server a]
[route static]
server = a
path = /static/
methods = GET HEAD
files = /srv/../srv/www/
index = index.html index.htm
try = $path
  $path.html
  =404
autoindex = on
symlinks = on
dotfiles = on
precompressed = off
strip_prefix = on
expires = 1h
cache_control = public, max-age=60
body_max = 1k
body_timeout = 1s
send_timeout = 2s
keepalive_timeout = 3s
keepalive_requests = 4
[route hello]
path = = /hello
respond = 200 "a ; b\n\"c\" \\ $host"
content_type = text/html
[route gone]
path = /gone
respond = 410
[route away]
path = ~ ^/u/(\d+);x
redirect = 308 https://$host$uri
[route there]
path = /there
redirect = /elsewhere
[route live]
path = "/l i/"
health = live
[route ready]
path = /ready
health = ready
[route status]
path = /status
status = on
)");
    REQUIRE(config.routes.size() == 8);
    const auto& files = config.routes[0];
    CHECK(files.servers == std::vector<std::string>{"a"});
    CHECK(files.path == PathMatch{PathMatch::Kind::prefix, "/static/"});
    CHECK(files.methods == std::vector<std::string>{"GET", "HEAD"});
    CHECK(files.handler == Route::Handler::files);
    CHECK(files.files == Files{.root = "/srv/www",
                               .index = {"index.html", "index.htm"},
                               .try_list = {"$path", "$path.html", "=404"},
                               .autoindex = Autoindex::html,
                               .symlinks = true,
                               .dotfiles = true,
                               .precompressed = false,
                               .expires = 1h,
                               .cache_control = "public, max-age=60",
                               .open_pool = ""});
    CHECK(files.strip_prefix);
    CHECK(files.limits == RouteLimits{1024, 1s, 2s, 3s, 4});
    CHECK(config.routes[1].path == PathMatch{PathMatch::Kind::exact, "/hello"});
    CHECK(config.routes[1].respond == Respond{200, "a ; b\n\"c\" \\ $host", "text/html"});
    CHECK(config.routes[2].respond == Respond{410, "", "text/plain; charset=utf-8"});
    CHECK(config.routes[3].path == PathMatch{PathMatch::Kind::regex, "^/u/(\\d+);x"});
    CHECK(config.routes[3].redirect == Redirect{308, "https://$host$uri"});
    CHECK(config.routes[4].redirect == Redirect{302, "/elsewhere"});
    CHECK(config.routes[5].handler == Route::Handler::health);
    CHECK(config.routes[5].path.text == "/l i/");
    CHECK(config.routes[6].health == Health::ready);
    CHECK(config.routes[7].handler == Route::Handler::status);
}

TEST_CASE("off is an empty list of index files", "[conf]") {
    CHECK(loaded("[route r]\nfiles = /a\nindex = off\n").routes.at(0).files.index.empty());
    CHECK(loaded("[route r]\nfiles = /a\nindex = \"off\"\n").routes.at(0).files.index ==
          std::vector<std::string>{"off"});
}

TEST_CASE("a missing file is one complaint about the file as a whole", "[conf]") {
    const auto result = load("/nowhere/reeve.ini");
    REQUIRE_FALSE(result);
    REQUIRE(result.error().size() == 1);
    CHECK(result.error()[0].text() == "/nowhere/reeve.ini: cannot be read: No such file or directory");
    CHECK_FALSE(load("/"));
}

TEST_CASE("advice names what works but may not be meant", "[conf]") {
    const auto says = [](std::string_view text, const std::string& start) {
        const auto all = advice(text);
        return std::any_of(all.begin(), all.end(), [&](const auto& one) { return one.starts_with(start); });
    };
    const std::string route = "[route r]\nfiles = /srv\n";
    CHECK(advice(route).empty());
    CHECK(says("[execution]\nworkers = 256\n" + route, "t:2: workers: 256 are more than the "));
    CHECK(says("[server a]\nbody_max = 0\n" + route, "t:2: body_max: "));
    CHECK(says(route + "body_max = 0\n", "t:3: body_max: "));
    CHECK(says("[server a]\nuri_max = 1m\n" + route, "t:2: uri_max: "));
    CHECK(says("[server a]\nlisten = 80\n[server b]\nlisten = 81\n" + route + "server = a\n",
               "t:3: no route leads to [server b]"));
    CHECK(says("[server a]\nlisten = 80\n  127.0.0.1:80\n" + route,
               "t:3: listen: 127.0.0.1:80 is part of 0.0.0.0:80"));
    CHECK(says("[reeve]\nopen_files = 64\n" + route, "t:2: open_files: "));
    CHECK(says("[reeve]\ndrain_delay = 1h\n" + route, "t:2: drain_delay: "));
    CHECK(says("[route r]\nfiles = /\n", "t:2: files: "));
    CHECK(says("[upstream u]\npeer = 127.0.0.1:1\n  127.0.0.1:2 down\nhedge = on\n" + route,
               "t:4: hedge: there is one peer only"));
    CHECK_FALSE(
        says("[upstream u]\npeer = 127.0.0.1:1\n  127.0.0.1:2\nhedge = on\n" + route, "t:4: hedge: "));
    CHECK_FALSE(says("[upstream u]\npeer = a:80\nhedge = on\n" + route, "t:3: hedge: "));
    CHECK(says("[upstream u]\npeer = a:80 peers_max=1\nhedge = on\n" + route,
               "t:3: hedge: there is one peer only"));
    const std::string upstream = "[upstream u]\npeer = 10.0.0.1:80\n", proxy = "[route p]\nproxy = u\n";
    CHECK(says(upstream + "slow_start = 1s\n" + proxy, "t:1: slow_start: "));
    CHECK_FALSE(says(upstream + "slow_start = 1s\nhealth = tcp every 1s\n" + proxy, "t:1: slow_start: "));
    CHECK(says(upstream + "resolver = 10.0.0.2\n" + proxy, "t:1: resolver: "));
    CHECK_FALSE(says("[upstream u]\npeer = a:80\nresolver = 10.0.0.2\n" + proxy, "t:1: resolver: "));
    const std::string buffers = upstream + proxy + "buffer_memory = 1m\nbuffer_request = ";
    CHECK_FALSE(says(buffers + "memory\n", "t:6: buffer_request: "));
    CHECK(says(buffers + "memory\nbody_max = 2m\n",
               "t:6: buffer_request: bodies beyond 1m are refused, though body_max lets 2m through"));
    CHECK_FALSE(says(buffers + "file\nbody_max = 2m\n", "t:6: buffer_request: "));
    CHECK(says(buffers + "file\nbody_max = 0\n", "t:6: buffer_request: "));
    CHECK(says(buffers + "file\nbuffer_file_max = 9g\n",
               "t:7: buffer_file_max: is more than buffer_file_total, 8g, has for all"));
}

TEST_CASE("the configuration that comes with the program loads without advice", "[conf]") {
    const auto result = load("conf/reeve.ini");
    if (!result)
        for (const auto& error : result.error()) FAIL_CHECK(error.text());
    REQUIRE(result);
    for (const auto& remark : result->advice) FAIL_CHECK(remark.text());
}
