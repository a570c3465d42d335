#include "worker/upstream/upstream.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace worker::upstream {
namespace {

constexpr std::size_t input_bytes_min = 64 * 1024;
constexpr std::size_t spare_pipes_max = 40;
constexpr std::size_t wide_pipes_max = 8;          // of these: 16 MiB a loop in all
constexpr std::uint64_t names_looked_at_ms = 500;  // also without calls: idle connections are to end
// The budget of retries: a fifth of the calls, and two a second where there are few; ten may come at once.
constexpr double retry_share = 0.2, retries_a_second = 2, retry_tokens_max = 10;

std::deque<Peer> peers_of(const conf::Upstream& config) {
    std::deque<Peer> peers;
    for (const conf::UpstreamPeer& peer : config.peers)
        if (!peer.is_name()) peers.emplace_back(peer);
    return peers;
}

Connection& connection_of(IdleOfPeer* link) { return static_cast<Connection&>(*link); }

ipc::BreakerRules rules_of(const conf::Breaker& breaker) {
    const auto ms = [](conf::Milliseconds time) { return static_cast<std::uint64_t>(time.count()); };
    ipc::BreakerRules rules;
    rules.failures = breaker.failures;
    rules.failure_percent = breaker.failure_percent;
    rules.slow_percent = breaker.slow_percent;
    rules.slow_ms = ms(breaker.slow);
    rules.window_ms = ms(breaker.window);
    rules.calls_min = breaker.calls_min;
    rules.reset_ms = ms(breaker.reset);
    rules.probes = breaker.probes;
    rules.probe_lease_ms = std::max<std::uint64_t>(ms(breaker.reset), 10'000);
    return rules;
}

}  // namespace

Upstream::Upstream(const conf::Upstream& config, execution::Loop& loop, ipc::Scoreboard* board,
                   ipc::WorkerCell* own)
    : config_(config),
      loop_(loop),
      board_(board),
      own_(own),
      peers_(peers_of(config)),
      named_(config, peers_, board),
      rules_(rules_of(config.breaker)),
      pid_(static_cast<std::uint32_t>(::getpid())),
      balancer_(config.balance, peers_, [this](const Peer& peer) { return others(peer); }),
      retry_tokens_(retry_tokens_max),
      retry_refilled_ms_(loop.clock().now_ms()) {
    attach(board, own);
    if (!config.sticky.cookie.empty())
        sticky_ = std::make_unique<Sticky>(config.sticky, config.name, peers_,
                                           board != nullptr ? board->seed() : 0);
    // Where there are names there may be two peers at any time: whether there are is asked when a call is
    // late.
    ipc::UpstreamUse& use = board_index_ != 0 ? own->upstreams[board_index_] : own_use_;
    if (config.hedge.on && (peers_.size() > 1 || named_.any())) {
        use.hedging.set(0);  // what is there is of a worker that died in the seat
        hedging_ = std::make_unique<Hedging>(config.hedge, loop, use,
                                             [this] { return elsewhere(&ipc::UpstreamUse::hedging); });
    }
    if (config.concurrency.adaptive)
        concurrency_ = std::make_unique<ConcurrencyLimit>(
            config.concurrency, config.name, loop.clock(), cell_->concurrency, use,
            [this] { return elsewhere(&ipc::UpstreamUse::waiting); });
    if (!named_.any()) return;
    follow_names();
    loop_.arm(*this, names_looked_at_ms);
}

Upstream::~Upstream() {
    while (idle_.linked()) drop(static_cast<Connection&>(static_cast<IdleOfUpstream&>(*idle_.next())));
}

void Upstream::attach(ipc::Scoreboard* board, ipc::WorkerCell* own) {
    board_index_ = board != nullptr ? board->upstream(config_.name) : 0;
    if (board_index_ != 0) cell_ = &board->upstream_cell(board_index_);
    for (Peer& peer : peers_) {
        peer.checked = config_.health.how != conf::HealthCheck::How::off;
        peer.slow_start = static_cast<std::uint64_t>(config_.slow_start.count());
        if (!peer.config.is_name())
            peer.board_index = board != nullptr ? board->peer(config_.name, peer.name) : 0;
        if (peer.board_index != 0) {
            peer.cell = &board->peer_cell(peer.board_index);
            peer.use = &own->peers[peer.board_index];
            peer.use->active.set(0);  // what is there is of a worker that died in the seat
        } else {
            peer.cell = &own_cells_.emplace_back();
            peer.use = &own_uses_.emplace_back();
        }
    }
}

std::uint64_t Upstream::others(const Peer& peer) const {
    if (peer.board_index == 0) return 0;
    std::uint64_t sum = 0;
    for (std::uint32_t row = 0; row < board_->rows_used(); ++row)
        if (const auto& cell = board_->row(row); &cell != own_)
            sum += cell.peers[peer.board_index].active.get();
    return sum;
}

std::uint64_t Upstream::elsewhere(ipc::Counter ipc::UpstreamUse::*what) const {
    if (board_index_ == 0) return 0;
    std::uint64_t sum = 0;
    for (std::uint32_t row = 0; row < board_->rows_used(); ++row)
        if (const auto& cell = board_->row(row); &cell != own_)
            sum += (cell.upstreams[board_index_].*what).get();
    return sum;
}

/// The breaker is asked last: what the limit refuses takes no permit of it.
Admission Upstream::admit() {
    if (concurrency_ && !concurrency_->admits())
        return {.ticket = {},
                .refusal = "the upstream is busy",
                .retry_after_seconds = ConcurrencyLimit::retry_after_seconds};
    if (const auto generation = cell_->breaker.closed_generation())
        return {.ticket = {.generation = *generation}, .refusal = {}};
    const auto admission = cell_->breaker.admit(rules_, loop_.clock().now_ms(), pid_);
    if (admission.transition) tell(*admission.transition);
    if (admission.admitted) return {.ticket = admission.ticket, .refusal = {}};
    return {.ticket = {},
            .refusal = "the breaker is open",
            .retry_after_seconds = (admission.retry_after_ms + 999) / 1000};
}

void Upstream::record(const ipc::Ticket& ticket, ipc::Outcome outcome) {
    if (outcome == ipc::Outcome::success && cell_->breaker.is_untroubled(rules_, ticket)) return;
    if (const auto transition = cell_->breaker.record(rules_, ticket, outcome, loop_.clock().now_ms()))
        tell(*transition);
}

bool Upstream::is_failure(std::uint16_t status) const noexcept {
    const conf::BreakerOn& on = config_.breaker.on;
    if (status < 500) return false;
    return status >= 502 && status <= 504 ? on.gateway : on.server;
}

/// Of all workers one is told of a change.
void Upstream::tell(const ipc::Transition& transition) const {
    const bool bad = transition.to == ipc::BreakerState::open;
    spdlog::log(bad ? spdlog::level::warn : spdlog::level::info,
                "breaker changed upstream={} from={} to={} cause={} open_ms={}", config_.name,
                ipc::name(transition.from), ipc::name(transition.to), ipc::name(transition.cause),
                transition.open_ms);
}

void Upstream::on_deadline() noexcept {
    if (named_.stale()) follow_names();
    loop_.arm(*this, names_looked_at_ms);
}

/// Calls under way go on with the address that they have.
void Upstream::follow_names() {
    const bool changed = named_.follow([this](Peer& leaving) {
        while (leaving.idle.linked()) drop(connection_of(static_cast<IdleOfPeer*>(leaving.idle.next())));
    });
    if (!changed) return;
    balancer_.on_change();
    if (sticky_) sticky_->on_change();
}

Peer* Upstream::bound(std::string_view cookies) {
    if (named_.any() && named_.stale()) follow_names();
    return sticky_->find(cookies);
}

Peer* Upstream::choose(std::uint64_t key, const Tried& tried) {
    if (named_.any() && named_.stale()) follow_names();
    return balancer_.next(key, tried, loop_.clock().now_ms());
}

std::unique_ptr<Connection> Upstream::reuse(Peer& peer) {
    if (!peer.idle.linked()) return nullptr;
    std::unique_ptr<Connection> connection(&connection_of(static_cast<IdleOfPeer*>(peer.idle.previous())));
    connection->IdleOfPeer::unlink();
    connection->IdleOfUpstream::unlink();
    connection->in_use();
    --idle_count_;
    return connection;
}

std::unique_ptr<Connection> Upstream::open(Peer& peer) {
    peer.use->connections.add();
    return Connection::open(*this, peer, loop_);
}

void Upstream::keep(std::unique_ptr<Connection> connection) {
    if (!connection->current()) return;
    if (config_.keepalive == 0 || connection->requests >= config_.keepalive_requests) return;
    // What has not been read yet is its end, or more than it was asked.
    if (connection->readable && connection->transport.peek() != connection::Io::blocked) return;
    connection->readable = false;
    connection->use(nullptr);
    connection->idle_for(static_cast<std::uint64_t>(config_.keepalive_timeout.count()));
    Connection& kept = *connection.release();
    kept.IdleOfPeer::join(kept.peer().idle);
    kept.IdleOfUpstream::join(idle_);
    if (++idle_count_ > config_.keepalive)
        drop(static_cast<Connection&>(static_cast<IdleOfUpstream&>(*idle_.next())));
}

void Upstream::drop(Connection& connection) {
    const std::unique_ptr<Connection> closing(&connection);
    --idle_count_;
}

void Upstream::succeeded(Peer& peer, std::uint32_t epoch, std::uint64_t asked_us) {
    if (epoch != peer.epoch) return;
    // A store only when there is something to forget: the line is shared by all workers.
    if (peer.cell->failures_in_row.load(std::memory_order_relaxed) != 0)
        peer.cell->failures_in_row.store(0, std::memory_order_relaxed);
    std::uint64_t until = peer.cell->ejected_until_ms.load(std::memory_order_relaxed);
    if (until == 0) return;
    // Who was asked before may have answered before it fell ill.
    if (asked_us / 1000 + static_cast<std::uint64_t>(config_.eject_time.count()) <= until) return;
    const std::uint64_t now = loop_.clock().now_ms();
    if (peer.cell->ejected_until_ms.compare_exchange_strong(until, 0) && until > now)
        spdlog::info("peer answers again upstream={} peer={} early_by_ms={}", config_.name, peer.name,
                     until - now);
}

void Upstream::failed(Peer& peer, std::uint32_t epoch, ipc::CallFailure failure) {
    peer.use->failures[static_cast<std::size_t>(failure)].add();
    if (epoch != peer.epoch) return;
    if (config_.eject_failures == 0 || peers_.size() < 2) return;
    const std::uint64_t in_row = peer.cell->failures_in_row.fetch_add(1, std::memory_order_relaxed) + 1;
    if (in_row < config_.eject_failures) return;
    const std::uint64_t now = loop_.clock().now_ms();
    std::uint64_t before = peer.cell->ejected_until_ms.load(std::memory_order_relaxed);
    if (before > now) return;
    const std::uint64_t until = now + static_cast<std::uint64_t>(config_.eject_time.count());
    // Whoever changes it says so: once for all workers.
    if (!peer.cell->ejected_until_ms.compare_exchange_strong(before, until)) return;
    peer.cell->failures_in_row.store(0, std::memory_order_relaxed);
    peer.cell->ejections.add_shared();
    spdlog::warn("peer is ejected upstream={} peer={} failures={} for_ms={}", config_.name, peer.name, in_row,
                 config_.eject_time.count());
}

void Upstream::count_call() {
    retry_tokens_ = std::min(retry_tokens_ + retry_share, retry_tokens_max);
    if (hedging_) hedging_->count_call();
}

bool Upstream::may_retry() {
    const std::uint64_t now = loop_.clock().now_ms();
    const double refilled = static_cast<double>(now - retry_refilled_ms_) / 1000 * retries_a_second;
    retry_tokens_ = std::min(retry_tokens_ + refilled, retry_tokens_max);
    retry_refilled_ms_ = now;
    if (retry_tokens_ < 1) return false;
    retry_tokens_ -= 1;
    return true;
}

Upstreams::Upstreams(const conf::Config& config, execution::Loop& loop, ipc::Scoreboard* board,
                     ipc::WorkerCell* own) {
    for (const conf::Upstream& upstream : config.upstreams) all_.emplace_back(upstream, loop, board, own);
    std::uint64_t head = 0;
    for (const conf::Route& route : config.routes) head = std::max(head, route.proxy.response_header_max);
    if (!all_.empty() || !config.pools.empty())
        input_.resize(std::max<std::size_t>(input_bytes_min, 2 * head));
}

Upstream& Upstreams::find(std::string_view name) {
    for (Upstream& upstream : all_)
        if (upstream.name() == name) return upstream;
    std::abort();
}

connection::Ref<connection::Pipe> Upstreams::borrow_pipe() {
    for (std::size_t at = 0; at < pipes_.size(); ++at) {
        auto& pipe = pipes_[at];
        if (!pipe.alone()) continue;
        if (pipe->empty()) return pipe;
        pipe = pipes_.back();  // what is in it was for a client that left
        pipes_.pop_back();
        --at;
    }
    auto pipe = connection::Pipe::make(pipes_.size() < wide_pipes_max ? connection::Pipe::wide_bytes
                                                                      : connection::Pipe::usual_bytes);
    if (pipe && pipes_.size() < spare_pipes_max) pipes_.push_back(pipe);
    return pipe;
}

}  // namespace worker::upstream
