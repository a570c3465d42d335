#include "worker/execution/loop.h"

#include <spdlog/spdlog.h>

#include <cstdlib>
#include <utility>

namespace worker::execution {
namespace {

constexpr std::uint64_t slow_told_every_us = 1'000'000;  // a line about slow turns, at most so often
constexpr std::size_t request_bytes_max = 192;           // of a request in such a line

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

Loop::Loop(ipc::LoopCell& cell, std::chrono::milliseconds slow_turn)
    : cell_(cell),
      base_(make_base()),
      deadlines_(clock_.now_ms()),
      tick_(ipc::Event::timer<&Loop::on_tick>(this, *base_)),
      slow_turn_us_(static_cast<std::uint64_t>(slow_turn.count()) * 1000) {
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
        for (event* const each : next_turn_) event_active(each, EV_TIMEOUT, 0);
        next_turn_.clear();
        ++turn_;
        if (std::exchange(in_turn_, false)) end_turn();
    }
}

void Loop::end_turn() {
    const std::uint64_t took = clock_.precise_us() - turn_begun_us_;
    cell_.turns.add(took);
    if (took > slow_turn_us_) tell_slow_turn(took);
    blame_.ticks = 0;
}

/// All clients of the loop waited that long.
void Loop::tell_slow_turn(std::uint64_t us) {
    cell_.slow_turns.add();
    const std::uint64_t now = turn_begun_us_ + us;
    if (slow_told_us_ != 0 && now - slow_told_us_ < slow_told_every_us) {
        ++slow_untold_;
        return;
    }
    const bool known = blame_.ticks != 0;  // else no request alone: too many, or the machine was busy
    spdlog::warn("loop was blocked for_ms={} route={:?} request={:?} more_untold={}", us / 1000,
                 known ? blame_.route : "", known ? blame_.request : "", slow_untold_);
    slow_told_us_ = now;
    slow_untold_ = 0;
}

void Loop::ran_long(std::uint64_t ticks, std::string_view route, std::string_view method,
                    std::string_view target) {
    clock_.refresh();
    if (ticks <= blame_.ticks) return;
    blame_.ticks = ticks;
    blame_.route = route;
    blame_.request.assign(method).append(" ").append(target.substr(0, request_bytes_max));
}

void Loop::on_tick(short) {
    enter();
    cell_.heartbeat_ms.set(clock_.now_ms());
    deadlines_.advance(clock_.now_ms());
    tick_.arm(std::chrono::milliseconds(Deadlines::tick_ms));
}

}  // namespace worker::execution
