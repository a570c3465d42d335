// tests/worker/dns_message_test.cpp: what a name server's answer says, and which are none.
#include "worker/upstream/dns_message.h"

#include "tests/name_server.h"

namespace {

using worker::upstream::DnsType;

auto read(const std::string& message, DnsType type = DnsType::a) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(message.data());
    return worker::upstream::read_dns_answer({bytes, message.size()}, type);
}

const std::string name = "app.example";

}  // namespace

TEST_CASE("an answer has its addresses and the shortest of their TTLs", "[dns]") {
    const auto answer =
        read(test::dns_message(7, name, test::dns_a, {test::a("10.0.0.1", 30), test::a("10.0.0.2", 20)}));
    REQUIRE(answer);
    REQUIRE(answer->records.size() == 2);
    CHECK(answer->records[1].address[3] == 2);
    CHECK(answer->ttl == 20);
    const auto six = read(test::dns_message(7, name, test::dns_aaaa, {test::aaaa("::1")}), DnsType::aaaa);
    REQUIRE(six);
    CHECK(six->records.at(0).address[15] == 1);
}

TEST_CASE("an answer of a service has targets, ports, priorities and weights", "[dns]") {
    const auto answer =
        read(test::dns_message(7, "_http._tcp.app", test::dns_srv, {test::srv(1, 2, 8080, "One.Example", 9)}),
             DnsType::srv);
    REQUIRE(answer);
    const auto& record = answer->records.at(0);
    CHECK(record.priority == 1);
    CHECK(record.weight == 2);
    CHECK(record.port == 8080);
    CHECK(record.target == "one.example");
    CHECK(answer->ttl == 9);
}

TEST_CASE("aliases are followed, and their TTLs count", "[dns]") {
    auto address = test::a("10.0.0.1", 50);
    address.owner = "b.example";
    auto other = test::a("10.0.0.9", 1);
    other.owner = "x.example";
    const auto answer = read(test::dns_message(
        7, name, test::dns_a,
        {other, test::cname("a.example", "b.example", 40), test::cname(name, "a.example", 45), address}));
    REQUIRE(answer);
    REQUIRE(answer->records.size() == 1);
    CHECK(answer->records[0].address[3] == 1);
    CHECK(answer->ttl == 40);
    const auto ring = read(test::dns_message(
        7, name, test::dns_a, {test::cname(name, "a.example"), test::cname("a.example", name)}));
    REQUIRE(ring);
    CHECK(ring->records.empty());
}

TEST_CASE("an answer without such records is one, with none", "[dns]") {
    const auto answer = read(test::dns_message(7, name, test::dns_a, {}));
    REQUIRE(answer);
    CHECK(answer->records.empty());
    CHECK(answer->ttl == 0);
}

TEST_CASE("an answer that is cut short anywhere is none", "[dns]") {
    const auto whole =
        test::dns_message(7, name, test::dns_a, {test::cname(name, "b.example"), test::a("10.0.0.1")});
    REQUIRE(read(whole));
    for (std::size_t size = 0; size < whole.size(); ++size) {
        CAPTURE(size);
        CHECK_FALSE(read(whole.substr(0, size)));
    }
}

TEST_CASE("what is no answer to the question is refused", "[dns]") {
    CHECK_FALSE(read(test::dns_message(7, name, test::dns_a, {}, 0x0100)));  // a question
    CHECK_FALSE(read(test::dns_message(7, name, test::dns_a, {}, 0x8380)));  // TC
    CHECK_FALSE(read(test::dns_message(7, name, test::dns_aaaa, {})));       // for another type
    CHECK_FALSE(read(test::dns_message(7, name, test::dns_a, {{test::dns_a, 1, "12345", {}}})));
    CHECK_FALSE(read(test::dns_message(7, "a b", test::dns_a, {})));
    CHECK_FALSE(read(""));
}

TEST_CASE("names that point forwards, or at themselves, are refused", "[dns]") {
    auto message = test::dns_message(7, name, test::dns_a, {test::a("10.0.0.1")});
    const auto pointer = message.find("\xc0\x0c");
    REQUIRE(pointer != std::string::npos);
    message[pointer + 1] = static_cast<char>(pointer);
    CHECK_FALSE(read(message));
    message[pointer + 1] = static_cast<char>(pointer + 2);
    CHECK_FALSE(read(message));
}

TEST_CASE("a TTL beyond all bounds is zero", "[dns]") {
    const auto answer = read(test::dns_message(7, name, test::dns_a, {test::a("10.0.0.1", 0x80000001)}));
    REQUIRE(answer);
    CHECK(answer->ttl == 0);
}
