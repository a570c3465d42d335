#include "master/keeper.h"

#include <unistd.h>

#include <chrono>
#include <utility>

namespace master {
namespace {

using std::chrono::milliseconds;

/// Beyond the limit of its calls and the grace of their processes, which it keeps itself; see
/// `worker::jobs::Runners::last_words`.
constexpr milliseconds leave_grace{7000};
constexpr std::uint32_t starts_max = 3;

}  // namespace

ipc::Result<std::unique_ptr<Keeper>> Keeper::make(const Surroundings& around,
                                                  std::function<void()> on_change) {
    const auto row = around.process.board.take(static_cast<std::uint32_t>(::getpid()));
    if (!row) return ipc::failure("the scoreboard has no row left for a keeper");
    return std::unique_ptr<Keeper>(new Keeper(around, *row, std::move(on_change)));
}

Keeper::Keeper(const Surroundings& around, std::uint32_t row, std::function<void()> on_change)
    : around_(around),
      row_(row),
      process_(around.process, *this, "keeper", around.process.start_timeout, std::move(on_change)) {
    auto& tenant = around_.process.board.row(row_).tenant;
    tenant.slot.set(0);
    tenant.number.set(0);
    tenant.generation.set(around_.process.generation);
    tenant.executor.set(static_cast<std::uint64_t>(ipc::Executor::keeper));
}

Keeper::~Keeper() { around_.process.board.give_back(row_); }

std::optional<std::string> Keeper::start_failure() const {
    if (served_ || process_.ready()) return std::nullopt;
    if (!process_.complaint().empty()) return "jobs cannot be kept: " + process_.complaint();
    if (process_.restarts() >= starts_max) return "the keeper of jobs dies as soon as it is started";
    return std::nullopt;
}

void Keeper::serve() {
    served_ = true;
    process_.serve();
}

void Keeper::drain(milliseconds limit) {
    limit_ = limit;
    process_.drain(ipc::Drain{.limit_ms = static_cast<std::uint32_t>(limit.count())});
}

void Keeper::succeed(bool other_store) {
    succeeded_ = true;
    process_.let_go(ipc::Release{.queue = other_store ? ipc::Release::other_store : 0});
}

void Keeper::alone(bool hurried) {
    const auto grace = hurried ? Pools::short_grace(around_.kill_grace) : around_.kill_grace;
    process_.leave(ipc::Alone{}, limit_.value_or(milliseconds(0)) + grace + leave_grace);
}

std::vector<int> Keeper::descriptors() const {
    std::vector<int> keep{around_.socket.listener(), around_.socket.address()};
    if (around_.pools != nullptr)
        for (const int fd : around_.pools->table().descriptors()) keep.push_back(fd);
    return keep;
}

void Keeper::furnish(ipc::Seat& seat) {
    seat.cell = &around_.process.board.row(row_);
    seat.crew = {seat.cell};
    seat.started = served_;
    if (around_.pools != nullptr) seat.pools = &around_.pools->table();
    seat.keeper_socket = ipc::UniqueFd(around_.socket.listener());
    seat.keeper_address = ipc::UniqueFd(around_.socket.address());
}

void Keeper::on_begun() {
    auto& tenant = around_.process.board.row(row_).tenant;
    tenant.pid.set(static_cast<std::uint64_t>(process_.pid()));
    tenant.started_ms.set(process_.started_ms());
}

void Keeper::on_ended() {
    auto& board = around_.process.board;
    auto& jobs = board.jobs();
    if (const auto pid = board.row(row_).tenant.pid.get(); pid != 0 && jobs.pid.get() == pid) {
        // It died with the store: until another one has it, nothing is stored.
        jobs.pid.set(0);
        jobs.healthy.set(0);
        jobs.unable_why.set("the keeper has died");
        if (jobs.unable_since_ms.get() == 0)
            jobs.unable_since_ms.set(static_cast<std::uint64_t>(
                std::chrono::duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch())
                    .count()));
    }
    board.vacate(row_);
    if (around_.pools != nullptr) around_.pools->keeper_gone(row_);
}

}  // namespace master
