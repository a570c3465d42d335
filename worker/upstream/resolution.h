// worker/upstream/resolution.h: asks once for all addresses of a peer that is a name.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "conf/config.h"
#include "ipc/event.h"
#include "ipc/name_cell.h"
#include "worker/execution/loop.h"
#include "worker/upstream/dns_channel.h"

namespace worker::upstream {

/// What came of it.
struct Resolved {
    std::vector<ipc::NameAddress> addresses;  ///< each once
    std::uint32_t ttl = 0;                    ///< seconds, the shortest of all answers
    /// Some questions have failed, and there may be more addresses than these.
    bool incomplete = false;
    std::string reason;  ///< why there are no addresses, or not all
};

class Resolver {
 public:
    virtual ~Resolver() = default;
    /// From the loop, never from within a call to the resolution.
    virtual void on_resolved(const Resolved& resolved) = 0;
};

// idle ──start──▶ asking (SRV ──▶ A and AAAA of each target) ──all have come, or failed──▶ idle
/// Loop thread only.
class Resolution final : private DnsAsker {
 public:
    static constexpr std::size_t targets_max = 32;  ///< of a service

    /// All outlive it. `peer` is a name.
    Resolution(const conf::UpstreamPeer& peer, conf::Resolver::Families families, DnsChannel& channel,
               execution::Loop& loop, Resolver& resolver);
    Resolution(const Resolution&) = delete;
    Resolution& operator=(const Resolution&) = delete;
    ~Resolution() override { channel_.forget(*this); }

    /// None is under way.
    void start();

 private:
    /// A name whose addresses are asked for, and what these are to be used with.
    struct Target {
        std::string name;
        std::uint16_t port = 0, priority = 0;
        std::uint32_t weight = 1;
    };

    void on_answer(std::uint32_t tag, const DnsAnswer& answer, const std::string& failure) override;
    void on_services(const DnsAnswer& answer);
    void on_time(short what);
    void ask(const std::string& name, DnsType type, std::uint32_t tag);
    void ask_addresses();
    void add(const Target& target, const DnsRecord& record, bool is_ipv6);
    void end_one();

    const conf::UpstreamPeer& peer_;
    conf::Resolver::Families families_;
    DnsChannel& channel_;
    execution::Loop& loop_;
    Resolver& resolver_;
    std::vector<Target> targets_;
    std::uint32_t asking_ = 0;  ///< questions under way, and who asks them
    std::uint16_t first_priority_ = 0;
    Resolved resolved_;
    ipc::Event timer_;  ///< what came of it is told on the next turn
};

}  // namespace worker::upstream
