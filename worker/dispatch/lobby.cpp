#include "worker/dispatch/lobby.h"

#include <event2/event_struct.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>
#include <tuple>
#include <utility>

namespace worker::dispatch {
namespace {

constexpr std::uint64_t drain_grace_ms = 1'000;  // an idle client's next request may be on its way

class Registered : public execution::Link {};

}  // namespace

/// One connection that nobody serves.
// idle ──readable──▶ gone to a loop          any ──client left, too long──▶ ended
//   └──no place free──▶ waiting ──place──▶ │
class Lobby::Guest final : private execution::Deadline, public Waiting, public Registered {
 public:
    Guest(Lobby& lobby, connection::Traveller traveller) : lobby_(lobby), traveller_(std::move(traveller)) {
        const short edges = EV_READ | EV_CLOSED | EV_PERSIST | EV_ET;
        if (event_assign(&event_, &lobby.loop_.base(), traveller_.socket.get(), edges, &Guest::on_event,
                         this) != 0)
            std::abort();
    }
    ~Guest() override { event_del(&event_); }

    /// False: no memory or no place in epoll.
    [[nodiscard]] bool wait(std::uint64_t ms) {
        if (event_add(&event_, nullptr) != 0) return false;
        lobby_.loop_.arm(*this, ms);
        return true;
    }
    void hurry(std::uint64_t ms) {
        if (!waits_ && (!armed() || due_ms() > lobby_.loop_.clock().now_ms() + ms))
            lobby_.loop_.arm(*this, ms);
    }
    /// In the line, which has a deadline of its own.
    void begin_to_wait() {
        waits_ = true;
        disarm();
    }
    [[nodiscard]] connection::Traveller leave() {
        event_del(&event_);
        disarm();
        return std::move(traveller_);
    }
    [[nodiscard]] const ipc::UniqueFd& socket() const noexcept { return traveller_.socket; }
    [[nodiscard]] std::uint32_t address() const noexcept { return traveller_.address; }
    void on_late() noexcept override { lobby_.turn_away(*this); }

 private:
    static void on_event(evutil_socket_t, short what, void* self) noexcept {
        auto& guest = *static_cast<Guest*>(self);
        if (!guest.traveller_.socket) return;  // has gone in this very turn
        guest.lobby_.loop_.enter();
        if ((what & EV_CLOSED) != 0 && (guest.waits_ || guest.said_nothing())) return guest.lobby_.end(guest);
        if (!guest.waits_) guest.lobby_.on_readable(guest);
    }
    /// Nobody is to be woken for a client that only left.
    [[nodiscard]] bool said_nothing() const {
        char byte = 0;
        return ::recv(traveller_.socket.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
    }
    void on_deadline() noexcept override { lobby_.end(*this); }

    Lobby& lobby_;
    connection::Traveller traveller_;
    event event_{};
    bool waits_ = false;
};

Lobby::Lobby(execution::Loop& loop, Rules rules, connection::Census& census, std::vector<LoopDoor> doors)
    : loop_(loop),
      rules_(std::move(rules)),
      census_(census),
      doors_(std::move(doors)),
      places_(doors_.size()),
      line_(loop, rules_.patience, "connections") {}

Lobby::~Lobby() {
    when_gone_ = nullptr;
    while (guests_.linked()) end(static_cast<Guest&>(static_cast<Registered&>(*guests_.next())));
    bury();
}

void Lobby::open(ipc::UniqueFd socket, const connection::Peer& peer, std::uint32_t address) {
    loop_.cell().accepted.add();
    if (!census_.enter(address)) {
        loop_.cell().refused.add();
        return connection::turn_away(socket);
    }
    take_in({std::move(socket), peer, address, census_.next_id()});
}

void Lobby::take_in(connection::Traveller traveller) {
    const std::uint64_t own = traveller.memory.requests > 0 ? traveller.memory.patience_ms
                                                            : rules_.first_request_ms(traveller.address);
    auto* guest = new Guest(*this, std::move(traveller));
    guest->Registered::join(guests_);
    loop_.cell().connections.set(++size_);
    if (!guest->wait(draining_ ? std::min(own, drain_grace_ms) : own)) end(*guest);
}

void Lobby::on_readable(Guest& guest) {
    if ((line_.empty() || is_spared(guest)) && send_on(guest)) return;
    if (!line_.join(guest)) return turn_away(guest);
    guest.begin_to_wait();
}

bool Lobby::is_spared(const Guest& guest) const { return rules_.spared.at(guest.address()); }

bool Lobby::send_on(Guest& guest) {
    const auto door = free_door(is_spared(guest));
    if (!door) return false;
    ++places_[*door].taken;
    doors_[*door].mailbox.post(
        [traveller = guest.leave(), connections = doors_[*door].connections]() mutable {
            connections->take_in(std::move(traveller));
        });
    forget(guest);
    return true;
}

/// The one that became free last: its memory is warm, and those that are not needed rest. Where loops have
/// several places, one of those with the most free ones. One that is frozen only when all are.
std::optional<std::size_t> Lobby::free_door(bool spared) const {
    std::optional<std::size_t> best;
    const std::uint64_t now = loop_.clock().now_ms();
    const auto rank = [&](std::size_t door) {  // less is better
        const Place& place = places_[door];
        return std::tuple(!moves(doors_[door].cell, now), place.taken, ~place.freed);
    };
    for (std::size_t door = 0; door < places_.size(); ++door)
        if ((spared || places_[door].taken < rules_.places) && (!best || rank(door) < rank(*best)))
            best = door;
    return best;
}

void Lobby::on_return(std::size_t door, std::optional<connection::Traveller> traveller) {
    --places_[door].taken;
    places_[door].freed = ++turns_;
    while (!line_.empty() && free_door()) {
        auto& next = static_cast<Guest&>(*line_.next());
        if (!send_on(next)) std::abort();  // there was a door
    }
    if (traveller) return take_in(std::move(*traveller));
    if (when_gone_) when_gone_();
}

void Lobby::turn_away(Guest& guest) {
    connection::turn_away(guest.socket());
    end(guest);
}

void Lobby::end(Guest& guest) {
    census_.leave();
    { const connection::Traveller closing = guest.leave(); }
    forget(guest);
}

void Lobby::forget(Guest& guest) {
    line_.quit(guest);
    guest.Registered::unlink();
    loop_.cell().connections.set(--size_);
    if (gone_.empty()) loop_.after_turn([this] { bury(); });
    gone_.push_back(&guest);
}

void Lobby::bury() {
    if (gone_.empty()) return;
    for (const Guest* guest : gone_) delete guest;
    gone_.clear();
    if (when_gone_) when_gone_();
}

void Lobby::drain() {
    draining_ = true;
    for (execution::Link* link = guests_.next(); link != &guests_; link = link->next())
        static_cast<Guest&>(static_cast<Registered&>(*link)).hurry(drain_grace_ms);
}

}  // namespace worker::dispatch
