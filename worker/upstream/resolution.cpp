// worker/upstream/resolution.cpp: counts the questions, and puts their answers together.
#include "worker/upstream/resolution.h"

#include <algorithm>
#include <chrono>
#include <limits>

namespace worker::upstream {
namespace {

// Tags: of SRV, else the number of the target and whether it is for IPv6.
constexpr std::uint32_t services_tag = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint32_t tag_of(std::size_t target, bool is_ipv6) {
    return static_cast<std::uint32_t>(target * 2 + (is_ipv6 ? 1 : 0));
}

}  // namespace

Resolution::Resolution(const conf::UpstreamPeer& peer, conf::Resolver::Families families, DnsChannel& channel,
                       execution::Loop& loop, Resolver& resolver)
    : peer_(peer),
      families_(families),
      channel_(channel),
      loop_(loop),
      resolver_(resolver),
      timer_(ipc::Event::timer<&Resolution::on_time>(this, loop.base())) {}

void Resolution::start() {
    resolved_ = {};
    resolved_.ttl = std::numeric_limits<std::uint32_t>::max();
    targets_.clear();
    first_priority_ = 0;
    asking_ = 1;  // ourselves: answers may come before all have been asked
    if (peer_.service) {
        ask(peer_.name, DnsType::srv, services_tag);
    } else {
        targets_.push_back({.name = peer_.name, .port = peer_.address.port});
        ask_addresses();
    }
    end_one();
}

void Resolution::ask(const std::string& name, DnsType type, std::uint32_t tag) {
    ++asking_;
    channel_.ask(name, type, *this, tag);
}

void Resolution::ask_addresses() {
    using Families = conf::Resolver::Families;
    const auto count = targets_.size();
    for (std::size_t at = 0; at < count; ++at) {
        const std::string name = targets_[at].name;
        if (families_ != Families::ipv6) ask(name, DnsType::a, tag_of(at, false));
        if (families_ != Families::ipv4) ask(name, DnsType::aaaa, tag_of(at, true));
    }
}

void Resolution::on_answer(std::uint32_t tag, const DnsAnswer& answer, const std::string& failure) {
    if (!failure.empty()) {
        resolved_.incomplete = true;
        resolved_.reason = failure;
    } else if (!answer.records.empty()) {
        resolved_.ttl = std::min(resolved_.ttl, answer.ttl);
        if (tag == services_tag) {
            on_services(answer);
        } else {
            const bool is_ipv6 = tag % 2 == 1;
            for (const DnsRecord& record : answer.records) add(targets_[tag / 2], record, is_ipv6);
        }
    }
    end_one();
}

/// The least priority comes first (RFC 2782); those of others are for when nobody of it can be asked.
void Resolution::on_services(const DnsAnswer& answer) {
    for (const DnsRecord& record : answer.records) {
        if (record.target.empty() || record.port == 0) continue;  // "." says that there is no such service
        if (targets_.size() == targets_max) {
            resolved_.reason = "more targets than are used";
            break;
        }
        targets_.push_back({.name = record.target,
                            .port = record.port,
                            .priority = record.priority,
                            .weight = std::max<std::uint32_t>(record.weight, 1)});
    }
    for (std::size_t at = 0; at < targets_.size(); ++at)
        first_priority_ = at == 0 ? targets_[at].priority : std::min(first_priority_, targets_[at].priority);
    ask_addresses();
}

void Resolution::add(const Target& target, const DnsRecord& record, bool is_ipv6) {
    const ipc::NameAddress address{.bytes = record.address,
                                   .port = target.port,
                                   .family = static_cast<std::uint8_t>(is_ipv6 ? 6 : 4),
                                   .backup = static_cast<std::uint8_t>(target.priority != first_priority_),
                                   .weight = target.weight};
    auto& all = resolved_.addresses;
    if (std::none_of(all.begin(), all.end(), [&](const auto& other) { return other.same_peer(address); }))
        all.push_back(address);
}

void Resolution::end_one() {
    if (--asking_ == 0) timer_.arm(std::chrono::milliseconds(0));
}

void Resolution::on_time(short) {
    loop_.enter();
    if (resolved_.addresses.empty() && resolved_.reason.empty()) resolved_.reason = "it has no addresses";
    if (resolved_.addresses.empty()) resolved_.ttl = 0;
    resolver_.on_resolved(resolved_);
}

}  // namespace worker::upstream
