// ipc/seat_transfer.cpp: parts in any number, in order; the last one says that it was the last.
#include "ipc/seat_transfer.h"

#include <poll.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "ipc/clock.h"

namespace ipc {
namespace {

/// Puts the parts where they belong.
class Collector {
 public:
    Collector(ReceivedSeat& into, Scoreboard& board) : into_(into), board_(board) {}

    /// Whether that was the last one.
    Result<bool> take(Received& part) {
        auto& seat = into_.seat;
        auto& descriptors = part.descriptors;
        if (const auto* rows = std::get_if<SeatRows>(&part.message)) {
            for (const auto row : rows->rows) {
                if (row >= Scoreboard::rows_max) return failure("a seat with a row that there is not");
                seat.crew.push_back(&board_.row(row));
            }
            return false;
        }
        if (std::holds_alternative<SeatLogs>(part.message)) {
            std::move(descriptors.begin(), descriptors.end(), std::back_inserter(seat.access_logs));
            return false;
        }
        if (const auto* sockets = std::get_if<SeatSockets>(&part.message)) {
            for (std::uint32_t loop = 0; loop < descriptors.size(); ++loop)
                seat.listeners.push_back({.socket = std::move(descriptors[loop]),
                                          .address = sockets->address,
                                          .queue = sockets->queue + loop,
                                          .loop = loop,
                                          .blocking = sockets->blocking != 0});
            return false;
        }
        if (const auto* whole = std::get_if<SeatWhole>(&part.message)) {
            if (seat.crew.empty()) return failure("a seat without a row");
            seat.slot = whole->slot;
            seat.started = whole->started != 0;
            seat.log_level = static_cast<int>(whole->level);
            if (!descriptors.empty()) into_.error_log = std::move(descriptors.front());
            return true;
        }
        return failure("no part of a seat");
    }

 private:
    ReceivedSeat& into_;
    Scoreboard& board_;
};

}  // namespace

std::vector<SeatPart> seat_parts(std::span<const std::uint32_t> rows, std::span<const int> access_logs) {
    std::vector<SeatPart> parts;
    for (; !rows.empty(); rows = rows.subspan(std::min(rows.size(), numbers_max))) {
        const auto some = rows.first(std::min(rows.size(), numbers_max));
        parts.push_back({SeatRows{.rows = {some.begin(), some.end()}}, {}});
    }
    constexpr auto most = Channel::descriptors_max;
    for (; !access_logs.empty(); access_logs = access_logs.subspan(std::min(access_logs.size(), most))) {
        const auto some = access_logs.first(std::min(access_logs.size(), most));
        parts.push_back({SeatLogs{}, {some.begin(), some.end()}});
    }
    return parts;
}

Result<ReceivedSeat> receive_seat(Channel channel, Scoreboard& board, std::chrono::milliseconds limit) {
    ReceivedSeat all;
    Collector collector(all, board);
    const auto late = monotonic_ms() + static_cast<std::uint64_t>(limit.count());
    for (;;) {
        const auto now = monotonic_ms();
        if (now >= late) return failure("the seat does not come");
        pollfd waiting{.fd = channel.fd(), .events = POLLIN, .revents = 0};
        (void)::poll(&waiting, 1, static_cast<int>(late - now));
        Received part;
        const auto got = channel.receive(part);
        if (!got) return tl::make_unexpected(got.error());
        if (*got == Got::closed) return failure("the master is gone");
        if (*got == Got::nothing) continue;
        const auto whole = collector.take(part);
        if (!whole) return tl::make_unexpected(whole.error());
        if (*whole) break;
    }
    all.seat.scoreboard = &board;
    all.seat.cell = all.seat.crew.front();
    all.seat.channel = std::move(channel);
    return all;
}

}  // namespace ipc
