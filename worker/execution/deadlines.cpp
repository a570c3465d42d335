#include "worker/execution/deadlines.h"

#include <algorithm>

namespace worker::execution {

void Deadlines::arm(Deadline& deadline, std::uint64_t due_ms) noexcept {
    deadline.due_ms_ = due_ms;
    if (deadline.linked() && deadline.slot_ms_ <= due_ms) return;  // looked at in time anyway
    place(deadline);
}

void Deadlines::place(Deadline& deadline) noexcept {
    const std::uint64_t due = deadline.due_ms_ / tick_ms + 1;  // never early
    const std::uint64_t tick = std::clamp(due, reached_ + 1, reached_ + slots - 1);
    deadline.slot_ms_ = tick * tick_ms;
    deadline.join(wheel_[tick % slots]);
}

void Deadlines::advance(std::uint64_t now_ms) noexcept {
    const std::uint64_t now = now_ms / tick_ms;
    // After a long pause one round over the wheel has seen every entry.
    if (now > reached_ + slots) reached_ = now - slots;
    while (reached_ < now) {
        ++reached_;
        Link due;
        Link& slot = wheel_[reached_ % slots];
        while (slot.linked()) slot.next()->join(due);  // so that what is armed meanwhile waits its turn
        while (due.linked()) {
            auto& deadline = static_cast<Deadline&>(*due.next());
            deadline.unlink();
            if (!deadline.armed()) continue;
            if (deadline.due_ms_ > now_ms) {
                place(deadline);
            } else {
                deadline.disarm();
                deadline.on_deadline();
            }
        }
    }
}

}  // namespace worker::execution
