#include "worker/jobs/schedules.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iterator>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "ipc/clock.h"

namespace worker::jobs {
namespace {

using Missed = conf::Schedule::Missed;
using std::chrono::milliseconds;

constexpr UnixMs look_ms = 60'000;
/// So late a run is on time: over a restart of the keeper, or while the store is unable.
constexpr UnixMs late_ms = 60'000;
constexpr std::uint64_t again_first_ms = 1'000, again_most_ms = 30'000;

/// Fails when it is longer than that.
std::optional<std::string> read_whole(const std::string& path, std::uint64_t bytes_max) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return std::nullopt;
    std::string text(static_cast<std::size_t>(bytes_max) + 1, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    const auto got = static_cast<std::size_t>(file.gcount());
    if (file.bad() || got > bytes_max) return std::nullopt;
    text.resize(got);
    text.shrink_to_fit();
    return text;
}

}  // namespace

std::string run_name(const conf::Schedule& schedule) {
    if (schedule.every.count() > 0)
        return fmt::format("{} every {}ms", schedule.name, schedule.every.count());
    return fmt::format("{} {} {}", schedule.name, schedule.cron.text, schedule.timezone);
}

Schedules::Schedules(const conf::Config& config, execution::Loop& loop, ipc::Scoreboard& board,
                     Keeping& keeping, std::function<UnixMs()> now)
    : loop_(loop),
      board_(board),
      keeping_(keeping),
      now_(std::move(now)),
      timer_(ipc::Event::timer<&Schedules::on_time>(this, loop.base())) {
    for (const auto& schedule : config.schedules) {
        const auto queue = std::find_if(config.queues.begin(), config.queues.end(),
                                        [&](const auto& one) { return one.name == schedule.queue; });
        if (queue == config.queues.end()) continue;  // the configuration was checked
        const auto index = board.job_schedule(schedule.name);
        all_.emplace_back(schedule, *queue, index == 0 ? nullptr : &board.job_schedule_cell(index));
    }
}

void Schedules::start() {
    if (std::exchange(on_, true)) return;
    for (std::uint32_t index = 1; index < board_.job_schedules_used(); ++index) {
        auto& cell = board_.job_schedule_cell(index);
        if (std::none_of(all_.begin(), all_.end(), [&](const One& one) { return one.cell == &cell; }))
            cell.next_ms.set(0);  // it is not configured any more
    }
    if (all_.empty()) return;
    for (auto& one : all_) (void)read_body(one);  // what is not there yet is read when it is due
    look();
}

void Schedules::stop() noexcept {
    on_ = false;
    timer_.disarm();
}

void Schedules::on_time(short) {
    loop_.enter();
    look();
}

void Schedules::look() {
    if (!on_) return;
    for (auto& one : all_) look_at(one);
    plan();
}

void Schedules::look_at(One& one) {
    if (!one.known) return learn(one);
    const auto now = now_();
    collect(one, now);
    trim(one, now);
    fire(one);
}

/// What ran last, of whoever ran it: from then on runs may have been missed.
void Schedules::learn(One& one) {
    if (one.not_before > ipc::monotonic_ms() || std::exchange(one.asking, true)) return;
    LastFired last;
    last.schedule = one.name;
    keeping_.submit(std::move(last), [this, &one](Operation&& over, const ipc::Error* failure) {
        one.asking = false;
        if (failure != nullptr) {
            one.not_before = ipc::monotonic_ms() + again_first_ms;
            return plan();
        }
        const auto due = std::get<LastFired>(over).answer.due;
        one.known = true;
        one.looked = due == 0 ? never_ran(one) : due;
        if (one.cell != nullptr) one.cell->last_ms.set(static_cast<std::uint64_t>(std::max<UnixMs>(due, 0)));
        if (on_) look_at(one);
        plan();
    });
}

/// From when on it may have missed runs: from when the keeper before this one was about to make its first,
/// over a reload or a crash; otherwise it begins now.
UnixMs Schedules::never_ran(const One& one) const {
    const auto now = now_();
    const auto next = one.cell == nullptr ? 0 : static_cast<UnixMs>(one.cell->next_ms.get());
    return next > 0 && next <= now ? next - 1 : now;
}

/// What has become due. A clock that was set back brings times again: those that are stored are known there.
void Schedules::collect(One& one, UnixMs now) {
    if (one.next != 0 && one.looked <= now && now < one.next) {
        one.looked = now;
        return;
    }
    one.looked = std::min(one.looked, now);
    auto runs = one.timetable.between(one.looked, now, conf::missed_runs_max);
    one.looked = now;
    one.next = one.timetable.next(now).value_or(0);
    if (one.cell != nullptr) one.cell->next_ms.set(static_cast<std::uint64_t>(std::max<UnixMs>(one.next, 0)));
    if (runs.earlier > 0) note_missed(one, runs.earlier, "more than can be made up for");
    for (const auto due : runs.latest) {
        const bool waits = std::any_of(one.waiting.begin(), one.waiting.end(),
                                       [&](const Run& run) { return run.due == due; });
        if (!waits) one.waiting.push_back({ids_.next(), due});
    }
}

/// Leaves of those that wait what `missed` says; the one that is being stored stays.
void Schedules::trim(One& one, UnixMs now) {
    const std::size_t under_way = one.firing ? 1 : 0;
    std::size_t keep = conf::missed_runs_max;
    if (one.schedule.missed != Missed::all) keep = 1;
    std::uint64_t dropped = 0;
    while (one.waiting.size() > keep + under_way) {
        one.waiting.erase(one.waiting.begin() + static_cast<std::ptrdiff_t>(under_way));
        ++dropped;
    }
    if (one.schedule.missed == Missed::skip && one.waiting.size() > under_way &&
        now - one.waiting.back().due > late_ms) {
        one.waiting.pop_back();
        ++dropped;
    }
    if (dropped > 0) note_missed(one, dropped, "their time has passed");
}

void Schedules::note_missed(One& one, std::uint64_t runs, std::string_view why) {
    if (one.cell != nullptr) one.cell->missed.add(runs);
    spdlog::warn("runs of a schedule are left out schedule={} runs={} why={:?}", one.schedule.name, runs,
                 why);
}

// ---- one run --------------------------------------------------------------------------------------

/// Once; false: it cannot be read, or is too long.
bool Schedules::read_body(One& one) {
    if (!one.body)
        one.body = one.schedule.body_file.empty()
                       ? std::optional<std::string>(one.schedule.body)
                       : read_whole(one.schedule.body_file, one.queue.job_size_max);
    return one.body.has_value();
}

void Schedules::fire(One& one) {
    if (one.firing || one.waiting.empty() || one.not_before > ipc::monotonic_ms()) return;
    if (!read_body(one)) return fail(one, "cannot read " + one.schedule.body_file);
    const Run& run = one.waiting.front();
    Fire fire;
    fire.schedule = one.name;
    fire.due = run.due;
    auto& job = fire.enqueue.job;
    job.id = run.id;
    job.queue = one.queue.name;
    job.content_type = one.schedule.content_type;
    job.body = *one.body;
    job.key = one.schedule.key;
    job.priority = one.schedule.priority.value_or(one.queue.priority);
    job.attempts = one.queue.attempts;
    fire.enqueue.room = {one.queue.size_max.jobs, one.queue.size_max.bytes};
    one.firing = true;
    keeping_.submit(std::move(fire), [this, &one](Operation&& over, const ipc::Error* failure) {
        if (const auto* fired = std::get_if<Fire>(&over)) on_fired(one, *fired, failure);
    });
}

void Schedules::on_fired(One& one, const Fire& fire, const ipc::Error* failure) {
    using What = Enqueue::Answer::What;
    one.firing = false;
    const auto what = fire.enqueue.answer.what;
    if (!on_ && failure != nullptr) return;  // whoever has the store now makes up for it
    if (failure != nullptr || what == What::full) {
        fail(one, failure != nullptr ? failure->text() : "the queue is full");
        return plan();
    }
    one.failures = 0;
    one.not_before = 0;
    if (!one.waiting.empty() && one.waiting.front().due == fire.due) one.waiting.pop_front();
    if (one.cell != nullptr) {
        one.cell->last_ms.set(static_cast<std::uint64_t>(std::max<UnixMs>(fire.due, 0)));
        if (what == What::created) one.cell->runs.add();
    }
    if (!on_) return;
    this->fire(one);
    plan();
}

/// It is tried again for as long as `missed` lets it wait.
void Schedules::fail(One& one, const std::string& why) {
    if (one.failures++ == 0)
        spdlog::error("a run of a schedule cannot be stored, will be tried again schedule={} why={:?}",
                      one.schedule.name, why);
    const auto wait = again_first_ms << std::min(one.failures - 1, 5u);
    one.not_before = ipc::monotonic_ms() + std::min(wait, again_most_ms);
}

/// The one timer: for what is due next, and what is to be tried again.
void Schedules::plan() {
    if (!on_) return;
    UnixMs wait = look_ms;
    const auto now = now_();
    const auto steady = ipc::monotonic_ms();
    for (const auto& one : all_) {
        const bool tries = (!one.known && !one.asking) || (!one.firing && !one.waiting.empty());
        if (tries)
            wait = std::min(wait, one.not_before > steady ? static_cast<UnixMs>(one.not_before - steady) : 1);
        if (one.known && one.next != 0) wait = std::min(wait, one.next - now);
    }
    timer_.arm(milliseconds(std::max<UnixMs>(wait, 1)));
}

}  // namespace worker::jobs
