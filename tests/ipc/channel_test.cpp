// tests/ipc/channel_test.cpp: packets, descriptors and endings between two processes' ends.
#include "ipc/channel.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <cstring>

namespace {

std::size_t open_descriptors() {
    std::size_t count = 0;
    DIR* folder = ::opendir("/proc/self/fd");
    while (::readdir(folder) != nullptr) ++count;
    ::closedir(folder);
    return count;
}

/// Sends raw bytes with `count` copies of descriptor 0 attached, as a peer that ignores our rules would.
void send_raw(int socket, std::string_view bytes, std::size_t count) {
    std::string copy(bytes);
    iovec part{.iov_base = copy.data(), .iov_len = copy.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * 253)> control{};
    const std::vector<int> attached(count, 0);
    msghdr packet{};
    packet.msg_iov = &part;
    packet.msg_iovlen = 1;
    if (count != 0) {
        packet.msg_control = control.data();
        packet.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        cmsghdr* rights = CMSG_FIRSTHDR(&packet);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int) * count);
        std::memcpy(CMSG_DATA(rights), attached.data(), sizeof(int) * count);
    }
    REQUIRE(::sendmsg(socket, &packet, MSG_NOSIGNAL) >= 0);
}

struct Ends {
    Ends() { REQUIRE(both); }
    ipc::Result<std::pair<ipc::Channel, ipc::Channel>> both = ipc::Channel::pair();
    ipc::Channel& master = both->first;
    ipc::Channel& worker = both->second;
};

}  // namespace

TEST_CASE("a channel carries messages in order and then has nothing", "[ipc]") {
    Ends ends;
    REQUIRE(ends.worker.send(ipc::Ready{.slot = 2}));
    REQUIRE(ends.worker.send(ipc::Reopened{.request = 5}));
    ipc::Received got;
    REQUIRE(ends.master.receive(got).value() == ipc::Got::message);
    CHECK(std::get<ipc::Ready>(got.message).slot == 2);
    REQUIRE(ends.master.receive(got).value() == ipc::Got::message);
    CHECK(std::get<ipc::Reopened>(got.message).request == 5);
    CHECK(ends.master.receive(got).value() == ipc::Got::nothing);
}

TEST_CASE("descriptors arrive usable and close-on-exec", "[ipc]") {
    Ends ends;
    std::array<int, 2> pipe{};
    REQUIRE(::pipe2(pipe.data(), O_CLOEXEC) == 0);
    const ipc::UniqueFd reading(pipe[0]);
    ipc::UniqueFd writing(pipe[1]);
    REQUIRE(ends.master.send(ipc::Reopen{.request = 1}, std::array{writing.get()}));
    writing.reset();

    ipc::Received got;
    REQUIRE(ends.worker.receive(got).value() == ipc::Got::message);
    REQUIRE(got.descriptors.size() == 1);
    const int fd = got.descriptors[0].get();
    CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    REQUIRE(::write(fd, "x", 1) == 1);
    char byte = 0;
    CHECK(::read(reading.get(), &byte, 1) == 1);
    CHECK(byte == 'x');
}

TEST_CASE("a channel whose peer has gone says closed, after what it still had to say", "[ipc]") {
    Ends ends;
    REQUIRE(ends.worker.send(ipc::Failed{.why = "no"}));
    ends.worker = ipc::Channel(ipc::UniqueFd());
    ipc::Received got;
    REQUIRE(ends.master.receive(got).value() == ipc::Got::message);
    CHECK(ends.master.receive(got).value() == ipc::Got::closed);
    const auto sent = ends.master.send(ipc::Stop{});  // and no SIGPIPE
    REQUIRE_FALSE(sent);
    CHECK(sent.error().why.value() == EPIPE);
}

TEST_CASE("the last words of a peer that left without reading are heard", "[ipc]") {
    Ends ends;
    REQUIRE(ends.master.send(ipc::Stop{}));
    REQUIRE(ends.worker.send(ipc::Failed{.why = "no such user"}));
    ends.worker = ipc::Channel(ipc::UniqueFd());
    ipc::Received got;
    REQUIRE(ends.master.receive(got).value() == ipc::Got::message);
    CHECK(std::get<ipc::Failed>(got.message).why == "no such user");
    CHECK(ends.master.receive(got).value() == ipc::Got::closed);
}

TEST_CASE("a peer that left without reading is closed, not an error", "[ipc]") {
    Ends ends;
    REQUIRE(ends.master.send(ipc::Stop{}));
    ends.worker = ipc::Channel(ipc::UniqueFd());
    ipc::Received got;
    CHECK(ends.master.receive(got).value() == ipc::Got::closed);
}

TEST_CASE("a full channel is an error at once, not a wait", "[ipc]") {
    Ends ends;
    int sent = 0;
    auto result = ends.master.send(ipc::Stop{});
    for (; result && sent < 1'000'000; ++sent) result = ends.master.send(ipc::Stop{});
    REQUIRE_FALSE(result);
    CHECK(result.error().why.value() == EAGAIN);
    CHECK(sent > 0);
}

TEST_CASE("bad packets are errors and leak no descriptor", "[ipc]") {
    Ends ends;
    const auto before = open_descriptors();
    const std::string_view garbage = GENERATE(std::string_view("\x01\x63", 2), std::string_view("garbage"));
    const std::size_t attached = GENERATE(0u, 1u, 64u, 65u, 253u);
    CAPTURE(garbage, attached);
    send_raw(ends.worker.fd(), garbage, attached);
    {
        ipc::Received got;
        CHECK_FALSE(ends.master.receive(got));
        CHECK(got.descriptors.empty());
    }
    CHECK(open_descriptors() == before);
}

TEST_CASE("more descriptors than allowed are refused even on a good frame, both ways", "[ipc]") {
    Ends ends;
    const auto before = open_descriptors();
    const auto frame = ipc::encode(ipc::Ready{});
    send_raw(ends.worker.fd(), {reinterpret_cast<const char*>(frame.data()), frame.size()}, 65);
    {
        ipc::Received got;
        CHECK_FALSE(ends.master.receive(got));
    }
    CHECK(open_descriptors() == before);
    CHECK_FALSE(ends.master.send(ipc::Stop{}, std::vector<int>(65, 0)));
}

TEST_CASE("a frame longer than any message is refused", "[ipc]") {
    Ends ends;
    send_raw(ends.worker.fd(), std::string(ipc::frame_bytes_max + 1, '\x01'), 0);
    ipc::Received got;
    CHECK_FALSE(ends.master.receive(got));
}
