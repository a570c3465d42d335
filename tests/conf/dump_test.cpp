// What `reeve -T` prints is a configuration, and the same one.
#include <set>

#include "conf/settings.h"
#include "tests/conf/refused.h"

using namespace conf;

namespace {

/// Loads what `text` dumps to and compares both configuration and dump.
void check_round_trip(const std::string& text) {
    CAPTURE(text);
    const auto first = loaded(text);
    const auto written = dump(first);
    CAPTURE(written);
    const auto second = loaded(written);
    CHECK(second == first);
    CHECK(dump(second) == written);
}

}  // namespace

TEST_CASE("the dump of an empty file loads to the same", "[conf]") { check_round_trip(""); }

TEST_CASE("the dump of nothing at all is that of an empty file", "[conf]") {
    CHECK(dump(Config{}) == dump(loaded("")));
}

TEST_CASE("the dump of a rich configuration loads to the same", "[conf]") {
    check_round_trip(R"(
[reeve]
user = www-data
pid_file = relative/reeve.pid
control = "/run/with space ; and more/reeve.sock"
error_log = "/var/log/a b" warn
error_log_format = json
start_timeout = 1500ms
drain_delay = 0
open_files = 1024
[execution]
workers = 3
accept = shared
open_file_cache = off
[server a]
listen = 80 backlog=17 default
listen = [::1]:80
listen = "unix:/run/a b.sock"
name = A.org *.a.org [::1]
access_log = stdout "$remote_addr \"$request\" \\ ; $status"
add_header = X-Empty: ""
add_header = X-Quotes: "\"a\" ; b"
add_header = X-Plain: max-age=1; includeSubDomains
add_header = Alt-Svc: h3=":443"; ma=86400
error_page = 404 410 "/not found.html"
keepalive_timeout = 0
body_max = 0
[server b]
listen = 81
access_log = /var/log/b.log json
[route f]
server = a b
path = "/with \"quote\" ; x/"
methods = GET HEAD
files = "/srv/w w"
index = off
try = $path "/a b" =404
autoindex = json
expires = 0
cache_control = no-cache, "x ; y"
body_max = 0
keepalive_timeout = 1500ms
[route g]
path = ~ "^/a \"\\d+ ; \\.php$"
respond = 200 "line\n\ttab \"quoted\" \\ ; é"
content_type = text/html; charset=utf-8
[route h]
path = = /x
redirect = "/;x"
[route i]
path = /i
health = ready
[route j]
path = /j
status = on
add_header = X: y
error_page = 500 /e
)");
}

TEST_CASE("the dump shows every setting of a section, with its comment", "[conf]") {
    const auto text = dump(loaded(R"(
[upstream u]
peer = 127.0.0.1:9000
[upstream p]
peer = 127.0.0.1:9001
[route i]
path = /i
fastcgi = p
[route a]
files = /srv
[route b]
path = /b
respond = 200
[route c]
path = /c
redirect = /
[route d]
path = /d
proxy = u
[route h]
path = /h
fanout = u more=u/x
[pool p]
run = cgi /bin/true
[route k]
path = /k
pool = p
[route w]
path = /w
work = cpu=1ms
[module m]
path = /m.so
[route l]
path = /l
module = m
[route e]
path = /e
health = live
[route f]
path = /f
status = on
[route g]
path = /g
metrics = on
[queue q]
pool = p
[schedule s]
queue = q
every = 1h
[route x]
path = /x
enqueue = q
[route y]
path = /y/
jobs = on
allow = all
)"));
    for (const auto& setting : described()) {
        CAPTURE(setting.key);
        CHECK(text.find("; " + std::string(setting.comment) + "\n") != std::string::npos);
        CHECK(text.find("\n" + std::string(setting.key) + " = ") +
                  text.find("\n; " + std::string(setting.key) + " =\n") !=
              2 * std::string::npos);
    }
    CHECK(text.find("start_timeout = 30s\n") != std::string::npos);
    CHECK(text.find("listen = 127.0.0.1:8080 backlog=4096\n") != std::string::npos);
}

TEST_CASE("what people are shown has no secrets, and says so", "[conf]") {
    const std::string upstream = "[upstream u]\npeer = 127.0.0.1:9000\nsticky = cookie c ";
    const std::string route = "\n[route r]\nproxy = u\n";
    const auto config = loaded(upstream + "\"secret=rosebud and more\" httponly" + route);
    CHECK(dump(config).find("rosebud") != std::string::npos);  // workers load this one
    const auto shown = dump_without_secrets(config);
    CHECK(shown.find("rosebud") == std::string::npos);
    CHECK(shown.find("sticky = cookie c path=/ httponly secret=***\n") != std::string::npos);
    CHECK(shown.starts_with("; Secrets are not shown"));
    CHECK(complaints(shown).at(0).find("secret: *** stands for one that was not shown") != std::string::npos);
    const auto plain = loaded(upstream + "httponly" + route);
    CHECK(dump_without_secrets(plain) == dump(plain));
}

TEST_CASE("the longest texts still fit a line once they are quoted", "[conf]") {
    check_round_trip("[route r]\nrespond = 200 \"" + std::string(16 * 1024, 'x') + "\"\n");
    std::string backslashes;
    for (int i = 0; i < 16 * 1024; ++i) backslashes += "\\\\";
    check_round_trip("[route r]\nrespond = 200 \"" + backslashes + "\"\n");
}
