#include "worker/connection/output.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

using worker::connection::Chunk;
using worker::connection::Output;
using worker::connection::Ref;
using worker::connection::Sent;
using worker::connection::Shared;
using worker::connection::Transport;

namespace {

/// Memory that tells when it goes.
struct Kept final : Shared {
    explicit Kept(bool& flag) : gone(flag) {}
    ~Kept() override { gone = true; }
    bool& gone;
};

/// Both ends of a socket, non-blocking, with small buffers.
struct Ends {
    Ends() {
        int made[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, made) == 0);
        const int small = 4096;
        ::setsockopt(made[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
        ours = ipc::UniqueFd(made[0]);
        theirs = ipc::UniqueFd(made[1]);
    }
    std::string read_all() const {
        std::string all(1 << 16, '\0');
        const ssize_t got = ::read(theirs.get(), all.data(), all.size());
        all.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
        return all;
    }
    ipc::UniqueFd ours, theirs;
};

ipc::UniqueFd file_of(const std::string& contents) {
    char name[] = "/tmp/reeve-output-XXXXXX";
    ipc::UniqueFd file(::mkstemp(name));
    ::unlink(name);
    REQUIRE(::write(file.get(), contents.data(), contents.size()) == static_cast<ssize_t>(contents.size()));
    return file;
}

/// Sends until all is out, the peer reading in between; what the peer got.
std::string send_all(Output& output, Transport& transport, const Ends& ends, std::size_t budget) {
    std::string got;
    std::uint64_t sent = 0;
    for (int turns = 0; turns < 10'000; ++turns) {
        const Sent how = output.send(transport, budget, false, sent);
        REQUIRE(how != Sent::failed);
        got += ends.read_all();
        if (how == Sent::all) break;
    }
    for (std::string more = ends.read_all(); !more.empty(); more = ends.read_all()) got += more;
    CHECK(sent == got.size());
    return got;
}

}  // namespace

TEST_CASE("text, memory and files arrive whole and in order, however little fits at a time", "[connection]") {
    const std::string memory(20'000, 'm'), in_file(30'000, 'f');
    const ipc::UniqueFd file = file_of("skip" + in_file);
    for (const std::size_t budget : {std::size_t{13}, std::size_t{777}, std::size_t{1} << 20}) {
        CAPTURE(budget);
        Ends ends;
        Transport transport(std::move(ends.ours));
        Output output;
        output.append("head ");
        output.append({{}, memory.data(), -1, 0, memory.size()});
        output.append("between");
        output.append({{}, nullptr, file.get(), 4, in_file.size()});
        output.append(" tail");
        output.append("!");
        const bool same =
            send_all(output, transport, ends, budget) == "head " + memory + "between" + in_file + " tail!";
        CHECK(same);
        CHECK(output.empty());
    }
}

TEST_CASE("what a piece refers to is held until it is sent, and not longer", "[connection]") {
    Ends ends;
    Transport transport(std::move(ends.ours));
    Output output;
    const std::string bytes(Output::copied_max + 1, 'x');
    bool gone = false;
    output.append(Chunk{Ref<Shared>(new Kept(gone)), bytes.data(), -1, 0, bytes.size()});
    CHECK_FALSE(gone);
    (void)send_all(output, transport, ends, 1 << 20);
    CHECK(gone);
}

TEST_CASE("small memory is copied, so nothing is held for it", "[connection]") {
    Output output;
    bool gone = false;
    output.append(Chunk{Ref<Shared>(new Kept(gone)), "small", -1, 0, 5});
    CHECK(gone);
    CHECK(output.text_bytes() == 5);
}

TEST_CASE("a file that is shorter than promised ends the sending", "[connection]") {
    Ends ends;
    Transport transport(std::move(ends.ours));
    Output output;
    const ipc::UniqueFd file = file_of("short");
    output.append(Chunk{{}, nullptr, file.get(), 0, 100});
    std::uint64_t sent = 0;
    CHECK(output.send(transport, 1 << 20, false, sent) == Sent::failed);
    CHECK(sent == 5);
}

TEST_CASE("a peer that is gone ends the sending without a signal", "[connection]") {
    Ends ends;
    Transport transport(std::move(ends.ours));
    ends.theirs.reset();
    Output output;
    output.append("anyone?");
    std::uint64_t sent = 0;
    CHECK(output.send(transport, 1 << 20, false, sent) == Sent::failed);
}
