// worker/upstream/upstream.h: the peers of one [upstream] and the connections of a loop to them.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "conf/config.h"
#include "ipc/scoreboard.h"
#include "worker/connection/pipe.h"
#include "worker/execution/loop.h"
#include "worker/upstream/balancer.h"
#include "worker/upstream/concurrency_limit.h"
#include "worker/upstream/connection.h"
#include "worker/upstream/hedging.h"
#include "worker/upstream/named_peers.h"
#include "worker/upstream/peer.h"
#include "worker/upstream/sticky.h"

namespace worker::upstream {

/// A call may go ahead, or why not.
struct Admission {
    ipc::Ticket ticket;
    std::string_view refusal;               ///< a literal; empty: it may
    std::uint64_t retry_after_seconds = 0;  ///< when refused: at least 1

    [[nodiscard]] bool admitted() const noexcept { return refusal.empty(); }
};

/// One a loop and upstream; outlives all calls. Loop thread only.
class Upstream : private execution::Deadline {
 public:
    /// `own`: this worker's row of the board; both null: the counters are our own. All must outlive it.
    Upstream(const conf::Upstream& config, execution::Loop& loop, ipc::Scoreboard* board,
             ipc::WorkerCell* own);
    Upstream(const Upstream&) = delete;
    Upstream& operator=(const Upstream&) = delete;
    ~Upstream() override;

    /// The peer to ask next; null: none is left.
    [[nodiscard]] Peer* choose(std::uint64_t key, const Tried& tried);
    /// Whether that one may be asked now.
    [[nodiscard]] bool takes(Peer& peer) { return balancer_.takes(peer, loop_.clock().now_ms()); }
    /// Null: clients do not stick to peers.
    [[nodiscard]] const Sticky* sticky() const noexcept { return sticky_.get(); }
    /// Whom a client sticks to, by the value of its Cookie field, where clients do; null: nobody that is
    /// here.
    [[nodiscard]] Peer* bound(std::string_view cookies);
    /// All peers that could be asked have as many calls as they may.
    [[nodiscard]] bool full() const noexcept { return balancer_.was_full(); }
    /// Peers that are names have no address, and there are no others.
    [[nodiscard]] bool unresolved() const noexcept { return named_.nobody(); }
    /// An idle connection to the peer, the one used last; null: there is none.
    [[nodiscard]] std::unique_ptr<Connection> reuse(Peer& peer);
    [[nodiscard]] std::unique_ptr<Connection> open(Peer& peer);
    /// Keeps it for the next call, if there is room.
    void keep(std::unique_ptr<Connection> connection);
    /// Closes one that is idle.
    void drop(Connection& connection);

    /// Whether a call may go ahead, by the limit of concurrency and then by the breaker; each that may owes a
    /// `record`.
    [[nodiscard]] Admission admit();
    void record(const ipc::Ticket& ticket, ipc::Outcome outcome);
    /// Whether a response of that status is a failure of the upstream.
    [[nodiscard]] bool is_failure(std::uint16_t status) const noexcept;
    /// What a response that took so long is, apart from its status.
    [[nodiscard]] bool is_slow(std::uint64_t us) const noexcept {
        return rules_.slow_percent > 0 && us > rules_.slow_ms * 1000;
    }

    /// How a call went. Failures in a row eject the peer; a success ends that, if it was asked at `asked_us`
    /// although ejected. `epoch`: of the peer when it was asked; what came of another one in its place says
    /// nothing of it.
    void succeeded(Peer& peer, std::uint32_t epoch, std::uint64_t asked_us);
    void failed(Peer& peer, std::uint32_t epoch, ipc::CallFailure failure);
    /// Whether one more attempt fits the budget: a fifth of the calls, and some a second at least.
    [[nodiscard]] bool may_retry();
    /// A call begins.
    void count_call();
    /// Null: no call has a second copy.
    [[nodiscard]] Hedging* hedging() noexcept { return hedging_.get(); }
    /// Null: any number of calls may wait for answers.
    [[nodiscard]] ConcurrencyLimit* concurrency() noexcept { return concurrency_.get(); }

    [[nodiscard]] const std::string& name() const noexcept { return config_.name; }
    [[nodiscard]] const conf::Upstream& config() const noexcept { return config_; }
    [[nodiscard]] std::deque<Peer>& peers() noexcept { return peers_; }
    [[nodiscard]] execution::Loop& loop() noexcept { return loop_; }

 private:
    void attach(ipc::Scoreboard* board, ipc::WorkerCell* own);
    void on_deadline() noexcept override;
    void follow_names();
    void tell(const ipc::Transition& transition) const;
    [[nodiscard]] std::uint64_t others(const Peer& peer) const;
    [[nodiscard]] std::uint64_t elsewhere(ipc::Counter ipc::UpstreamUse::*what) const;

    const conf::Upstream& config_;
    execution::Loop& loop_;
    const ipc::Scoreboard* board_;
    const ipc::WorkerCell* own_;
    std::deque<Peer> peers_;
    NamedPeers named_;                     ///< adds to `peers_`
    std::deque<ipc::PeerCell> own_cells_;  ///< of peers that the board does not know
    std::deque<ipc::PeerUse> own_uses_;
    ipc::UpstreamCell own_cell_;  ///< of an upstream that the board does not know
    ipc::UpstreamCell* cell_ = &own_cell_;
    std::uint32_t board_index_ = 0;  ///< 0: the board does not know it
    ipc::UpstreamUse own_use_;
    ipc::BreakerRules rules_;
    std::uint32_t pid_;
    Balancer balancer_;
    execution::Link idle_;  ///< idle connections, the oldest first
    std::uint32_t idle_count_ = 0;
    std::unique_ptr<Hedging> hedging_;
    std::unique_ptr<ConcurrencyLimit> concurrency_;
    std::unique_ptr<Sticky> sticky_;
    double retry_tokens_;
    std::uint64_t retry_refilled_ms_;
};

/// All upstreams of a loop, and the memory they share.
class Upstreams {
 public:
    Upstreams(const conf::Config& config, execution::Loop& loop, ipc::Scoreboard* board,
              ipc::WorkerCell* own);

    /// The configuration has checked that it is there.
    [[nodiscard]] Upstream& find(std::string_view name);
    /// Where responses are read into: empty between two calls. At least `bytes` large.
    [[nodiscard]] std::vector<char>& input() noexcept { return input_; }
    /// An empty one; it is free again when nobody holds it. Empty when the system grants none.
    [[nodiscard]] connection::Ref<connection::Pipe> borrow_pipe();

 private:
    std::deque<Upstream> all_;
    std::vector<char> input_;
    std::vector<connection::Ref<connection::Pipe>> pipes_;
};

}  // namespace worker::upstream
