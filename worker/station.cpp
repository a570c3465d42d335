#include "worker/station.h"

#include <algorithm>
#include <utility>

#include "conf/plan.h"
#include "worker/thread_rooms.h"

namespace worker {
namespace {

constexpr std::size_t input_bytes_min = 64 * 1024;

/// The most that may wait unread in a connection: a whole head, and what came with it.
std::size_t input_bytes(const conf::Config& config) {
    std::uint64_t head = 0;
    for (const conf::Server& server : config.servers) head = std::max(head, server.limits.header_max);
    return std::max<std::size_t>(input_bytes_min, 2 * head);
}

/// None as well where there are no descriptors: then bodies have no files.
std::optional<connection::SpillFolder> share(const std::optional<connection::SpillFolder>& folder) {
    return folder ? folder->share() : std::nullopt;
}

}  // namespace

dispatch::Patience patience_of(const conf::Execution& execution) {
    return {execution.queue, static_cast<std::uint64_t>(execution.queue_timeout.count())};
}

class Station::OneAtATime final : public connection::Reception {
 public:
    explicit OneAtATime(Station& station) : station_(station) {}
    void open(ipc::UniqueFd socket, const connection::Peer& peer, std::uint32_t address) override {
        station_.connections_.open(std::move(socket), peer, address);
        if (station_.connections_.size() == 0) return station_.turns_->next();  // served, or refused, already
        station_.tidings_.occupied();
    }
    [[nodiscard]] execution::Loop& loop() noexcept override { return station_.loop_; }

 private:
    Station& station_;
};

Station::Station(const House& house, std::uint32_t loop, Tidings tidings)
    : house_(house),
      tidings_(std::move(tidings)),
      loop_(house.desk(house.crew.number_of_loop(loop)).cell->loop, house.config.reeve.slow_loop),
      files_(house.config.execution, loop_),
      buffers_(house.buffer_totals, share(house.spill_folder),
               house.desk(house.crew.number_of_loop(loop)).cell->buffers),
      upstreams_(house.config, loop_, house.seat.scoreboard,
                 house.desk(house.crew.number_of_loop(loop)).cell),
      queues_(house.config, loop_, house.seat.pools,
              house.seat.scoreboard->index_of(*house.desk(house.crew.number_of_loop(loop)).cell)),
      thread_desk_(loop_),
      recorder_(house.config, house.log_writer, loop_, house.desk(house.crew.number_of_loop(loop))),
      limiter_(house.config, house.desk(house.crew.number_of_loop(loop)), loop_.clock()),
      threads_(make_threads(loop)),
      dispatcher_(house.config, house.plan, house.router, recorder_, limiter_, loop_, make_handlers()),
      service_(loop_, dispatcher_),
      http_(service_),
      connections_(loop_, http_, input_bytes(house.config), house.census),
      acceptors_(connections_) {
    const conf::Execution& knobs = house.config.execution;
    if (tidings_.visit_over) {
        visits_.emplace(http_, [this] { tidings_.visit_over(std::nullopt); });
        connections_.speak(*visits_);
        connections_.when_leaving([this](connection::Traveller one) { tidings_.visit_over(std::move(one)); });
    } else if (knobs.concurrency > 0) {
        gate_.emplace(loop_, knobs.concurrency, patience_of(knobs));
        gated_.emplace(*gate_, http_, conf::never_shed_addresses(house.config));
        connections_.speak(*gated_);
    }
    if (knobs.processes_max > 0) {
        one_at_a_time_ = std::make_unique<OneAtATime>(*this);
        turns_ = std::make_unique<listener::TurnAcceptor>(*one_at_a_time_);
        turns_->next();
    }
    connections_.when_closed([this] { on_connection_gone(); });
}

Station::~Station() { stop(); }

void Station::stop() {
    if (threads_) threads_->stop();
}

std::unique_ptr<dispatch::HandlerThreads> Station::make_threads(std::uint32_t loop) {
    if (house_.crew.threads == 0) return nullptr;
    return std::make_unique<dispatch::HandlerThreads>(
        loop_, house_.crew.threads, patience_of(house_.config.execution), [this, loop](std::uint32_t thread) {
            return make_thread_rooms(house_, house_.crew.number_of_threads(loop) + thread);
        });
}

std::vector<std::unique_ptr<http::Handler>> Station::make_handlers() {
    if (const int address = house_.seat.keeper_address.get(); address >= 0)
        keeper_.emplace(loop_, jobs::KeeperClient::Terms{.path = "/proc/self/fd/" + std::to_string(address),
                                                         .owner = {},
                                                         .timeout = house_.config.store.timeout,
                                                         .bodies = house_.config.store.bodies_max});
    auto handlers =
        handler::make_handlers({house_.config, loop_, files_, buffers_, upstreams_, *house_.seat.scoreboard,
                                house_.seat.pools, queues_, house_.thread_pools, thread_desk_,
                                keeper_ ? &*keeper_ : nullptr, house_.modules, house_.about, house_.ready});
    if (!threads_) return handlers;
    std::vector<http::Handler*> own;
    for (std::size_t route = 0; route < handlers.size(); ++route) {
        own.push_back(handlers[route].get());
        if (!handler::answers_in_one_go(house_.config.routes[route])) continue;
        handlers[route] = std::make_unique<dispatch::Offload>(*threads_, std::move(handlers[route]));
    }
    threads_->leave_over_to(std::move(own));
    return handlers;
}

void Station::accept_from(ipc::SeatListener listener) {
    if (turns_)
        turns_->add(std::move(listener));
    else
        acceptors_.add(std::move(listener));
}

void Station::release(std::uint32_t queue) {
    if (turns_)
        turns_->release(queue);
    else
        acceptors_.release(queue);
}

void Station::drain() {
    draining_ = service_.draining = true;
    if (turns_) turns_->stop();
    acceptors_.stop();
    if (keeper_) keeper_->take_leave();
    connections_.drain();
}

void Station::crowd(bool on) {
    if (draining_) return;
    service_.draining = on;
    if (on) connections_.drain();
}

void Station::on_connection_gone() {
    if (turns_ && !draining_ && connections_.size() == 0) turns_->next();
    if (tidings_.connection_gone) tidings_.connection_gone();
}

}  // namespace worker
