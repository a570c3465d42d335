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

Listener bound(const conf::Listen& plan, Accept accept, std::uint32_t slots) {
    auto listener = Listener::bind(plan, accept, slots);
    if (!listener) FAIL(listener.error().text());
    return std::move(*listener);
}

int accepted_by(const Listener& listener, std::uint32_t slot) {
    int count = 0;
    for (;;) {
        const ipc::UniqueFd connection(::accept4(listener.socket_of(slot), nullptr, nullptr, SOCK_CLOEXEC));
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
    CHECK(listener.per_slot());
    CHECK_FALSE(listener.blocking());
    CHECK(listener.plan().address.port != 0);
    CHECK(listener.socket_of(0) != listener.socket_of(2));
    for (std::uint32_t slot = 0; slot < 3; ++slot) {
        CHECK(nonblocking(listener.socket_of(slot)));
        CHECK(option(listener.socket_of(slot), IPPROTO_TCP, TCP_NODELAY) == 1);
        CHECK((::fcntl(listener.socket_of(slot), F_GETFD) & FD_CLOEXEC) != 0);
    }
}

TEST_CASE("with shared all slots have one blocking socket", "[master]") {
    const auto listener = bound(listen_on("127.0.0.1"), Accept::shared, 3);
    CHECK_FALSE(listener.per_slot());
    CHECK(listener.blocking());
    CHECK(listener.socket_of(0) == listener.socket_of(2));
    CHECK_FALSE(nonblocking(listener.socket_of(0)));
}

TEST_CASE("a bound address refuses until a slot listens", "[master]") {
    auto listener = bound(listen_on("127.0.0.1"), Accept::reuseport, 2);
    const auto port = listener.plan().address.port;
    CHECK_FALSE(test::connect_to(port));
    REQUIRE(listener.listen(1));
    REQUIRE(listener.listen(1));
    CHECK(listener.listening(1));
    CHECK_FALSE(listener.listening(0));
    CHECK(listener.group() == std::vector<std::uint32_t>{1});
    CHECK(test::connect_to(port));
}

TEST_CASE("a listener counts the connections that wait", "[master]") {
    auto listener = bound(listen_on("127.0.0.1"), Accept::reuseport, 1);
    REQUIRE(listener.listen(0));
    CHECK(listener.pending() == 0u);
    const auto one = test::connect_to(listener.plan().address.port);
    const auto two = test::connect_to(listener.plan().address.port);
    CHECK(listener.pending() == 2u);
}

TEST_CASE("a slot that is steered away gets no connection, and gets them again later", "[master]") {
    constexpr int connections = 300;
    auto listener = bound(listen_on("127.0.0.1"), Accept::reuseport, 4);
    for (const std::uint32_t slot : {2u, 0u, 3u, 1u}) REQUIRE(listener.listen(slot));
    const auto spread = [&](const std::vector<bool>& live) {
        REQUIRE(listener.steer(live));
        for (int count = 0; count < connections; ++count) {
            // Looping back is synchronous: once connected, it is in some queue.
            REQUIRE(test::connect_to(listener.plan().address.port));
        }
        std::vector<int> taken;
        for (std::uint32_t slot = 0; slot < 4; ++slot) taken.push_back(accepted_by(listener, slot));
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
    REQUIRE(first.listen(0));
    const auto again = listen_on("127.0.0.1", first.plan().address.port);
    for (const auto accept : {Accept::reuseport, Accept::shared}) {
        const auto refused = master::Listeners::bind({again}, accept, 2);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().why.value() == EADDRINUSE);
        CHECK(refused.error().doing == "bind " + again.address.text());
    }
}

TEST_CASE("a wildcard and one of its addresses can be bound together", "[master]") {
    const auto port = bound(listen_on("127.0.0.1"), Accept::shared, 1).plan().address.port;
    auto listeners = master::Listeners::bind(
        {listen_on("0.0.0.0", port), listen_on("127.0.0.1", port), listen_on("::", port)},
        GENERATE(Accept::reuseport, Accept::shared), 2);
    REQUIRE(listeners);
    CHECK(listeners->listen(0));
    CHECK(listeners->listen(1));
}

TEST_CASE("IPv6 sockets take IPv6 only", "[master]") {
    const auto listener = bound(listen_on("::1"), Accept::reuseport, 1);
    CHECK(option(listener.socket_of(0), IPPROTO_IPV6, IPV6_V6ONLY) == 1);
    CHECK(listener.plan().address.text() == "[::1]:" + std::to_string(listener.plan().address.port));
}

TEST_CASE("an address that is not ours, or no address, is refused", "[master]") {
    CHECK_FALSE(Listener::bind(listen_on("192.0.2.1", 8080), Accept::reuseport, 1));
    CHECK_FALSE(Listener::check_free(listen_on("not-an-address", 8080)));
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
        REQUIRE(listener.listen(1));
        CHECK(listener.steer({true, false}));
        CHECK(master::connect_unix(path, false));
        CHECK_FALSE(Listener::bind(listen_on(path), accept, 1));  // somebody answers there
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
    CHECK(Listener::bind(listen_on(path), Accept::reuseport, 1));
}

TEST_CASE("a file that is no socket is never removed", "[master]") {
    const test::Folder folder;
    const auto path = folder / "precious";
    std::ofstream(path) << "data";
    CHECK_FALSE(Listener::bind(listen_on(path), Accept::reuseport, 1));
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
    CHECK_FALSE(Listener::bind(listen_on("/tmp/" + std::string(108, 'x')), Accept::reuseport, 1));
}
