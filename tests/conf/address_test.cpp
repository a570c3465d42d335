#include "conf/address.h"

using namespace conf;

namespace {

std::string read(std::string_view text) {
    const auto address = parse_address(text, "/etc/reeve");
    return address ? address->text() : "refused: " + address.error();
}

bool refused(std::string_view text) { return !ListenType().parse({text, "/"}); }

}  // namespace

TEST_CASE("an address reads in one way, however it was written", "[conf]") {
    CHECK(read("127.0.0.1:80") == "127.0.0.1:80");
    CHECK(read("8080") == "0.0.0.0:8080");
    CHECK(read("*:8080") == "0.0.0.0:8080");
    CHECK(read("localhost:1") == "127.0.0.1:1");
    CHECK(read("[::]:65535") == "[::]:65535");
    CHECK(read("[2001:DB8:0:0::1]:80") == "[2001:db8::1]:80");
    CHECK(read("unix:/run/x.sock") == "unix:/run/x.sock");
    CHECK(read("unix:../x.sock") == "unix:/etc/x.sock");
    CHECK(parse_address("[::1]:80", "/")->host == "::1");
    CHECK(parse_address("[::1]:80", "/")->family == Address::Family::ipv6);
}

TEST_CASE("what is not an address is refused", "[conf]") {
    for (const std::string text : {"0",
                                   "65536",
                                   "x",
                                   ":80",
                                   "127.0.0.1",
                                   "127.0.0.1:",
                                   "127.0.0.1:0",
                                   "127.0.0.1:http",
                                   "127.1:80",
                                   "256.0.0.1:80",
                                   "example.org:80",
                                   "::1:80",
                                   "[::1]",
                                   "[::1:80",
                                   "[::1%eth0]:80",
                                   "[127.0.0.1]:80",
                                   "[]:80",
                                   "unix:",
                                   "127.0.0.1:80:90",
                                   "-1",
                                   "+80",
                                   "80 81"}) {
        CAPTURE(text);
        CHECK(refused(text));
    }
    CHECK(refused("unix:/" + std::string(107, 'x')));
    CHECK_FALSE(refused("unix:/" + std::string(106, 'x')));
}

TEST_CASE("listen takes its options and names those it does not know yet", "[conf]") {
    const auto listen = ListenType().parse({"80 backlog=511 default", "/"});
    REQUIRE(listen);
    CHECK(listen->at(0).backlog == 511);
    CHECK(listen->at(0).fallback);
    for (const std::string later : {"tls", "http2", "proxy"})
        CHECK(ListenType().parse({"443 " + later, "/"}).error() ==
              "option `" + later + "` is not supported by this version");
    CHECK(ListenType().parse({"80 defualt", "/"}).error() ==
          "unknown option \"defualt\"; did you mean `default`?");
    CHECK(refused("80 backlog=0"));
    CHECK(refused("80 backlog="));
    CHECK(refused("80 backlog=65536"));
}

TEST_CASE("host names come out in lower case, without the root's dot", "[conf]") {
    const auto hosts =
        HostNames().parse({"Example.ORG. *.Example.org example.* 127.0.0.1 [::0001] a_b", "/"});
    REQUIRE(hosts);
    CHECK(*hosts ==
          std::vector<std::string>{"example.org", "*.example.org", "example.*", "127.0.0.1", "[::1]", "a_b"});
}

TEST_CASE("what no Host can be is refused as a name", "[conf]") {
    for (const std::string text : {"*", "*.", ".*", "a.*.b", "*a", "*.a.*", "a..b", ".a", "a:80", "a/b",
                                   "b\xc3\xbc"
                                   "cher.de",
                                   "[::x]", "\"\"", "."}) {
        CAPTURE(text);
        CHECK_FALSE(HostNames().parse({text, "/"}));
    }
    CHECK_FALSE(HostNames().parse({std::string(254, 'a'), "/"}));
}
