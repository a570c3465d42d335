// master/pools.cpp: one bell and one timer for all pools.
#include "master/pools.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "ipc/clock.h"
#include "master/limits.h"

namespace master {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds hurried_grace{500};

}  // namespace

ipc::Result<std::unique_ptr<Pools>> Pools::prepare(const PoolSurroundings& around,
                                                   const std::vector<conf::Pool>& pools,
                                                   std::function<void()> on_change) {
    std::vector<ipc::PoolTable::Shape> shapes;
    std::vector<conf::PoolSize> sizes;
    for (const auto& pool : pools) {
        if (pool.kind == conf::Pool::Kind::thread &&
            !conf::is_hosted(pool)) {  // of workers: the master only counts them
            shapes.push_back({.name = pool.name,
                              .members = 0,
                              .size_max = conf::thread_number(pool).max,
                              .queue = pool.queue,
                              .threads = true});
            sizes.emplace_back();
            continue;
        }
        sizes.push_back(conf::pool_size(pool, usable_cpus()));
        const auto most = sizes.back().max;
        shapes.push_back({.name = pool.name, .members = most + 1, .size_max = most, .queue = pool.queue});
    }
    auto table = ipc::PoolTable::create(shapes);
    if (!table) return tl::make_unexpected(std::move(table.error()));
    std::unique_ptr<Pools> all(new Pools(around, std::move(*table), std::move(on_change)));
    for (std::uint32_t index = 0; index < pools.size(); ++index) {
        if (shapes[index].threads) continue;
        auto sockets = PoolSocket::open(shapes[index].members);
        if (!sockets) return tl::make_unexpected(std::move(sockets.error()));
        all->pools_.push_back(std::make_unique<Pool>(all->around_, pools[index], sizes[index], *all->table_,
                                                     index, std::move(*sockets),
                                                     [own = all.get()] { own->wake(); }));
    }
    return all;
}

Pools::Pools(const PoolSurroundings& around, std::unique_ptr<ipc::PoolTable> table,
             std::function<void()> on_change)
    : around_(around),
      table_(std::move(table)),
      on_change_(std::move(on_change)),
      bell_(ipc::Event::calling<&Pools::on_bell>(this, around.loop, table_->bell(), EV_READ | EV_PERSIST)),
      look_(ipc::Event::timer<&Pools::on_look>(this, around.loop)) {}

void Pools::start() {
    for (auto& pool : pools_) pool->start();
    bell_.arm();
    look();
}

bool Pools::started() const noexcept {
    return std::all_of(pools_.begin(), pools_.end(), [](const auto& pool) { return pool->started(); });
}

std::optional<std::string> Pools::start_failure() const {
    for (const auto& pool : pools_)
        if (pool->start_failure()) return pool->start_failure();
    return std::nullopt;
}

void Pools::worker_gone(std::uint32_t row) {
    const auto freed = table_->free_of(row, ipc::monotonic_ms());
    if (freed > 0) spdlog::warn("tasks of a worker that is gone are given up tasks={}", freed);
    wake();
}

void Pools::keeper_gone(std::uint32_t row) {
    const auto ended = table_->free_of(row, ipc::monotonic_ms(), ipc::MemberState::overdue);
    if (ended > 0) spdlog::warn("processes at jobs of a keeper that is gone are ended processes={}", ended);
    wake();
}

void Pools::stop(bool hurried) {
    for (auto& pool : pools_)
        pool->stop(hurried ? Pools::short_grace(pool->config().kill_grace) : pool->config().kill_grace);
    look();
}

void Pools::hurry() {
    for (auto& pool : pools_) pool->hurry(short_grace(pool->config().kill_grace));
    wake();
}

milliseconds Pools::short_grace(milliseconds kill_grace) noexcept {
    return std::min(hurried_grace, kill_grace);
}

std::uint32_t Pools::running() const noexcept {
    std::uint32_t all = 0;
    for (const auto& pool : pools_) all += pool->running();
    return all;
}

void Pools::wake() {
    if (!std::exchange(woken_, true)) look_.arm(milliseconds(0));
}

void Pools::on_bell(short) {
    table_->hush();
    look();
}

void Pools::on_look(short) { look(); }

void Pools::look() {
    woken_ = false;
    const auto now = ipc::monotonic_ms();
    auto next = now + 10'000;
    for (auto& pool : pools_) next = std::min(next, pool->look(now));
    if (!woken_) look_.arm(milliseconds(next > now ? next - now : 0));
    const Answers answers{started(), start_failure().has_value(), running()};
    if (std::exchange(told_, answers) != answers) on_change_();
}

}  // namespace master
