// worker/dispatch/lobby.h: connections between two requests, and those that wait for a loop with a free
// place.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "worker/connection/connections.h"
#include "worker/dispatch/distributor.h"
#include "worker/dispatch/waiting_line.h"

namespace worker::dispatch {

/// Of the loop that accepts; thread of that. A connection of which something can be read goes to a loop with
/// a free place, stays there until its response is out, and comes back. Meanwhile it is not here: what is
/// here is idle, or waits in a bounded line.
class Lobby final : public connection::Reception {
 public:
    struct Rules {
        std::uint32_t places = 1;  ///< of each loop
        Patience patience;
        /// How long the first request of a connection may take to begin, by address.
        std::function<std::uint64_t(std::uint32_t)> first_request_ms;
        std::vector<bool>
            spared;  ///< by address: connections that go to a loop also when all places are taken
    };

    /// All must outlive it.
    Lobby(execution::Loop& loop, Rules rules, connection::Census& census, std::vector<LoopDoor> doors);
    ~Lobby() override;

    void open(ipc::UniqueFd socket, const connection::Peer& peer, std::uint32_t address) override;
    [[nodiscard]] execution::Loop& loop() noexcept override { return loop_; }
    /// A visit to that loop is over; the connection comes back, or has ended there.
    void on_return(std::size_t door, std::optional<connection::Traveller> traveller);
    /// Those that are idle stay a moment, to answer what is on its way.
    void drain();
    /// Those that are here.
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    /// Calls `work` when one has gone for good, or to a loop.
    void when_gone(std::function<void()> work) { when_gone_ = std::move(work); }

 private:
    class Guest;
    friend class Guest;

    void take_in(connection::Traveller traveller);
    void on_readable(Guest& guest);
    /// To a loop, if one has a place.
    [[nodiscard]] bool send_on(Guest& guest);
    [[nodiscard]] bool is_spared(const Guest& guest) const;
    void turn_away(Guest& guest);
    void forget(Guest& guest);
    /// Its connection ends here.
    void end(Guest& guest);
    [[nodiscard]] std::optional<std::size_t> free_door(bool spared = false) const;
    void bury();

    execution::Loop& loop_;
    const Rules rules_;
    connection::Census& census_;
    std::vector<LoopDoor> doors_;
    struct Place {
        std::uint32_t taken = 0;
        std::uint64_t freed = 0;  ///< when the last one became free: greater is later
    };
    std::vector<Place> places_;
    std::uint64_t turns_ = 0;
    WaitingLine line_;
    execution::Link guests_;
    std::size_t size_ = 0;
    std::vector<Guest*> gone_;
    std::function<void()> when_gone_;
    bool draining_ = false;
};

}  // namespace worker::dispatch
