// master/listeners.h: every address of the configuration, bound or refused as one.
#pragma once

#include <cstdint>
#include <vector>

#include "ipc/result.h"
#include "ipc/seat.h"
#include "master/listener.h"

namespace master {

class Listeners {
 public:
    /// Index i of `plan` is address i everywhere. When one cannot be bound, none is.
    [[nodiscard]] static ipc::Result<Listeners> bind(const std::vector<conf::Listen>& plan,
                                                     conf::Accept accept, std::uint32_t slots);

    [[nodiscard]] const std::vector<Listener>& all() const noexcept { return listeners_; }
    /// The slot's worker can serve: from now on its sockets listen.
    [[nodiscard]] ipc::Result<void> listen(std::uint32_t slot);
    [[nodiscard]] ipc::Result<void> steer(const std::vector<bool>& live);
    /// Ours are gone then; a worker's copies live on until it closes them.
    void close() noexcept { listeners_.clear(); }

    /// What a worker in `slot` gets. To be called in the child: the descriptors become the seat's.
    [[nodiscard]] std::vector<ipc::SeatListener> for_seat(std::uint32_t slot) const;

 private:
    std::vector<Listener> listeners_;
};

}  // namespace master
