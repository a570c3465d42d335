#include "worker/dispatch/waiting_line.h"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace worker::dispatch {
namespace {

constexpr std::uint64_t told_every_ms = 1000;

}  // namespace

WaitingLine::~WaitingLine() {
    while (line_.linked()) line_.next()->unlink();
}

bool WaitingLine::join(Waiting& one) {
    if (size_ >= patience_.queue) {
        loop_.cell().queue_full.add();
        tell_refused("queue_full");
        return false;
    }
    one.since_ms_ = loop_.clock().now_ms();
    one.Link::join(line_);
    loop_.cell().waiting.set(++size_);
    if (!armed()) loop_.arm(*this, patience_.ms);
    return true;
}

Waiting* WaitingLine::next() {
    if (empty()) return nullptr;
    Waiting& first = waiting_of(line_.next());
    const std::uint64_t waited = loop_.clock().now_ms() - first.since_ms_;
    Waiting& chosen = 2 * waited < patience_.ms ? first : waiting_of(line_.previous());
    take_out(chosen);
    return &chosen;
}

void WaitingLine::quit(Waiting& one) {
    if (one.linked()) take_out(one);
}

void WaitingLine::take_out(Waiting& one) {
    one.unlink();
    loop_.cell().waiting.set(--size_);
}

void WaitingLine::on_deadline() noexcept {
    const std::uint64_t now = loop_.clock().now_ms();
    while (!empty()) {
        Waiting& first = waiting_of(line_.next());
        const std::uint64_t due = first.since_ms_ + patience_.ms;
        if (due > now) return loop_.arm(*this, due - now);
        take_out(first);
        loop_.cell().queue_late.add();
        tell_refused("queue_timeout");
        first.on_late();
    }
}

void WaitingLine::tell_refused(const char* why) {
    const std::uint64_t now = loop_.clock().now_ms();
    if (told_ms_ != 0 && now - told_ms_ < told_every_ms) {
        ++untold_;
        return;
    }
    spdlog::warn("{} refused why={} waiting={} more_untold={}", what_, why, size_, untold_);
    told_ms_ = now;
    untold_ = 0;
}

}  // namespace worker::dispatch
