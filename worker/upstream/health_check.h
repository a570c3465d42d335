// worker/upstream/health_check.h: asks one peer whether it is well, once at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "conf/config.h"
#include "ipc/event.h"
#include "worker/connection/transport.h"
#include "worker/execution/loop.h"
#include "worker/http/response_parser.h"
#include "worker/upstream/peer.h"

namespace worker::upstream {

/// What a check has found.
struct Finding {
    bool passed = false;
    bool ours = false;   ///< there was no check: it is we who lack descriptors or memory
    std::string reason;  ///< why not: "Connection refused", "status 503"
    std::uint64_t latency_us = 0;
};

class Checker {
 public:
    virtual ~Checker() = default;
    /// From the loop, never from within a call to the check.
    virtual void on_finding(const Finding& finding) = 0;
};

// idle ──start──▶ connecting ──▶ sending ──▶ head ──▶ body ──▶ idle
//                    └──────────────┴─failed, or the timeout─────▲
/// Every check has a connection of its own. Loop thread only.
class HealthCheck {
 public:
    static constexpr std::size_t head_max = 16 * 1024;
    static constexpr std::size_t body_max = 64 * 1024;    ///< more of it is not read
    static constexpr std::size_t bytes_max = 256 * 1024;  ///< with interim responses, and what frames chunks

    /// All outlive it. `check` is not off.
    HealthCheck(const conf::HealthCheck& check, const conf::UpstreamPeer& peer, execution::Loop& loop,
                Checker& checker);
    HealthCheck(const HealthCheck&) = delete;
    HealthCheck& operator=(const HealthCheck&) = delete;

    /// Begins one; none runs. `on_finding` follows on a later turn.
    void start();
    [[nodiscard]] bool running() const noexcept { return phase_ != Phase::idle; }

 private:
    enum class Phase : std::uint8_t { idle, connecting, sending, head, body };

    void on_socket(short what);
    void on_time(short what);

    void advance();
    [[nodiscard]] bool connected();
    [[nodiscard]] bool send();
    void receive();
    void consume_head();
    void consume_body(std::span<const char> bytes);
    void on_peer_end();
    void take_payload(std::string_view bytes);
    void wait_for(short interest);
    void whole();
    void pass() { settle({}); }
    void fail(std::string reason) { settle(std::move(reason)); }
    void fail_to_connect(int error);
    void settle(std::string reason);

    const conf::HealthCheck& check_;
    execution::Loop& loop_;
    Checker& checker_;
    Peer target_;
    std::string request_;
    ipc::Event timer_;  ///< the timeout, or the finding's next turn
    Phase phase_ = Phase::idle;
    std::unique_ptr<connection::Transport> transport_;
    ipc::Event socket_;  ///< of the transport's descriptor, and gone before it
    std::size_t sent_ = 0, received_ = 0;
    http::ResponseParser parser_;
    http::ResponseHead head_;
    std::string input_;  ///< of a head
    std::string body_;
    std::uint64_t body_left_ = 0;  ///< of one with a length
    std::uint64_t begun_us_ = 0;
    Finding finding_;  ///< told when `phase_` is idle again
};

}  // namespace worker::upstream
