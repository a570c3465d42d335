// ipc/message.h: everything master and worker can say to each other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "ipc/result.h"

namespace ipc {

/// Bumped when a frame's layout changes; the first byte of every frame.
constexpr std::uint8_t protocol_version = 1;
/// No frame is longer; texts are cut to fit before they are encoded.
constexpr std::size_t frame_bytes_max = 4096;
/// A longer text loses its end when it is encoded.
constexpr std::size_t text_bytes_max = 2048;
/// So do more numbers than these.
constexpr std::size_t numbers_max = 512;

/// Worker to master: I can serve; my listeners may listen. `Serve` is the answer.
struct Ready {
    static constexpr std::uint8_t kind = 1;
    static auto fields(auto& m) { return std::tie(m.slot); }
    std::uint32_t slot = 0;
};
/// Worker to master: I cannot serve, and why; the exit follows.
struct Failed {
    static constexpr std::uint8_t kind = 2;
    static auto fields(auto& m) { return std::tie(m.why); }
    std::string why;
};
/// Master to worker: `ready` answers 503 from now on; keep accepting.
struct Unready {
    static constexpr std::uint8_t kind = 3;
    static auto fields(auto&) { return std::tie(); }
};
/// Master to worker: accept no more, finish what you hold, leave within `limit_ms`.
struct Drain {
    static constexpr std::uint8_t kind = 4;
    static auto fields(auto& m) { return std::tie(m.limit_ms); }
    std::uint32_t limit_ms = 0;
};
/// Master to worker: leave now.
struct Stop {
    static constexpr std::uint8_t kind = 5;
    static auto fields(auto&) { return std::tie(); }
};
/// Master to worker, with the opened descriptors attached: write your logs there from now on.
/// Descriptor i belongs to access log i of the seat; the last one is the error log.
struct Reopen {
    static constexpr std::uint8_t kind = 6;
    static auto fields(auto& m) { return std::tie(m.request); }
    std::uint32_t request = 0;  ///< repeated in the answer
};
/// Worker to master: done; nothing is written to the old files any more.
struct Reopened {
    static constexpr std::uint8_t kind = 7;
    static auto fields(auto& m) { return std::tie(m.request); }
    std::uint32_t request = 0;
};
/// Master to worker, with a listening socket attached: take what waits in this queue too.
struct Adopt {
    static constexpr std::uint8_t kind = 8;
    static auto fields(auto& m) { return std::tie(m.queue, m.listener); }
    std::uint32_t queue = 0;     ///< a slot's number, or one of a socket that no slot has
    std::uint32_t listener = 0;  ///< index of the address
};
/// Master to worker: let that queue go again: its own worker is back, or it is empty for good. To a keeper:
/// another one keeps jobs from now on, and is to have the store; but where `queue` is `other_store`, that one
/// has a store of its own, and what runs is to end in the one it came from.
struct Release {
    static constexpr std::uint8_t kind = 9;
    static constexpr std::uint32_t other_store = 1;
    static auto fields(auto& m) { return std::tie(m.queue); }
    std::uint32_t queue = 0;
};

/// Master to worker, once, after Ready: your listeners listen, accept from now on. A socket that does not
/// listen yet reads as hung up in epoll and fails accept4() with EINVAL, so wait for this.
struct Serve {
    static constexpr std::uint8_t kind = 10;
    static auto fields(auto&) { return std::tie(); }
};

/// Master to worker: log from this level on, spdlog's number.
struct SetLevel {
    static constexpr std::uint8_t kind = 11;
    static auto fields(auto& m) { return std::tie(m.level); }
    std::uint32_t level = 2;
};

/// Worker to master, with `processes_max`: I have a client now, and take no other before it has gone.
struct Occupied {
    static constexpr std::uint8_t kind = 16;
    static auto fields(auto&) { return std::tie(); }
};
/// Master to worker, with `processes_max`: clients wait, nobody is idle, and there can be no more of us; or
/// that is over. So do not keep clients that are quiet.
struct Crowded {
    static constexpr std::uint8_t kind = 17;
    static auto fields(auto& m) { return std::tie(m.on); }
    std::uint32_t on = 0;  ///< 1 or 0
};

/// Master to keeper, once it drains: no worker of its generation is left.
struct Alone {
    static constexpr std::uint8_t kind = 18;
    static auto fields(auto&) { return std::tie(); }
};

/// Master to preloader, with the worker's end of its channel attached: fork it, as a child of the master.
struct Fork {
    static constexpr std::uint8_t kind = 20;
    static auto fields(auto&) { return std::tie(); }
};
/// Worker to master, the first that it says when a preloader has forked it: its seat, in several messages, is
/// the answer.
struct Born {
    static constexpr std::uint8_t kind = 21;
    static auto fields(auto& m) { return std::tie(m.pid); }
    std::uint32_t pid = 0;
};
/// Master to such a worker: more of its rows of the scoreboard, in order.
struct SeatRows {
    static constexpr std::uint8_t kind = 22;
    static auto fields(auto& m) { return std::tie(m.rows); }
    std::vector<std::uint32_t> rows;
};
/// Master to such a worker, with them attached: more of its access logs, in order.
struct SeatLogs {
    static constexpr std::uint8_t kind = 23;
    static auto fields(auto&) { return std::tie(); }
};
/// Master to such a worker, with them attached: sockets of one address, as in `SeatListener`, one for each of
/// its loops that accept.
struct SeatSockets {
    static constexpr std::uint8_t kind = 24;
    static auto fields(auto& m) { return std::tie(m.address, m.queue, m.blocking); }
    std::uint32_t address = 0;
    std::uint32_t queue = 0;     ///< of the first; the others' follow
    std::uint32_t blocking = 0;  ///< 1 or 0
};
/// Master to such a worker, with the error log attached unless that is standard error: this was all of it.
struct SeatWhole {
    static constexpr std::uint8_t kind = 25;
    static auto fields(auto& m) { return std::tie(m.slot, m.started, m.level); }
    std::uint32_t slot = 0;
    std::uint32_t started = 0;  ///< 1 or 0, as in `Seat`
    std::uint32_t level = 2;    ///< of the error log
};

using Message =
    std::variant<Ready, Failed, Unready, Drain, Stop, Reopen, Reopened, Adopt, Release, Serve, SetLevel,
                 Occupied, Crowded, Alone, Fork, Born, SeatRows, SeatLogs, SeatSockets, SeatWhole>;

/// One frame: version, kind, then the fields in order, little-endian; a text is a length and its bytes,
/// and so is a list of numbers.
[[nodiscard]] std::vector<std::byte> encode(const Message& message);

/// Fails on another version, an unknown kind, missing bytes, or bytes left over.
[[nodiscard]] Result<Message> decode(std::span<const std::byte> frame);

}  // namespace ipc
