// worker/upstream/health_watch.cpp: when to check, and what a finding changes.
#include "worker/upstream/health_watch.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>

#include "ipc/clock.h"

namespace worker::upstream {
namespace {

constexpr std::uint64_t first_within_ms = 1000;
constexpr std::uint64_t own_told_every_ms = 60'000;

std::uint64_t every_ms(const conf::Upstream& upstream) {
    return static_cast<std::uint64_t>(upstream.health.every.count());
}

}  // namespace

HealthWatch::HealthWatch(const conf::Upstream& upstream, const conf::UpstreamPeer& peer,
                         execution::Loop& loop, ipc::HealthCell& cell, HealthRight right)
    : upstream_(upstream),
      name_(peer.address.text()),
      loop_(loop),
      cell_(cell),
      right_(right),
      count_(upstream.health.rise, upstream.health.fall, cell.state()),
      check_(upstream.health, peer, loop, *this),
      timer_(ipc::Event::timer<&HealthWatch::on_time>(this, loop.base())) {}

void HealthWatch::begin() {
    if (watching_) return;
    watching_ = true;
    count_ = HealthCount(upstream_.health.rise, upstream_.health.fall, cell_.state());
    timer_.arm(std::chrono::milliseconds(random_below(std::min(every_ms(upstream_) / 10, first_within_ms))));
}

void HealthWatch::on_time(short) {
    loop_.enter();
    watching_ = right_.held();
    if (!watching_) return;
    const std::uint64_t every = every_ms(upstream_);
    next_ms_ = ipc::monotonic_ms() + every - random_below(every / 10);
    check_.start();
}

void HealthWatch::on_finding(const Finding& finding) {
    watching_ = right_.held();
    if (!watching_) return;  // what we found may be old: the one who has the right knows better
    const auto now = ipc::monotonic_ms();
    timer_.arm(std::chrono::milliseconds(next_ms_ > now ? next_ms_ - now : 0));
    if (finding.ours) return tell_own(finding, now);
    const auto before = cell_.state();
    if (count_.state() != before)  // somebody else had the right meanwhile
        count_ = HealthCount(upstream_.health.rise, upstream_.health.fall, before);
    if (finding.passed)
        cell_.passed(now, finding.latency_us);
    else
        cell_.failed(now, finding.latency_us, finding.reason);
    if (const auto state = count_.add(finding.passed); state != before) {
        cell_.change(state, now);
        tell(before, finding);
    }
}

/// What we lack says nothing of the peer.
void HealthWatch::tell_own(const Finding& finding, std::uint64_t now_ms) {
    if (own_told_ms_ != 0 && now_ms < own_told_ms_ + own_told_every_ms) return;
    own_told_ms_ = now_ms;
    spdlog::error("peer cannot be checked upstream={} peer={} why={:?}", upstream_.name, name_,
                  finding.reason);
}

void HealthWatch::tell(ipc::Health before, const Finding& finding) const {
    if (!finding.passed)
        spdlog::warn("peer is down upstream={} peer={} failures={} reason={:?}", upstream_.name, name_,
                     count_.in_row(), finding.reason);
    else
        spdlog::info("peer is up upstream={} peer={} before={} latency_us={}", upstream_.name, name_,
                     ipc::name(before), finding.latency_us);
}

}  // namespace worker::upstream
