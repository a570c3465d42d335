// tests/conf/callbacks_test.cpp: which URLs may be told of the ends of jobs, and the queues that tell.
#include "conf/callbacks.h"

#include <array>

#include "conf/settings.h"
#include "tests/conf/refused.h"

using namespace conf;
using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

namespace {

bool may_tell(const std::string& prefix, const std::string& url) {
    QueueCallbacks callbacks;
    callbacks.urls = {"http://other.example/", prefix};
    return callback_url(callbacks, url).has_value();
}

/// Of a queue: the first of `lines` is line 6.
Lines callback_complaints(const std::string& lines) {
    return complaints("[pool p]\nrun = cgi ./job.sh\n[upstream hooks]\npeer = 127.0.0.1:1\n[queue q]\n" +
                      lines + "pool = p\n");
}

const std::string whole =
    "callbacks = http://Hooks.example:8080/jobs/ http://127.0.0.1/x\ncallback_upstream = hooks\n"
    "callback_secret = 0123456789abcdef\n";

}  // namespace

TEST_CASE("a callback's URL is taken apart, its host in lower case and without the usual port",
          "[conf][callbacks]") {
    for (const auto& [url, authority, target] :
         {std::array{"http://Hooks.Example/A/b?c=d", "hooks.example", "/A/b?c=d"},
          std::array{"HTTP://a:80", "a", "/"}, std::array{"http://a:8080?x", "a:8080", "/?x"},
          std::array{"http://[::1]:81/", "[::1]:81", "/"}, std::array{"http://[::1]", "[::1]", "/"},
          std::array{"http://a/%6a...", "a", "/%6a..."}, std::array{"http://a/b;c=..", "a", "/b;c=.."}}) {
        CAPTURE(url);
        const auto parsed = parse_callback_url(url);
        REQUIRE(parsed);
        CHECK(parsed->authority == authority);
        CHECK(parsed->target == target);
        CHECK(parse_callback_url(parsed->text()) == parsed);
    }
}

TEST_CASE("what is no URL of http, or may lead elsewhere, is none of a callback", "[conf][callbacks]") {
    for (const std::string url : {"",
                                  "a",
                                  "ftp://a/",
                                  "//a/",
                                  "http:/a",
                                  "http://",
                                  "http:///x",
                                  "http://?x",
                                  "http://user@a/",
                                  "http://a:b@c/",
                                  "http://a:0/",
                                  "http://a:65536/",
                                  "http://a:/",
                                  "http://a:1:2/",
                                  "http://a b/",
                                  "http://a/ b",
                                  "http://a/\r\nX: y",
                                  "http://a/\\b",
                                  "http://a/#b",
                                  "http://a/b/../c",
                                  "http://a/..",
                                  "http://a/./b",
                                  "http://a/%2e%2E/b",
                                  "http://a/.%2e/",
                                  "http://a/..;/b",
                                  "http://a/..;x=y/b",
                                  "http://a/.%3Bx",
                                  "http://a/%2e%2e%3b",
                                  "http://a/b%2fc",
                                  "http://a/b%5cc",
                                  "http://a/%0d%0a",
                                  "http://a/%",
                                  "http://a/%2",
                                  "http://a/%zz",
                                  "http://[::1/",
                                  "http://::1/",
                                  "http://[]/",
                                  "http://[::1]x/",
                                  "http://[::1]x:80/",
                                  "http://\xc3\xa4/"}) {
        CAPTURE(url);
        CHECK_FALSE(parse_callback_url(url));
    }
    CHECK_FALSE(parse_callback_url("http://a/" + std::string(2048, 'x')));
    const auto secure = parse_callback_url("HTTPS://a/b");
    REQUIRE_FALSE(secure);
    CHECK(secure.error() == "https cannot be spoken yet to who is told; http://HOST/path can");
}

TEST_CASE("a URL may be told whose host is the same, and whose path begins so at the bounds of segments",
          "[conf][callbacks]") {
    CHECK(may_tell("http://a/", "http://a/x/y?z"));
    CHECK(may_tell("http://a/", "http://A:80"));
    CHECK(may_tell("http://other.example/x", "http://other.example/any"));
    CHECK(may_tell("http://a/jobs", "http://a/jobs"));
    CHECK(may_tell("http://a/jobs", "http://a/jobs?x"));
    CHECK(may_tell("http://a/jobs", "http://a/jobs/17"));
    CHECK(may_tell("http://a/jobs/", "http://a/jobs/17"));
    CHECK_FALSE(may_tell("http://a/jobs", "http://a/jobsite"));
    CHECK_FALSE(may_tell("http://a/jobs/", "http://a/jobs"));
    CHECK_FALSE(may_tell("http://a/jobs/", "http://a/"));
    CHECK_FALSE(may_tell("http://a/jobs/", "http://a/jobs/../x"));
    CHECK_FALSE(may_tell("http://a/", "http://a.evil.example/"));
    CHECK_FALSE(may_tell("http://a/", "http://a:8080/"));
    CHECK_FALSE(may_tell("http://a/", "http://a@b/"));
    CHECK_FALSE(may_tell("http://a/", "http://b/http://a/"));
    CHECK_FALSE(may_tell("http://a/", "https://a/"));
    CHECK_FALSE(callback_url(QueueCallbacks{}, "http://a/"));
}

TEST_CASE("a queue with callbacks has a queue that tells, which stands in no file", "[conf][callbacks]") {
    const auto config = loaded(
        "[pool p]\nrun = cgi ./job.sh\n[upstream hooks]\npeer = 127.0.0.1:1\n[queue q]\n" + whole +
        "callback_attempts = 3\ncallback_backoff = 1s..2s\ncallback_timeout = 4s\ncallback_concurrency = 9\n"
        "pool = p\nretention = 1h\n[queue r]\npool = p\n");
    REQUIRE(config.queues.size() == 3);
    const auto& queue = config.queues[0];
    CHECK(queue.callbacks.urls == Lines{"http://hooks.example:8080/jobs/", "http://127.0.0.1/x"});
    CHECK_FALSE(queue.internal);
    const auto& telling = config.queues[2];
    CHECK(telling.name == "q:callbacks");
    CHECK(telling.name == callbacks_queue_of("q"));
    CHECK(is_callbacks_queue(telling.name));
    CHECK_FALSE(is_callbacks_queue("q"));
    CHECK(telling.internal);
    CHECK(telling.upstream.name == "hooks");
    CHECK(telling.attempts == 3);
    CHECK(telling.backoff == BackOff{1s, 2s});
    CHECK(telling.timeout == 4s);
    CHECK(telling.concurrency == 9);
    CHECK(telling.retention == 1h);

    const auto text = dump(config);
    CHECK(text.find("q:callbacks") == std::string::npos);
    CHECK(loaded(text) == config);
    CHECK(dump_without_secrets(config).find("0123456789abcdef") == std::string::npos);
}

TEST_CASE("callbacks that cannot be sent, or signed, are refused", "[conf][callbacks]") {
    CHECK(callback_complaints(whole).empty());
    CHECK(callback_complaints("callbacks = http://a/\n") ==
          Lines{"t:6: callbacks: want a callback_upstream, whose peers are told",
                "t:6: callbacks: want a callback_secret, by which who is told knows us"});
    CHECK(callback_complaints("callback_upstream = hooks\n") ==
          Lines{"t:6: callback_upstream: there are no callbacks, which say who may be told"});
    CHECK(callback_complaints("callbacks = http://a/\ncallback_upstream = hook\n"
                              "callback_secret = 0123456789abcdef\n") ==
          Lines{"t:7: callback_upstream: there is no [upstream hook]; did you mean `hooks`?"});
    CHECK(callback_complaints("callbacks = https://a/\n") ==
          Lines{"t:6: callbacks: \"https://a/\": https cannot be spoken yet to who is told; http://HOST/path "
                "can"});
    CHECK(callback_complaints("callbacks = http://a/?x\n") ==
          Lines{"t:6: callbacks: \"http://a/?x\": how URLs begin is wanted, and a query is their end"});
    CHECK(callback_complaints("callback_secret = short\n") ==
          Lines{"t:6: callback_secret: a secret of 16 to 256 printable characters is wanted"});
    CHECK(complaints("[queue q:callbacks]\npool = p\n").size() >= 1);
    CHECK(complaints("[route in]\npath = /in\nenqueue = q:callbacks\n").size() >= 1);
}
