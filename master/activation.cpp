// master/activation.cpp: descriptors from 3 on, their addresses asked from the kernel.
#include "master/activation.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string>
#include <utility>

#include "conf/units.h"
#include "master/environment.h"

namespace master {
namespace {

constexpr int first_descriptor = 3;
constexpr std::uint64_t descriptors_max = 1024;

int option(int fd, int name) {
    int value = 0;
    socklen_t size = sizeof value;
    return ::getsockopt(fd, SOL_SOCKET, name, &value, &size) < 0 ? -1 : value;
}

ipc::Result<conf::Address> address_of(int fd) {
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size) < 0)
        return ipc::system_error("descriptor " + std::to_string(fd) + " of LISTEN_FDS");
    conf::Address address;
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (bound.ss_family == AF_INET) {
        const auto& inet = reinterpret_cast<const sockaddr_in&>(bound);
        address.family = conf::Address::Family::ipv4;
        address.host = ::inet_ntop(AF_INET, &inet.sin_addr, text.data(), text.size());
        address.port = ntohs(inet.sin_port);
        return address;
    }
    if (bound.ss_family == AF_INET6) {
        const auto& inet = reinterpret_cast<const sockaddr_in6&>(bound);
        address.family = conf::Address::Family::ipv6;
        address.host = ::inet_ntop(AF_INET6, &inet.sin6_addr, text.data(), text.size());
        address.port = ntohs(inet.sin6_port);
        return address;
    }
    const auto& unix_address = reinterpret_cast<const sockaddr_un&>(bound);
    if (bound.ss_family != AF_UNIX || unix_address.sun_path[0] == '\0')
        return ipc::failure("descriptor " + std::to_string(fd) + " of LISTEN_FDS has no address we know");
    address.family = conf::Address::Family::unix_path;
    address.host = unix_address.sun_path;
    return address;
}

ipc::Result<Listeners::Entry> take_socket(int number) {
    ipc::UniqueFd fd(number);
    if (::fcntl(number, F_SETFD, FD_CLOEXEC) < 0)
        return ipc::system_error("descriptor " + std::to_string(number) + " of LISTEN_FDS");
    if (option(number, SO_TYPE) != SOCK_STREAM || option(number, SO_ACCEPTCONN) != 1)
        return ipc::failure("descriptor " + std::to_string(number) +
                            " of LISTEN_FDS is no listening stream socket");
    auto address = address_of(number);
    if (!address) return tl::make_unexpected(std::move(address.error()));
    const bool blocking = (::fcntl(number, F_GETFL) & O_NONBLOCK) == 0;
    auto socket = std::make_shared<ListenSocket>(ListenSocket{std::move(fd), blocking, 1});
    auto listener = Listener::inherit(*address, {socket}, std::nullopt, true);
    conf::Listen plan;
    plan.address = std::move(*address);
    return Listeners::Entry{std::move(listener), std::move(plan), {std::move(socket)}, true};
}

}  // namespace

ipc::Result<Listeners> take_activation() {
    const auto pid = take_variable("LISTEN_PID");
    const auto count = take_variable("LISTEN_FDS");
    ::unsetenv("LISTEN_FDNAMES");
    if (pid != std::to_string(::getpid()) || count.empty()) return Listeners();
    const auto number = conf::parse_number(count, 0, descriptors_max);
    if (!number) return ipc::failure("LISTEN_FDS: " + count + " is not a number of descriptors");
    std::vector<Listeners::Entry> entries;
    for (int fd = first_descriptor; fd < first_descriptor + static_cast<int>(*number); ++fd) {
        auto entry = take_socket(fd);
        if (!entry) return tl::make_unexpected(std::move(entry.error()));
        entries.push_back(std::move(*entry));
    }
    return Listeners(std::move(entries));
}

}  // namespace master
