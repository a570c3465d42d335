// tests/worker/resolution_test.cpp: a name is asked for once, by a name server that answers as it is told.
#include "worker/upstream/resolution.h"

#include <optional>
#include <set>

#include "tests/name_server.h"
#include "tests/worker/turn.h"

namespace {

using namespace std::chrono_literals;
using test::NameServer;
using worker::upstream::Resolved;
using Families = conf::Resolver::Families;

conf::UpstreamPeer peer_of(const std::string& name, std::uint16_t port = 80) {
    conf::UpstreamPeer peer;
    peer.name = name;
    peer.service = name.starts_with('_');
    peer.address.port = port;
    return peer;
}

class Asker final : worker::upstream::Resolver {
 public:
    static Resolved ask(const NameServer& server, const std::string& name,
                        Families families = Families::any) {
        Asker asker(server, name, families);
        asker.resolution_.start();
        asker.loop_.run();
        return *asker.resolved_;
    }

 private:
    Asker(const NameServer& server, const std::string& name, Families families)
        : loop_(cell_),
          peer_(peer_of(name)),
          channel_(open(server, loop_)),
          resolution_(peer_, families, *channel_, loop_, *this) {}
    static std::unique_ptr<worker::upstream::DnsChannel> open(const NameServer& server,
                                                              worker::execution::Loop& loop) {
        conf::Resolver resolver;
        resolver.servers = {{conf::Address::Family::ipv4, "127.0.0.1", server.port()}};
        resolver.timeout = 300ms;
        auto channel = worker::upstream::DnsChannel::make(resolver, loop);
        if (!channel) FAIL(channel.error().text());
        return std::move(*channel);
    }
    void on_resolved(const Resolved& resolved) override {
        resolved_ = resolved;
        loop_.stop();
    }

    ipc::LoopCell cell_;
    worker::execution::Loop loop_;
    conf::UpstreamPeer peer_;
    std::unique_ptr<worker::upstream::DnsChannel> channel_;
    worker::upstream::Resolution resolution_;
    std::optional<Resolved> resolved_;
};

std::set<std::string> texts(const Resolved& resolved) {
    std::set<std::string> all;
    for (const auto& address : resolved.addresses) all.insert(address.text());
    return all;
}

}  // namespace

TEST_CASE("a name has the addresses of both families, with its port", "[dns]") {
    NameServer server;
    server.set("app.example", {test::a("10.0.0.1", 9), test::a("10.0.0.2", 9), test::aaaa("::1", 5)});
    const auto all = Asker::ask(server, "app.example");
    CHECK(texts(all) == std::set<std::string>{"10.0.0.1:80", "10.0.0.2:80", "[::1]:80"});
    CHECK(all.ttl == 5);
    CHECK_FALSE(all.incomplete);
    CHECK(all.reason.empty());
    CHECK(texts(Asker::ask(server, "app.example", Families::ipv4)).size() == 2);
    CHECK(texts(Asker::ask(server, "app.example", Families::ipv6)).size() == 1);
}

TEST_CASE("a service has the addresses of its targets, by priority and weight", "[dns]") {
    NameServer server;
    server.set("_http._tcp.app.example",
               {test::srv(10, 5, 8081, "one.example", 30), test::srv(20, 0, 8082, "two.example", 30)});
    server.set("one.example", {test::a("10.0.0.1", 7)});
    server.set("two.example", {test::a("10.0.0.2", 60)});
    const auto all = Asker::ask(server, "_http._tcp.app.example");
    REQUIRE(all.addresses.size() == 2);
    CHECK(texts(all) == std::set<std::string>{"10.0.0.1:8081", "10.0.0.2:8082"});
    CHECK(all.ttl == 7);
    for (const auto& address : all.addresses) {
        CHECK(address.backup == (address.port == 8082));
        CHECK(address.weight == (address.port == 8081 ? 5 : 1));
    }
}

TEST_CASE("a name that is not there has no addresses", "[dns]") {
    NameServer server;
    const auto nothing = Asker::ask(server, "gone.example");
    CHECK(nothing.addresses.empty());
    CHECK(nothing.reason == "it has no addresses");
    server.set("_http._tcp.app.example", {test::srv(0, 0, 0, "", 30)});  // RFC 2782: decidedly not there
    CHECK(Asker::ask(server, "_http._tcp.app.example").addresses.empty());
}

TEST_CASE("one family that fails leaves the other, and the answer incomplete", "[dns]") {
    NameServer server;
    server.set("app.example", {test::a("10.0.0.1"), test::aaaa("::1")});
    server.be(NameServer::Mood::failing, test::dns_aaaa);
    const auto all = Asker::ask(server, "app.example");
    CHECK(texts(all) == std::set<std::string>{"10.0.0.1:80"});
    CHECK(all.incomplete);
    CHECK_FALSE(all.reason.empty());
}

TEST_CASE("a name server that fails, is silent, or talks nonsense is a failure with a reason", "[dns]") {
    NameServer server;
    server.set("app.example", {test::a("10.0.0.1"), test::aaaa("::1")});
    const auto mood = GENERATE(NameServer::Mood::failing, NameServer::Mood::silent, NameServer::Mood::garbage,
                               NameServer::Mood::cut, NameServer::Mood::truncated);
    CAPTURE(static_cast<int>(mood));
    server.be(mood);
    const auto nothing = Asker::ask(server, "app.example");
    CHECK(nothing.addresses.empty());
    CHECK(nothing.incomplete);
    CHECK_FALSE(nothing.reason.empty());
    if (mood == NameServer::Mood::silent) CHECK(nothing.reason == "no name server answers in time");
}
