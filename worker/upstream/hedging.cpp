#include "worker/upstream/hedging.h"

#include <algorithm>
#include <utility>

namespace worker::upstream {
namespace {

constexpr std::uint32_t one = 100, hundredths_max = 10 * one;

std::uint64_t microseconds(conf::Milliseconds time) {
    return static_cast<std::uint64_t>(time.count()) * 1000;
}

}  // namespace

Hedging::Hedging(const conf::Hedge& config, execution::Loop& loop, ipc::UpstreamUse& use, Others others)
    : config_(config),
      loop_(loop),
      use_(use),
      others_(std::move(others)),
      timer_(ipc::Event::timer<&Hedging::on_time>(this, loop.base())) {}

void Hedging::count_call() noexcept { hundredths_ = std::min(hundredths_ + config_.budget, hundredths_max); }

std::uint64_t Hedging::delay_us() const noexcept {
    const std::uint64_t most = microseconds(config_.delay_max), p95 = answers_.p95_us();
    return p95 == 0 ? most : std::clamp(p95, microseconds(config_.delay_min), most);
}

/// The delay seldom changes, so that the place is nearly always at the end.
void Hedging::watch(Hedged& call) {
    call.late_us_ = loop_.clock().now_us() + delay_us();
    call.unlink();
    execution::Link* before = waiting_.previous();
    while (before != &waiting_ && static_cast<Hedged*>(before)->late_us_ > call.late_us_)
        before = before->previous();
    call.join(*before->next());
    if (timer_us_ == 0 || call.late_us_ < timer_us_) arm();
}

/// For the first one. It may leave before: then the timer finds out, which is cheaper than to tell it.
void Hedging::arm() {
    timer_us_ = static_cast<Hedged*>(waiting_.next())->late_us_;
    const std::uint64_t now = loop_.clock().now_us();
    const std::uint64_t us = timer_us_ > now ? timer_us_ - now : 0;
    timer_.arm(std::chrono::milliseconds((us + 999) / 1000));
}

void Hedging::on_time(short) {
    loop_.enter();
    timer_us_ = 0;
    while (waiting_.linked()) {
        auto& first = *static_cast<Hedged*>(waiting_.next());
        if (first.late_us_ > loop_.clock().now_us()) break;
        first.unlink();
        first.on_late();
    }
    if (waiting_.linked()) arm();
}

bool Hedging::begin() {
    if (hundredths_ < one || use_.hedging.get() + others_() >= config_.max) {
        use_.hedges_refused.add();
        return false;
    }
    hundredths_ -= one;
    use_.hedging.add();
    use_.hedges.add();
    return true;
}

}  // namespace worker::upstream
