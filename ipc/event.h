// ipc/event.h: one libevent registration, cancelled when its owner goes.
#pragma once

#include <event2/event.h>

#include <chrono>
#include <cstdlib>
#include <memory>

namespace ipc {

/// Keep it as a member of the object it calls, so neither can outlive the other.
/// One shot unless `interest` has EV_PERSIST: each `arm` brings at most one call. Loop thread only.
class Event {
 public:
    Event() noexcept = default;

    /// Will call `(owner->*Method)(what)`; `what` is EV_READ, EV_WRITE or EV_TIMEOUT.
    template <auto Method, class Owner>
    static Event calling(Owner* owner, event_base& loop, int fd, short interest) {
        const auto call = [](evutil_socket_t, short what, void* self) noexcept {
            (static_cast<Owner*>(self)->*Method)(what);  // noexcept: nothing unwinds into C
        };
        return Event(event_new(&loop, fd, interest, call, owner));
    }
    /// A timer: arm it with a delay.
    template <auto Method, class Owner>
    static Event timer(Owner* owner, event_base& loop) {
        return calling<Method>(owner, loop, -1, 0);
    }

    /// Waits for the descriptor, without limit: pair it with a timer.
    void arm() { add(nullptr); }
    /// As a timer: calls once after `delay`. Arming again starts over.
    void arm(std::chrono::milliseconds delay) {
        const timeval after{.tv_sec = delay.count() / 1000, .tv_usec = (delay.count() % 1000) * 1000};
        add(&after);
    }
    void disarm() noexcept {
        if (event_) event_del(event_.get());
    }
    [[nodiscard]] bool armed() const noexcept {
        return event_ && event_pending(event_.get(), EV_READ | EV_WRITE | EV_TIMEOUT, nullptr) != 0;
    }

 private:
    struct Free {
        void operator()(event* registered) const noexcept { event_free(registered); }
    };
    explicit Event(event* made) : event_(made) {
        if (!made) std::abort();
    }
    void add(const timeval* after) {
        if (!event_ || event_add(event_.get(), after) != 0) std::abort();
    }

    std::unique_ptr<event, Free> event_;
};

struct FreeBase {
    void operator()(event_base* base) const noexcept { event_base_free(base); }
};
/// A loop, freed with all that is still registered in it.
using EventBase = std::unique_ptr<event_base, FreeBase>;

}  // namespace ipc
