#include "conf/cgi_types.h"

#include "tests/conf/refused.h"

using namespace conf;
using namespace std::chrono_literals;

TEST_CASE("every setting of a route that asks programs goes where it belongs", "[conf][fastcgi]") {
    const std::string text = R"(
[upstream php]
peer = unix:/run/php.sock
[route all]
path = /app/
fastcgi = php
connect_timeout = 1s
read_timeout = 2s
proxy_send_timeout = 3s
timeout = 5s
retries = 1
buffer = 8k
hide_header = X-Powered-By
fallback = /sorry.html
request_id = off
strip_prefix = on
script_root = /srv/app
script_peer_root = /var/www
script_extensions = .php .phtml
script_index = start.php
script_fallback = /front.phtml
fastcgi_param = APP_ENV production
fastcgi_param = APP_URL "$scheme://$host/ "
fastcgi_param = REMOTE_PORT
fastcgi_keep = on
chunked_max = 3m
internal_files = /srv/private
)";
    const Route route = loaded(text).routes.at(0);
    CHECK(route.handler == Route::Handler::fastcgi);
    CHECK(route.strip_prefix);
    CHECK(route.fallback == "/sorry.html");
    CHECK(route.proxy.upstream == "php");
    CHECK(route.proxy.connect_timeout == 1s);
    CHECK(route.proxy.read_timeout == 2s);
    CHECK(route.proxy.send_timeout == 3s);
    CHECK(route.proxy.timeout == 5s);
    CHECK(route.proxy.retries == 1);
    CHECK(route.proxy.buffer == 8u << 10);
    CHECK(route.proxy.hide_header == std::vector<std::string>{"X-Powered-By"});
    CHECK_FALSE(route.proxy.request_id);
    CHECK(route.cgi.script_root == "/srv/app");
    CHECK(route.cgi.script_peer_root == "/var/www");
    CHECK(route.cgi.script_extensions == std::vector<std::string>{".php", ".phtml"});
    CHECK(route.cgi.script_index == "start.php");
    CHECK(route.cgi.script_fallback == "/front.phtml");
    CHECK(route.cgi.params == std::vector<Header>{{"APP_ENV", "production"},
                                                  {"APP_URL", "$scheme://$host/ "},
                                                  {"REMOTE_PORT", ""}});
    CHECK(route.cgi.keep);
    CHECK(route.cgi.chunked_max == 3u << 20);
    CHECK(route.cgi.internal_files == "/srv/private");

    // What is printed loads to the same.
    const auto dumped = dump(loaded(text));
    CHECK(loaded(dumped) == loaded(text));
}

TEST_CASE("a route that asks programs has its defaults", "[conf][fastcgi]") {
    const Route route =
        loaded("[upstream a]\npeer = 127.0.0.1:1\n[route r]\nfastcgi = a\nscript_index = off\n").routes.at(0);
    Cgi expected;
    expected.script_index.clear();
    CHECK(route.cgi == expected);
}

TEST_CASE("files that only a program may name are better not served to everybody", "[conf][fastcgi]") {
    const auto says = [](const std::string& text) {
        const auto all =
            advice("[upstream a]\npeer = 127.0.0.1:1\n[route r]\nfastcgi = a\ninternal_files = /p\n" + text);
        return std::any_of(all.begin(), all.end(), [](const auto& one) {
            return one.find("internal_files: [route f] serves the same folder to everybody") !=
                   std::string::npos;
        });
    };
    CHECK(says("[route f]\npath = /f\nfiles = /p\n"));
    CHECK_FALSE(says("[route f]\npath = /f\nfiles = /q\n"));
}
