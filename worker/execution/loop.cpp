#include "worker/execution/loop.h"

#include <cstdlib>
#include <utility>

#include "ipc/clock.h"

namespace worker::execution {
namespace {

constexpr std::uint64_t slow_turn_ms = 200;  // all clients of the loop waited that long

// No locks: a base belongs to one thread. No signal or time tricks we do not use.
ipc::EventBase make_base() {
    event_config* config = event_config_new();
    if (config == nullptr) std::abort();
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    event_config_require_features(config, EV_FEATURE_ET | EV_FEATURE_EARLY_CLOSE);
    ipc::EventBase base(event_base_new_with_config(config));
    event_config_free(config);
    if (!base) std::abort();
    return base;
}

}  // namespace

Loop::Loop(ipc::LoopCell& cell)
    : cell_(cell),
      base_(make_base()),
      deadlines_(clock_.now_ms()),
      tick_(ipc::Event::timer<&Loop::on_tick>(this, *base_)) {
    cell_.heartbeat_ms.set(clock_.now_ms());
    tick_.arm(std::chrono::milliseconds(Deadlines::tick_ms));
}

void Loop::run() {
    running_ = true;
    while (running_) {
        event_base_loop(base_.get(), EVLOOP_ONCE);
        while (!put_off_.empty()) {
            working_off_.swap(put_off_);
            for (auto& work : working_off_) work();
            working_off_.clear();
        }
        if (std::exchange(in_turn_, false) && ipc::monotonic_ms() - clock_.now_ms() > slow_turn_ms)
            cell_.slow_turns.add();
    }
}

void Loop::on_tick(short) {
    enter();
    cell_.heartbeat_ms.set(clock_.now_ms());
    deadlines_.advance(clock_.now_ms());
    tick_.arm(std::chrono::milliseconds(Deadlines::tick_ms));
}

}  // namespace worker::execution
