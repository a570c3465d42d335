// ipc/seat_transfer.h: a seat on its way through a channel, to a worker that the master has not forked
// itself.
#pragma once

#include <chrono>
#include <span>
#include <vector>

#include "ipc/result.h"
#include "ipc/seat.h"

namespace ipc {

/// A part of a seat that is to be sent; its descriptors stay the sender's.
struct SeatPart {
    Message message;
    std::vector<int> descriptors;
};

/// Rows and access logs, in as many messages as it takes. `SeatWhole`, behind all parts, is the sender's.
[[nodiscard]] std::vector<SeatPart> seat_parts(std::span<const std::uint32_t> rows,
                                               std::span<const int> access_logs);

/// What has come.
struct ReceivedSeat {
    Seat seat;
    UniqueFd error_log;  ///< none: it goes to standard error
};

/// In the worker: takes all of it, with rows of `board`, and waits for it no longer than `limit`. What does
/// not change in a generation is for the caller to fill in.
[[nodiscard]] Result<ReceivedSeat> receive_seat(Channel channel, Scoreboard& board,
                                                std::chrono::milliseconds limit);

}  // namespace ipc
