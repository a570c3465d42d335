// ipc/scoreboard.cpp: the shared mapping and who may use which row of it.
#include "ipc/scoreboard.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdlib>
#include <new>

namespace ipc {

/// The head never moves: its first two fields are how versions know each other.
struct Scoreboard::Memory {
    static constexpr std::size_t rate_keys = 64 * 1024, count_keys = 1024;
    static constexpr std::uint64_t wanted_magic = 0x6472616f62766572;  // "revboard"

    std::atomic<std::uint64_t> magic{wanted_magic};
    std::atomic<std::uint32_t> layout{scoreboard_layout};
    std::atomic<std::uint32_t> rows_used{0};
    std::atomic<std::uint32_t> routes_used{1};
    std::atomic<std::uint32_t> peers_used{1}, upstreams_used{1}, names_used{1}, job_queues_used{1},
        job_schedules_used{1};
    MasterCell masters;
    SentinelCell sentinel;
    std::array<ListenerCell, listener_cells> listeners;
    std::array<SharedText<64>, routes_max> route_names;
    std::array<UpstreamCell, upstreams_max> upstreams;
    std::array<PeerCell, peers_max> peers;
    std::array<NameCell, names_max> names;
    JobsCell jobs;
    std::array<JobQueueCell, job_queues_max> job_queues;
    std::array<JobScheduleCell, job_schedules_max> job_schedules;
    std::uint64_t seed = 0;
    alignas(RateTable::alignment) std::array<std::byte, RateTable::bytes_for(rate_keys)> rates;
    alignas(CountTable::alignment) std::array<std::byte, CountTable::bytes_for(rows_max, count_keys)> counts;
    std::array<WorkerCell, rows_max> rows;
};

namespace {

bool is_alive(std::uint64_t pid) {
    return ::kill(static_cast<pid_t>(pid), 0) == 0 || errno != ESRCH;  // signal 0 reaches nobody
}

using Base = std::array<std::uint64_t, sizeof(Totals) / sizeof(std::uint64_t)>;
static_assert(std::tuple_size_v<Base> <= std::tuple_size_v<decltype(Tenant::base)>);

}  // namespace

Totals& Totals::operator+=(const Totals& other) noexcept {
    auto mine = std::bit_cast<Base>(*this);
    const auto theirs = std::bit_cast<Base>(other);
    for (std::size_t index = 0; index < mine.size(); ++index) mine[index] += theirs[index];
    return *this = std::bit_cast<Totals>(mine);
}

Totals& Totals::operator-=(const Totals& other) noexcept {
    auto mine = std::bit_cast<Base>(*this);
    const auto theirs = std::bit_cast<Base>(other);
    for (std::size_t index = 0; index < mine.size(); ++index) mine[index] -= theirs[index];
    return *this = std::bit_cast<Totals>(mine);
}

Totals WorkerCell::totals() const noexcept {
    Totals sum;
    sum.accepted = loop.accepted.get();
    sum.requests = loop.requests.get();
    for (std::size_t index = 0; index < sum.statuses.size(); ++index)
        sum.statuses[index] = loop.statuses[index].get();
    sum.bytes_in = loop.bytes_in.get();
    sum.bytes_out = loop.bytes_out.get();
    sum.refused = loop.refused.get();
    sum.accept_pauses = loop.accept_pauses.get();
    sum.log_lines_lost = loop.log_lines_lost.get();
    sum.slow_turns = loop.slow_turns.get();
    sum.queue_full = loop.queue_full.get();
    sum.queue_late = loop.queue_late.get();
    return sum;
}

Totals WorkerCell::since_taken() const noexcept {
    Base base;
    for (std::size_t index = 0; index < base.size(); ++index) base[index] = tenant.base[index].get();
    Totals grown = totals();
    return grown -= std::bit_cast<Totals>(base);
}

std::string_view name(SlotState state) {
    switch (state) {
        case SlotState::empty: return "empty";
        case SlotState::starting: return "starting";
        case SlotState::ready: return "ready";
        case SlotState::stuck: return "stuck";
        case SlotState::draining: return "draining";
        case SlotState::backing_off: return "backing_off";
    }
    std::abort();
}

std::string_view name(Executor executor) {
    switch (executor) {
        case Executor::loop: return "loop";
        case Executor::acceptor: return "acceptor";
        case Executor::thread: return "thread";
        case Executor::keeper: return "keeper";
    }
    std::abort();
}

std::string_view name(RestartCause cause) {
    switch (cause) {
        case RestartCause::signal: return "signal";
        case RestartCause::exit: return "exit";
        case RestartCause::stuck: return "stuck";
        case RestartCause::not_ready: return "not_ready";
        case RestartCause::protocol: return "protocol";
        case RestartCause::max_requests: return "max_requests";
        case RestartCause::max_memory: return "max_memory";
        case RestartCause::asked: return "asked";
    }
    std::abort();
}

std::string_view name(CallFailure failure) {
    switch (failure) {
        case CallFailure::connect: return "connect";
        case CallFailure::connect_timeout: return "connect_timeout";
        case CallFailure::send_timeout: return "send_timeout";
        case CallFailure::read_timeout: return "read_timeout";
        case CallFailure::reset: return "reset";
        case CallFailure::malformed: return "malformed";
        case CallFailure::status: return "status";
    }
    std::abort();
}

Result<Scoreboard> Scoreboard::make() {
    UniqueFd file(::memfd_create("reeve-scoreboard", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!file) return system_error("make scoreboard");
    // Sealed: nobody can take away memory that another one maps.
    if (::ftruncate(file.get(), sizeof(Memory)) < 0 ||
        ::fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return system_error("size scoreboard");
    void* memory =
        ::mmap(nullptr, sizeof(Memory), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file.get(), 0);
    if (memory == MAP_FAILED) return system_error("map scoreboard");
    // Zero is what every cell begins with, and pages nobody writes to take no room: only the head is made.
    auto* made = static_cast<Memory*>(memory);
    made->magic.store(Memory::wanted_magic);
    made->layout.store(scoreboard_layout);
    made->routes_used.store(1);
    made->peers_used.store(1);
    made->upstreams_used.store(1);
    made->names_used.store(1);
    made->job_queues_used.store(1);
    made->job_schedules_used.store(1);
    if (::getentropy(&made->seed, sizeof made->seed) < 0) return system_error("seed scoreboard");
    return Scoreboard(std::move(file), made);
}

Result<Scoreboard> Scoreboard::adopt(UniqueFd file) {
    struct stat size {};
    if (::fstat(file.get(), &size) < 0) return system_error("look at scoreboard");
    if (static_cast<std::uint64_t>(size.st_size) != sizeof(Memory))
        return failure("adopt scoreboard: another layout");
    void* memory =
        ::mmap(nullptr, sizeof(Memory), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file.get(), 0);
    if (memory == MAP_FAILED) return system_error("map scoreboard");
    Scoreboard adopted(std::move(file), static_cast<Memory*>(memory));
    if (adopted.memory_->magic.load() != Memory::wanted_magic ||
        adopted.memory_->layout.load() != scoreboard_layout)
        return failure("adopt scoreboard: another layout");
    return adopted;
}

Scoreboard::Scoreboard(Scoreboard&& other) noexcept
    : file_(std::move(other.file_)), memory_(std::exchange(other.memory_, nullptr)) {}

Scoreboard& Scoreboard::operator=(Scoreboard&& other) noexcept {
    std::swap(file_, other.file_);
    std::swap(memory_, other.memory_);
    return *this;
}

Scoreboard::~Scoreboard() {
    if (memory_ != nullptr) ::munmap(memory_, sizeof(Memory));
}

WorkerCell& Scoreboard::row(std::uint32_t index) noexcept {
    if (index >= rows_max) std::abort();
    return memory_->rows[index];
}

const WorkerCell& Scoreboard::row(std::uint32_t index) const noexcept {
    if (index >= rows_max) std::abort();
    return memory_->rows[index];
}

std::uint32_t Scoreboard::rows_used() const noexcept { return std::min(memory_->rows_used.load(), rows_max); }
MasterCell& Scoreboard::masters() noexcept { return memory_->masters; }
const MasterCell& Scoreboard::masters() const noexcept { return memory_->masters; }
SentinelCell& Scoreboard::sentinel() noexcept { return memory_->sentinel; }
ListenerCell& Scoreboard::listener(std::size_t index) noexcept { return memory_->listeners.at(index); }
const ListenerCell& Scoreboard::listener(std::size_t index) const noexcept {
    return memory_->listeners.at(index);
}

std::optional<std::uint32_t> Scoreboard::take(std::uint32_t owner) noexcept {
    for (std::uint32_t index = 0; index < rows_max; ++index) {
        auto& cell = memory_->rows[index];
        std::uint64_t holder = cell.owner.load();
        if (holder != 0 && (holder == owner || is_alive(holder))) continue;
        if (!cell.owner.compare_exchange_strong(holder, owner)) continue;
        auto used = memory_->rows_used.load();
        while (used <= index && !memory_->rows_used.compare_exchange_weak(used, index + 1)) continue;
        const auto base = std::bit_cast<Base>(cell.totals());
        for (std::size_t field = 0; field < base.size(); ++field) cell.tenant.base[field].set(base[field]);
        vacate(index);
        cell.crash.clear();
        cell.tenant.restarts.set(0);
        return index;
    }
    return std::nullopt;
}

std::uint32_t Scoreboard::index_of(const WorkerCell& cell) const noexcept {
    return static_cast<std::uint32_t>(&cell - memory_->rows.data());
}

RateTable Scoreboard::rates() noexcept { return RateTable(memory_->rates); }
CountTable Scoreboard::counts() noexcept { return CountTable(memory_->counts, rows_max); }
std::uint64_t Scoreboard::seed() const noexcept { return memory_->seed; }

void Scoreboard::end_calls(std::uint32_t index) noexcept {
    auto& cell = row(index);
    cell.buffers.memory.set(0);
    cell.buffers.file.set(0);
    for (std::uint32_t peer = 1; peer < peers_used(); ++peer) cell.peers[peer].active.set(0);
    counts().clear(index);
    const auto pid = static_cast<std::uint32_t>(cell.tenant.pid.get());
    for (std::uint32_t upstream = 1; upstream < upstreams_used(); ++upstream) {
        cell.upstreams[upstream].hedging.set(0);
        cell.upstreams[upstream].waiting.set(0);
    }
    if (pid == 0) return;
    for (std::uint32_t index_of = 1; index_of < upstreams_used(); ++index_of)
        upstream_cell(index_of).breaker.free_leases_of(pid);
}

void Scoreboard::vacate(std::uint32_t index) noexcept {
    auto& cell = row(index);
    end_calls(index);  // by the pid
    cell.loop.connections.set(0);
    cell.loop.waiting.set(0);
    cell.loop.busy.set(0);
    cell.loop.in_flight.end();
    cell.modules.clear();
    cell.tenant.pid.set(0);
    cell.tenant.thread.set(0);
}

void Scoreboard::give_back(std::uint32_t index) noexcept {
    auto& cell = row(index);
    vacate(index);
    cell.tenant.state.set(static_cast<std::uint64_t>(SlotState::empty));
    cell.owner.store(0);
}

std::uint32_t Scoreboard::add_route(std::string_view name) {
    if (const auto known = route(name); known != 0) return known;
    const auto index = memory_->routes_used.load();
    if (index >= routes_max) return 0;
    memory_->route_names[index].set(name);
    memory_->routes_used.store(index + 1);
    return index;
}

std::uint32_t Scoreboard::route(std::string_view name) const {
    const auto wanted = name.substr(0, SharedText<64>::text_max);
    for (std::uint32_t index = 1; index < routes_used(); ++index)
        if (memory_->route_names[index].get() == wanted) return index;
    return 0;
}

std::uint32_t Scoreboard::routes_used() const noexcept {
    return std::min<std::uint32_t>(memory_->routes_used.load(), routes_max);
}

std::string Scoreboard::route_name(std::uint32_t index) const {
    return index == 0 || index >= routes_max ? std::string() : memory_->route_names[index].get();
}

namespace {

/// As it reads back from shared memory. What does not fit, or reads as '?', is told apart by a hash.
std::string peer_name(std::string_view upstream, std::string_view address) {
    constexpr std::size_t digits = 16, bytes_max = SharedText<128>::text_max;
    const auto unreadable = [](char c) { return c < ' ' || c > '~'; };
    std::string name(upstream);
    name.append("/").append(address);
    if (name.size() <= bytes_max && std::none_of(name.begin(), name.end(), unreadable)) return name;
    std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
    for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    name.resize(std::min(name.size(), bytes_max - digits - 1));
    std::replace_if(name.begin(), name.end(), unreadable, '?');
    name += '#';
    for (std::size_t digit = 0; digit < digits; ++digit, hash <<= 4) name += "0123456789abcdef"[hash >> 60];
    return name;
}

}  // namespace

std::uint32_t Scoreboard::add_upstream(std::string_view name) {
    if (const auto known = upstream(name); known != 0) return known;
    const auto index = memory_->upstreams_used.load();
    if (index >= upstreams_max) return 0;
    memory_->upstreams[index].name.set(name);
    memory_->upstreams_used.store(index + 1);
    return index;
}

std::uint32_t Scoreboard::upstream(std::string_view name) const {
    const auto wanted = name.substr(0, SharedText<64>::text_max);
    for (std::uint32_t index = 1; index < upstreams_used(); ++index)
        if (memory_->upstreams[index].name.get() == wanted) return index;
    return 0;
}

std::uint32_t Scoreboard::upstreams_used() const noexcept {
    return std::min<std::uint32_t>(memory_->upstreams_used.load(), upstreams_max);
}

UpstreamCell& Scoreboard::upstream_cell(std::uint32_t index) noexcept { return memory_->upstreams.at(index); }
const UpstreamCell& Scoreboard::upstream_cell(std::uint32_t index) const noexcept {
    return memory_->upstreams.at(index);
}

std::uint32_t Scoreboard::add_job_queue(std::string_view name) {
    if (const auto known = job_queue(name); known != 0) return known;
    const auto index = memory_->job_queues_used.load();
    if (index >= job_queues_max) return 0;
    memory_->job_queues[index].name.set(name);
    memory_->job_queues_used.store(index + 1);
    return index;
}

std::uint32_t Scoreboard::job_queue(std::string_view name) const {
    const auto wanted = name.substr(0, SharedText<64>::text_max);
    for (std::uint32_t index = 1; index < job_queues_used(); ++index)
        if (memory_->job_queues[index].name.get() == wanted) return index;
    return 0;
}

std::uint32_t Scoreboard::job_queues_used() const noexcept {
    return std::min<std::uint32_t>(memory_->job_queues_used.load(), job_queues_max);
}

JobQueueCell& Scoreboard::job_queue_cell(std::uint32_t index) noexcept {
    return memory_->job_queues.at(index);
}
const JobQueueCell& Scoreboard::job_queue_cell(std::uint32_t index) const noexcept {
    return memory_->job_queues.at(index);
}
std::uint32_t Scoreboard::add_job_schedule(std::string_view name) {
    if (const auto known = job_schedule(name); known != 0) return known;
    const auto index = memory_->job_schedules_used.load();
    if (index >= job_schedules_max) return 0;
    memory_->job_schedules[index].name.set(name);
    memory_->job_schedules_used.store(index + 1);
    return index;
}

std::uint32_t Scoreboard::job_schedule(std::string_view name) const {
    const auto wanted = name.substr(0, SharedText<64>::text_max);
    for (std::uint32_t index = 1; index < job_schedules_used(); ++index)
        if (memory_->job_schedules[index].name.get() == wanted) return index;
    return 0;
}

std::uint32_t Scoreboard::job_schedules_used() const noexcept {
    return std::min<std::uint32_t>(memory_->job_schedules_used.load(), job_schedules_max);
}

JobScheduleCell& Scoreboard::job_schedule_cell(std::uint32_t index) noexcept {
    return memory_->job_schedules.at(index);
}
const JobScheduleCell& Scoreboard::job_schedule_cell(std::uint32_t index) const noexcept {
    return memory_->job_schedules.at(index);
}
JobsCell& Scoreboard::jobs() noexcept { return memory_->jobs; }
const JobsCell& Scoreboard::jobs() const noexcept { return memory_->jobs; }

std::uint32_t Scoreboard::add_peer(std::string_view upstream, std::string_view address) {
    if (const auto known = peer(upstream, address); known != 0) return known;
    const auto index = memory_->peers_used.load();
    if (index >= peers_max) return 0;
    memory_->peers[index].name.set(peer_name(upstream, address));
    memory_->peers_used.store(index + 1);
    return index;
}

std::uint32_t Scoreboard::peer(std::string_view upstream, std::string_view address) const {
    const std::string wanted = peer_name(upstream, address);
    for (std::uint32_t index = 1; index < peers_used(); ++index)
        if (memory_->peers[index].name.get() == wanted) return index;
    return 0;
}

namespace {

std::string place_name(std::string_view name, std::uint32_t number) {
    return std::string(name) + "#" + std::to_string(number);
}

}  // namespace

void Scoreboard::add_places(std::string_view upstream, std::string_view name, std::uint32_t places) {
    for (std::uint32_t number = 0; number < places; ++number)
        if (const auto index = add_peer(upstream, place_name(name, number)); index != 0)
            memory_->peers[index].is_place.set(1);
}

std::uint32_t Scoreboard::place(std::string_view upstream, std::string_view name,
                                std::uint32_t number) const {
    return peer(upstream, place_name(name, number));
}

std::uint32_t Scoreboard::add_name(std::string_view upstream, std::string_view of_peer) {
    if (const auto known = name(upstream, of_peer); known != 0) return known;
    const auto index = memory_->names_used.load();
    if (index >= names_max) return 0;
    memory_->names[index].name.set(peer_name(upstream, of_peer));
    memory_->names_used.store(index + 1);
    return index;
}

std::uint32_t Scoreboard::name(std::string_view upstream, std::string_view of_peer) const {
    const std::string wanted = peer_name(upstream, of_peer);
    for (std::uint32_t index = 1; index < names_used(); ++index)
        if (memory_->names[index].name.get() == wanted) return index;
    return 0;
}

std::uint32_t Scoreboard::names_used() const noexcept {
    return std::min<std::uint32_t>(memory_->names_used.load(), names_max);
}
NameCell& Scoreboard::name_cell(std::uint32_t index) noexcept { return memory_->names.at(index); }
const NameCell& Scoreboard::name_cell(std::uint32_t index) const noexcept { return memory_->names.at(index); }

std::uint32_t Scoreboard::peers_used() const noexcept {
    return std::min<std::uint32_t>(memory_->peers_used.load(), peers_max);
}

PeerCell& Scoreboard::peer_cell(std::uint32_t index) noexcept { return memory_->peers.at(index); }
const PeerCell& Scoreboard::peer_cell(std::uint32_t index) const noexcept { return memory_->peers.at(index); }

std::array<std::uint64_t, Histogram::buckets> Scoreboard::latency() const noexcept {
    std::array<std::uint64_t, Histogram::buckets> sum{};
    for (std::uint32_t index = 0; index < rows_used(); ++index)
        for (std::uint32_t route = 0; route < routes_used(); ++route)
            for (std::size_t bucket = 0; bucket < sum.size(); ++bucket)
                sum[bucket] += memory_->rows[index].routes[route].latency.count(bucket);
    return sum;
}

Totals Scoreboard::totals() const noexcept {
    Totals sum;
    for (std::uint32_t index = 0; index < rows_used(); ++index) sum += memory_->rows[index].totals();
    return sum;
}

}  // namespace ipc
