// tests/master/listener_test.cpp: binding, refusing, listening late, and steering real connections.
#include "master/listeners.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <fstream>

#include "tests/master/sockets.h"

using conf::Accept;
using master::Listener;
using test::listen_on;

namespace {

/// One address of a generation.
struct Bound {
    master::Listeners listeners;

    [[nodiscard]] const master::Listeners::Entry& entry() const { return listeners.all()[0]; }
    [[nodiscard]] int socket_of(std::uint32_t slot) const { return entry().socket(slot)->fd.get(); }
    [[nodiscard]] std::uint16_t port() const { return entry().listener->address().port; }
    [[nodiscard]] Bound next(Accept accept, std::uint32_t slots) const {
        auto next = master::Listeners::bind({entry().plan}, accept, slots, listeners);
        if (!next) FAIL(next.error().text());
        return {std::move(*next)};
    }
};

tl::expected<Bound, ipc::Error> try_bind(const conf::Listen& plan, Accept accept, std::uint32_t slots) {
    auto listeners = master::Listeners::bind({plan}, accept, slots, {});
    if (!listeners) return tl::make_unexpected(listeners.error());
    return Bound{std::move(*listeners)};
}

Bound bound(const conf::Listen& plan, Accept accept, std::uint32_t slots) {
    auto made = try_bind(plan, accept, slots);
    if (!made) FAIL(made.error().text());
    return std::move(*made);
}

int accepted_by(int socket) {
    int count = 0;
    for (;;) {
        const ipc::UniqueFd connection(::accept4(socket, nullptr, nullptr, SOCK_CLOEXEC));
        if (!connection) return count;
        ++count;
    }
}

int option(int socket, int level, int name) {
    int value = -1;
    socklen_t size = sizeof value;
    REQUIRE(::getsockopt(socket, level, name, &value, &size) == 0);
    return value;
}

bool nonblocking(int fd) { return (::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0; }

}  // namespace

TEST_CASE("with reuseport each slot has a non-blocking socket of its own on the same port", "[master]") {
    const auto listener = bound(listen_on("127.0.0.1"), Accept::reuseport, 3);
    CHECK(listener.entry().has_queues());
    CHECK(listener.port() != 0);
    CHECK(listener.socket_of(0) != listener.socket_of(2));
    for (std::uint32_t slot = 0; slot < 3; ++slot) {
        CHECK(nonblocking(listener.socket_of(slot)));
        CHECK(option(listener.socket_of(slot), IPPROTO_TCP, TCP_NODELAY) == 1);
        CHECK((::fcntl(listener.socket_of(slot), F_GETFD) & FD_CLOEXEC) != 0);
    }
}

TEST_CASE("with shared all slots have one blocking socket", "[master]") {
    const auto listener = bound(listen_on("127.0.0.1"), Accept::shared, 3);
    CHECK_FALSE(listener.entry().has_queues());
    CHECK(listener.socket_of(0) == listener.socket_of(2));
    CHECK_FALSE(nonblocking(listener.socket_of(0)));
}

TEST_CASE("a bound address refuses until it is told to listen", "[master]") {
    auto listener = bound(listen_on("127.0.0.1"), GENERATE(Accept::reuseport, Accept::shared), 2);
    CHECK_FALSE(test::connect_to(listener.port()));
    CHECK(listener.entry().listener->group().empty());
    REQUIRE(listener.listeners.listen());
    REQUIRE(listener.listeners.listen());
    CHECK(listener.entry().listener->group().size() == listener.entry().sockets.size());
    CHECK(test::connect_to(listener.port()));
}

TEST_CASE("a generation takes up the sockets of the one before, and binds only what it lacks", "[master]") {
    auto two = bound(listen_on("127.0.0.1"), Accept::reuseport, 2);
    REQUIRE(two.listeners.listen());
    auto four = two.next(Accept::reuseport, 4);
    CHECK(four.port() == two.port());
    CHECK(four.socket_of(0) == two.socket_of(0));
    CHECK(four.socket_of(1) == two.socket_of(1));
    CHECK_FALSE(four.entry().socket(3)->listening());
    REQUIRE(four.listeners.listen());

    auto one = four.next(Accept::reuseport, 1);
    CHECK(one.listeners.retired().size() == 3);
    auto three = one.next(Accept::reuseport, 3);  // takes back two of those
    CHECK(three.listeners.retired().size() == 1);
    CHECK(three.entry().socket(2)->listening());
}

TEST_CASE("a generation that comes to nothing leaves no trace on the address", "[master]") {
    auto two = bound(listen_on("127.0.0.1"), Accept::reuseport, 2);
    REQUIRE(two.listeners.listen());
    { const auto given_up = two.next(Accept::reuseport, 5); }
    CHECK(two.entry().listener->group().size() == 2);
    for (int count = 0; count < 50; ++count) REQUIRE(test::connect_to(two.port()));
    CHECK(accepted_by(two.socket_of(0)) + accepted_by(two.socket_of(1)) == 50);
}

TEST_CASE("a socket is closed while its group goes on serving, whichever it is", "[master]") {
    auto four = bound(listen_on("127.0.0.1"), Accept::reuseport, 4);
    REQUIRE(four.listeners.listen());
    const auto leaving = four.entry().socket(GENERATE(0u, 1u, 3u));
    std::vector<bool> live;
    for (const auto& socket : four.entry().sockets) live.push_back(socket != leaving);
    REQUIRE(four.listeners.steer(live));
    REQUIRE(four.entry().listener->close(leaving));
    for (int count = 0; count < 200; ++count) REQUIRE(test::connect_to(four.port()));
    int taken = 0;
    for (const auto& socket : four.entry().sockets)
        if (socket != leaving) {
            const int here = accepted_by(socket->fd.get());
            CHECK(here > 0);
            taken += here;
        }
    CHECK(taken == 200);
    CHECK(four.entry().listener->group().size() == 3);
}

TEST_CASE("the last but one socket can be closed too", "[master]") {
    auto two = bound(listen_on("127.0.0.1"), Accept::reuseport, 2);
    REQUIRE(two.listeners.listen());
    REQUIRE(two.listeners.steer({false, true}));
    REQUIRE(two.entry().listener->close(two.entry().socket(0)));
    for (int count = 0; count < 50; ++count) REQUIRE(test::connect_to(two.port()));
    CHECK(accepted_by(two.socket_of(1)) == 50);
}

TEST_CASE("a change of the way to accept binds new sockets beside the old ones", "[master]") {
    const auto from = GENERATE(Accept::reuseport, Accept::shared);
    const auto to = from == Accept::shared ? Accept::reuseport : Accept::shared;
    auto before = bound(listen_on("127.0.0.1"), from, 2);
    REQUIRE(before.listeners.listen());
    auto after = before.next(to, 2);
    REQUIRE(after.listeners.listen());
    CHECK(after.port() == before.port());
    CHECK(nonblocking(after.socket_of(0)) == (to == Accept::reuseport));
    CHECK(after.listeners.retired().size() == before.entry().sockets.size());
    REQUIRE(after.listeners.steer({true, true}));
    for (int count = 0; count < 20; ++count) REQUIRE(test::connect_to(after.port()));
    CHECK(Listener::pending(*after.entry().sockets[0]).value_or(0) +
              (to == Accept::reuseport ? Listener::pending(*after.entry().sockets[1]).value_or(0) : 0) ==
          20u);
}

TEST_CASE("an address that overlaps one of ours is bound beside it", "[master]") {
    auto any = bound(listen_on("0.0.0.0"), Accept::reuseport, 2);
    REQUIRE(any.listeners.listen());
    auto one =
        master::Listeners::bind({listen_on("127.0.0.1", any.port())}, Accept::reuseport, 2, any.listeners);
    REQUIRE(one);
    REQUIRE(one->listen());
    REQUIRE(test::connect_to(any.port()));  // the narrower address gets it
    CHECK(Listener::pending(*one->all()[0].sockets[0]).value_or(0) +
              Listener::pending(*one->all()[0].sockets[1]).value_or(0) ==
          1u);
}

TEST_CASE("another backlog takes effect on the same socket", "[master]") {
    auto first = bound(listen_on("127.0.0.1"), Accept::shared, 1);
    REQUIRE(first.listeners.listen());
    auto plan = first.entry().plan;
    plan.backlog = 7;
    auto second = master::Listeners::bind({plan}, Accept::shared, 1, first.listeners);
    REQUIRE(second);
    REQUIRE(second->listen());
    CHECK(second->all()[0].sockets[0] == first.entry().sockets[0]);
    CHECK(first.entry().sockets[0]->backlog == 7);
}

TEST_CASE("a listener counts the connections that wait", "[master]") {
    auto listener = bound(listen_on("127.0.0.1"), Accept::reuseport, 1);
    REQUIRE(listener.listeners.listen());
    CHECK(listener.entry().listener->pending() == 0u);
    const auto one = test::connect_to(listener.port());
    const auto two = test::connect_to(listener.port());
    CHECK(listener.entry().listener->pending() == 2u);
}

TEST_CASE("a deaf listener finishes what has begun and takes up nothing new", "[master]") {
    auto one = bound(listen_on("127.0.0.1"), Accept::reuseport, 1);
    REQUIRE(one.listeners.listen());
    const int patience = 5;  // seconds in which the handshake is finished by data only, not by an ACK
    REQUIRE(::setsockopt(one.socket_of(0), IPPROTO_TCP, TCP_DEFER_ACCEPT, &patience, sizeof patience) == 0);
    const auto early = test::connect_to(one.port());
    one.entry().listener->deafen();
    CHECK(one.entry().listener->pending() == 0u);
    REQUIRE(::send(early.get(), "x", 1, MSG_NOSIGNAL) == 1);
    CHECK(test::eventually([&] { return one.entry().listener->pending() == 1u; }));

    const ipc::UniqueFd late(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(one.port());
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(::connect(late.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == -1);
    CHECK(accepted_by(one.socket_of(0)) == 1);
    one.entry().listener->listen_again();
    pollfd connected{.fd = late.get(), .events = POLLOUT, .revents = 0};
    CHECK(::poll(&connected, 1, 10'000) == 1);  // its next attempt is heard
    CHECK(connected.revents == POLLOUT);
}

TEST_CASE("a slot that is steered away gets no connection, and gets them again later", "[master]") {
    constexpr int connections = 300;
    auto listener = bound(listen_on("127.0.0.1"), Accept::reuseport, 4);
    for (const std::uint32_t slot : {2u, 0u, 3u, 1u})
        REQUIRE(listener.entry().listener->listen(listener.entry().socket(slot), 511));
    const auto spread = [&](const std::vector<bool>& live) {
        REQUIRE(listener.listeners.steer(live));
        for (int count = 0; count < connections; ++count) {
            // Looping back is synchronous: once connected, it is in some queue.
            REQUIRE(test::connect_to(listener.port()));
        }
        std::vector<int> taken;
        for (std::uint32_t slot = 0; slot < 4; ++slot) taken.push_back(accepted_by(listener.socket_of(slot)));
        CHECK(taken[0] + taken[1] + taken[2] + taken[3] == connections);
        return taken;
    };
    const auto without_two = spread({true, true, false, true});
    CHECK(without_two[2] == 0);
    for (const int slot : {0, 1, 3}) CHECK(without_two[static_cast<std::size_t>(slot)] > connections / 10);
    const auto only_one = spread({false, true, false, false});
    CHECK(only_one[1] == connections);
    for (const int taken : spread({true, true, true, true})) CHECK(taken > 0);
    for (const int taken : spread({false, false, false, false})) CHECK(taken > 0);
}

TEST_CASE("an address that another socket listens on is refused, even one with SO_REUSEPORT", "[master]") {
    auto first = bound(listen_on("127.0.0.1"), GENERATE(Accept::reuseport, Accept::shared), 1);
    REQUIRE(first.listeners.listen());
    const auto again = listen_on("127.0.0.1", first.port());
    for (const auto accept : {Accept::reuseport, Accept::shared}) {
        const auto refused = master::Listeners::bind({again}, accept, 2, {});
        REQUIRE_FALSE(refused);
        CHECK(refused.error().why.value() == EADDRINUSE);
        CHECK(refused.error().doing == "bind " + again.address.text());
    }
}

TEST_CASE("a wildcard and one of its addresses can be bound together", "[master]") {
    const auto port = bound(listen_on("127.0.0.1"), Accept::shared, 1).port();
    auto listeners = master::Listeners::bind(
        {listen_on("0.0.0.0", port), listen_on("127.0.0.1", port), listen_on("::", port)},
        GENERATE(Accept::reuseport, Accept::shared), 2, {});
    REQUIRE(listeners);
    CHECK(listeners->listen());
}

TEST_CASE("IPv6 sockets take IPv6 only", "[master]") {
    const auto listener = bound(listen_on("::1"), Accept::reuseport, 1);
    CHECK(option(listener.socket_of(0), IPPROTO_IPV6, IPV6_V6ONLY) == 1);
    CHECK(listener.entry().listener->address().text() == "[::1]:" + std::to_string(listener.port()));
}

TEST_CASE("an address that is not ours, or no address, is refused", "[master]") {
    CHECK_FALSE(try_bind(listen_on("192.0.2.1", 8080), Accept::reuseport, 1));
    CHECK_FALSE(Listener::check_free(listen_on("not-an-address", 8080).address));
}

TEST_CASE("a Unix socket is open to all, one for all slots, and its file goes with it", "[master]") {
    const test::Folder folder;
    const auto path = folder / "s";
    {
        const auto accept = GENERATE(Accept::reuseport, Accept::shared);
        auto listener = bound(listen_on(path), accept, 2);
        struct stat file {};
        REQUIRE(::stat(path.c_str(), &file) == 0);
        CHECK((file.st_mode & 0777) == 0666);
        CHECK(listener.socket_of(0) == listener.socket_of(1));
        CHECK(nonblocking(listener.socket_of(0)) == (accept == Accept::reuseport));
        REQUIRE(listener.listeners.listen());
        CHECK(listener.listeners.steer({true, false}));
        CHECK(listener.next(accept, 3).socket_of(2) == listener.socket_of(0));
        CHECK(master::connect_unix(path, false));
        CHECK_FALSE(try_bind(listen_on(path), accept, 1));  // somebody answers there
    }
    CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("a Unix socket's file that nobody answers on is taken over", "[master]") {
    const test::Folder folder;
    const auto path = folder / "s";
    {
        const ipc::UniqueFd dead(::socket(AF_UNIX, SOCK_STREAM, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        REQUIRE(::bind(dead.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    }
    REQUIRE(std::filesystem::exists(path));
    CHECK(try_bind(listen_on(path), Accept::reuseport, 1));
}

TEST_CASE("a file that is no socket is never removed", "[master]") {
    const test::Folder folder;
    const auto path = folder / "precious";
    std::ofstream(path) << "data";
    CHECK_FALSE(try_bind(listen_on(path), Accept::reuseport, 1));
    CHECK(std::filesystem::file_size(path) == 4);
}

TEST_CASE("a socket file that another has replaced is left alone at the end", "[master]") {
    const test::Folder folder;
    const auto path = folder / "s";
    {
        const auto listener = bound(listen_on(path), Accept::reuseport, 1);
        std::filesystem::remove(path);
        std::ofstream(path) << "other";
    }
    CHECK(std::filesystem::exists(path));
}

TEST_CASE("a path too long for a socket is refused", "[master]") {
    CHECK_FALSE(try_bind(listen_on("/tmp/" + std::string(108, 'x')), Accept::reuseport, 1));
}
