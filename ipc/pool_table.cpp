// ipc/pool_table.cpp: a word for each member: its state, whose it is, and a number that tells its tasks
// apart.
#include "ipc/pool_table.h"

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <new>

#include "ipc/clock.h"

namespace ipc {
namespace {

// state: 8 bits, row: 16, serial: 40.
constexpr unsigned row_shift = 40, state_shift = 56;
constexpr std::uint64_t serial_mask = (std::uint64_t{1} << row_shift) - 1;
constexpr std::uint64_t demand_every_ms = 20;  ///< the master hears of those who wait

constexpr MemberState state_of(std::uint64_t word) noexcept {
    const auto number = word >> state_shift;
    return number < member_states ? static_cast<MemberState>(number) : MemberState::off;
}
constexpr std::uint32_t word_row(std::uint64_t word) noexcept {
    return static_cast<std::uint32_t>((word >> row_shift) & 0xffff);
}
constexpr std::uint64_t make_word(MemberState state, std::uint32_t row, std::uint64_t serial) noexcept {
    return (static_cast<std::uint64_t>(state) << state_shift) | (std::uint64_t{row} << row_shift) |
           (serial & serial_mask);
}
/// The same task or none, in another state.
constexpr std::uint64_t with_state(std::uint64_t word, MemberState state) noexcept {
    return make_word(state, word_row(word), word & serial_mask);
}

}  // namespace

struct alignas(64) PoolTable::Member {
    std::atomic<std::uint64_t> word;
    std::atomic<bool> leaves;  ///< `ask_to_retire`
    std::atomic<bool> gone;    ///< there is no process
    Counter since_ms, tasks, tasks_limit, pid;
};

struct alignas(64) PoolTable::Pool {
    std::array<std::atomic<std::uint32_t>, rows_max> waiting;
    std::array<std::atomic<std::uint32_t>, rows_max> threads, busy, stuck;  // of pools of threads
    std::atomic<std::uint32_t> rows;                                        ///< of which any was ever used
    std::atomic<bool> grows;
    std::atomic<std::uint64_t> demanded_ms;
    Counters counters;
};

std::string_view name(MemberState state) {
    switch (state) {
        case MemberState::off: return "off";
        case MemberState::starting: return "starting";
        case MemberState::idle: return "idle";
        case MemberState::busy: return "busy";
        case MemberState::doubtful: return "doubtful";
        case MemberState::overdue: return "overdue";
        case MemberState::retiring: return "retiring";
    }
    std::abort();
}

Result<std::unique_ptr<PoolTable>> PoolTable::create(const std::vector<Shape>& pools) {
    std::unique_ptr<PoolTable> table(new PoolTable());
    table->shapes_ = pools;
    std::uint32_t members = 0;
    for (const auto& shape : pools) {
        table->first_.push_back(members);
        members += shape.members;
        UniqueFd doorbell(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
        if (!doorbell) return system_error("eventfd of a pool");
        table->doorbells_.push_back(std::move(doorbell));
    }
    table->addresses_.resize(members);
    table->bell_ = UniqueFd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    if (!table->bell_) return system_error("eventfd of pools");
    table->size_ = pools.size() * sizeof(Pool) + members * sizeof(Member);
    if (table->size_ == 0) return table;
    void* memory = ::mmap(nullptr, table->size_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return system_error("mmap memory for pools");
    table->memory_ = memory;
    table->pools_ = new (memory) Pool[pools.size()]();
    auto* behind = static_cast<std::byte*>(memory) + pools.size() * sizeof(Pool);
    table->members_ = new (behind) Member[members]();
    return table;
}

PoolTable::~PoolTable() {
    if (memory_ != nullptr) ::munmap(memory_, size_);
}

PoolTable::Pool& PoolTable::cell(std::uint32_t pool) const noexcept { return pools_[pool]; }

PoolTable::Member& PoolTable::member(std::uint32_t pool, std::uint32_t index) const noexcept {
    return members_[first_[pool] + index];
}

PoolTable::Counters& PoolTable::counters(std::uint32_t pool) const noexcept { return cell(pool).counters; }

// ---- workers --------------------------------------------------------------------------------------

std::optional<PoolTask> PoolTable::acquire(std::uint32_t pool, std::uint32_t row,
                                           std::uint64_t now_ms) noexcept {
    for (std::uint32_t index = 0; index < shapes_[pool].members; ++index) {
        Member& one = member(pool, index);
        auto word = one.word.load();
        if (state_of(word) != MemberState::idle) continue;
        const auto mine = make_word(MemberState::busy, row, word + 1);
        if (!one.word.compare_exchange_strong(word, mine)) continue;  // another was faster
        one.since_ms.set(now_ms);
        one.tasks.add();
        cell(pool).counters.tasks.add_shared();
        return PoolTask{pool, index, mine};
    }
    return std::nullopt;
}

bool PoolTable::end(const PoolTask& task, MemberState to, std::uint64_t now_ms) noexcept {
    Member& one = member(task.pool, task.member);
    auto word = task.word;
    if (!one.word.compare_exchange_strong(word, with_state(task.word, to))) return false;
    one.since_ms.set(now_ms);
    return true;
}

bool PoolTable::release(const PoolTask& task, std::uint64_t now_ms,
                        std::optional<std::uint32_t> cared_for) noexcept {
    Member& one = member(task.pool, task.member);
    const bool enough = one.tasks_limit.get() != 0 && one.tasks.get() == one.tasks_limit.get();
    if (!end(task, one.leaves.load() ? MemberState::retiring : MemberState::idle, now_ms)) return false;
    // Asked to leave in between: it is idle, and whoever is first takes it.
    if (one.leaves.load()) {
        auto word = with_state(task.word, MemberState::idle);
        one.word.compare_exchange_strong(word, with_state(task.word, MemberState::retiring));
        tell_master();
    }
    // Its process ended behind the answer: where there is none nobody shall wait for one.
    if (one.gone.load()) {
        auto word = with_state(task.word, MemberState::idle);
        one.word.compare_exchange_strong(word, with_state(task.word, MemberState::off));
        tell_master();
    }
    if (enough) tell_master();
    const std::uint64_t here = cared_for ? cell(task.pool).waiting[*cared_for].load() : 0;
    if (waiting(task.pool) > here) ring(task.pool);
    return true;
}

bool PoolTable::give_up(const PoolTask& task, std::uint64_t now_ms) noexcept {
    if (!end(task, MemberState::doubtful, now_ms)) return false;
    tell_master();
    return true;
}

bool PoolTable::overdue(const PoolTask& task, std::uint64_t now_ms) noexcept {
    if (!end(task, MemberState::overdue, now_ms)) return false;
    tell_master();
    return true;
}

void PoolTable::use_row(Pool& pool, std::uint32_t row) noexcept {
    for (auto rows = pool.rows.load(); rows <= row && !pool.rows.compare_exchange_weak(rows, row + 1);) {
    }
}

bool PoolTable::enter(std::uint32_t pool, std::uint32_t row) noexcept {
    Pool& here = cell(pool);
    use_row(here, row);
    here.waiting[row].fetch_add(1);
    if (waiting(pool) > shapes_[pool].queue) {
        here.waiting[row].fetch_sub(1);
        return false;
    }
    if (!here.grows.load(std::memory_order_relaxed)) return true;
    const auto now = monotonic_ms();
    auto last = here.demanded_ms.load(std::memory_order_relaxed);
    if (now - last >= demand_every_ms && here.demanded_ms.compare_exchange_strong(last, now)) tell_master();
    return true;
}

void PoolTable::leave(std::uint32_t pool, std::uint32_t row) noexcept {
    cell(pool).waiting[row].fetch_sub(1);
}

std::uint64_t PoolTable::waiting(std::uint32_t pool) const noexcept {
    const Pool& here = cell(pool);
    const auto rows = std::min(here.rows.load(), rows_max);
    std::uint64_t all = 0;
    for (std::uint32_t row = 0; row < rows; ++row) all += here.waiting[row].load();
    return all;
}

void PoolTable::set_threads(std::uint32_t pool, std::uint32_t row, const ThreadUse& use) noexcept {
    Pool& here = cell(pool);
    use_row(here, row);
    here.threads[row].store(use.threads, std::memory_order_relaxed);
    here.busy[row].store(use.busy, std::memory_order_relaxed);
    here.stuck[row].store(use.stuck, std::memory_order_relaxed);
    here.waiting[row].store(use.waiting, std::memory_order_relaxed);
}

/// Whoever waits has said so before it looked for an idle member: either it finds this one, or we see it.
void PoolTable::ring_if_waiting(std::uint32_t pool) noexcept {
    if (waiting(pool) > 0) ring(pool);
}

void PoolTable::ring(std::uint32_t pool) noexcept {
    const std::uint64_t one = 1;
    (void)!::write(doorbells_[pool].get(), &one, sizeof one);
}

void PoolTable::pass_on(std::uint32_t pool) noexcept {
    for (std::uint32_t index = 0; index < shapes_[pool].members; ++index)
        if (state(pool, index) == MemberState::idle) return ring_if_waiting(pool);
}

void PoolTable::tell_master() noexcept {
    const std::uint64_t one = 1;
    (void)!::write(bell_.get(), &one, sizeof one);
}

// ---- master ---------------------------------------------------------------------------------------

void PoolTable::hush() noexcept {
    std::uint64_t rung = 0;
    (void)!::read(bell_.get(), &rung, sizeof rung);
}

std::vector<int> PoolTable::descriptors() const {
    std::vector<int> all{bell_.get()};
    for (const auto& doorbell : doorbells_) all.push_back(doorbell.get());
    for (const auto& address : addresses_)
        if (address) all.push_back(address.get());
    return all;
}

std::string PoolTable::address(std::uint32_t pool, std::uint32_t index) const {
    return "/proc/self/fd/" + std::to_string(addresses_[first_[pool] + index].get());
}

void PoolTable::set_address(std::uint32_t pool, std::uint32_t index, UniqueFd socket) {
    addresses_[first_[pool] + index] = std::move(socket);
}

MemberState PoolTable::state(std::uint32_t pool, std::uint32_t index) const noexcept {
    return state_of(member(pool, index).word.load());
}

std::uint64_t PoolTable::age_ms(std::uint32_t pool, std::uint32_t index,
                                std::uint64_t now_ms) const noexcept {
    const auto since = member(pool, index).since_ms.get();
    return now_ms > since ? now_ms - since : 0;
}

std::uint64_t PoolTable::tasks(std::uint32_t pool, std::uint32_t index) const noexcept {
    return member(pool, index).tasks.get();
}

bool PoolTable::change(std::uint32_t pool, std::uint32_t index, MemberState from, MemberState to,
                       std::uint64_t now_ms) noexcept {
    Member& one = member(pool, index);
    auto word = one.word.load();
    do {
        if (state_of(word) != from) return false;
    } while (!one.word.compare_exchange_weak(word, with_state(word, to)));
    one.since_ms.set(now_ms);
    if (to == MemberState::idle) ring_if_waiting(pool);
    return true;
}

void PoolTable::set_process(std::uint32_t pool, std::uint32_t index, int pid,
                            std::uint64_t tasks_limit) noexcept {
    Member& one = member(pool, index);
    one.pid.set(static_cast<std::uint64_t>(pid));
    one.tasks.set(0);
    one.tasks_limit.set(tasks_limit);
    one.leaves.store(false);
    one.gone.store(pid == 0);
}

bool PoolTable::ask_to_retire(std::uint32_t pool, std::uint32_t index, std::uint64_t now_ms) noexcept {
    Member& one = member(pool, index);
    one.leaves.store(true);
    return change(pool, index, MemberState::idle, MemberState::retiring, now_ms);
}

void PoolTable::set_growing(std::uint32_t pool, bool grows) noexcept { cell(pool).grows.store(grows); }

void PoolTable::add_counters_of(const PoolTable& before) noexcept {
    for (std::uint32_t pool = 0; pool < pools(); ++pool)
        for (std::uint32_t other = 0; other < before.pools(); ++other) {
            if (before.name(other) != name(pool) || before.shapes_[other].threads != shapes_[pool].threads)
                continue;
            auto& ours = counters(pool);
            const auto& theirs = before.counters(other);
            for (const auto counter :
                 {&Counters::tasks, &Counters::refused_full, &Counters::refused_late, &Counters::left,
                  &Counters::timeouts, &Counters::aborted, &Counters::died, &Counters::started,
                  &Counters::crashes, &Counters::kills, &Counters::recycled, &Counters::busy_us,
                  &Counters::waited_us, &Counters::over, &Counters::threw})
                (ours.*counter).add_shared((theirs.*counter).get());
        }
}

bool PoolTable::ends_one(std::uint32_t pool) const noexcept {
    for (std::uint32_t index = 0; index < shapes_[pool].members; ++index)
        if (state(pool, index) == MemberState::overdue) return true;
    return false;
}

std::uint32_t PoolTable::free_of(std::uint32_t row, std::uint64_t now_ms, MemberState to) noexcept {
    std::uint32_t freed = 0;
    for (std::uint32_t pool = 0; pool < pools(); ++pool) {
        Pool& here = cell(pool);
        for (auto* gauges : {&here.waiting, &here.threads, &here.busy, &here.stuck}) (*gauges)[row].store(0);
        for (std::uint32_t index = 0; index < shapes_[pool].members; ++index) {
            Member& one = member(pool, index);
            auto word = one.word.load();
            if (state_of(word) != MemberState::busy || word_row(word) != row) continue;
            if (!one.word.compare_exchange_strong(word, with_state(word, to))) continue;
            one.since_ms.set(now_ms);
            ++freed;
        }
        pass_on(pool);
    }
    return freed;
}

PoolReport PoolTable::report(std::uint32_t pool, std::uint64_t now_ms) const {
    const auto& shape = shapes_[pool];
    const auto& counted = counters(pool);
    PoolReport report;
    report.name = shape.name;
    report.queue = shape.queue;
    report.size_max = shape.size_max;
    report.waiting = waiting(pool);
    report.of_threads = shape.threads;
    const Pool& here = cell(pool);
    for (std::uint32_t row = 0; shape.threads && row < std::min(here.rows.load(), rows_max); ++row) {
        report.threads.threads += here.threads[row].load(std::memory_order_relaxed);
        report.threads.busy += here.busy[row].load(std::memory_order_relaxed);
        report.threads.stuck += here.stuck[row].load(std::memory_order_relaxed);
        report.threads.waiting += here.waiting[row].load(std::memory_order_relaxed);
    }
    for (std::uint32_t index = 0; index < shape.members; ++index) {
        const Member& one = member(pool, index);
        const auto word = one.word.load();
        ++report.states[static_cast<std::size_t>(state_of(word))];
        report.members.push_back({.state = state_of(word),
                                  .pid = static_cast<int>(one.pid.get()),
                                  .tasks = one.tasks.get(),
                                  .state_ms = age_ms(pool, index, now_ms),
                                  .row = word_row(word)});
    }
    report.tasks = counted.tasks.get();
    report.refused_full = counted.refused_full.get();
    report.refused_late = counted.refused_late.get();
    report.left = counted.left.get();
    report.timeouts = counted.timeouts.get();
    report.aborted = counted.aborted.get();
    report.died = counted.died.get();
    report.started = counted.started.get();
    report.crashes = counted.crashes.get();
    report.kills = counted.kills.get();
    report.recycled = counted.recycled.get();
    report.threw = counted.threw.get();
    report.busy_us = counted.busy_us.get();
    report.waited_us = counted.waited_us.get();
    return report;
}

}  // namespace ipc
