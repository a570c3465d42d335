#include "worker/command/job_tables.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "conf/units.h"
#include "worker/command/terminal_text.h"
#include "worker/handler/job_json.h"
#include "worker/handler/job_request.h"

namespace worker::command {
namespace {

using jobs::State;
using jobs::UnixMs;
using Row = std::vector<std::string>;

constexpr std::size_t note_columns = 60, name_columns = 40;

/// Columns as wide as what is in them; the last one is not filled up. `right`: those with numbers.
std::string table_text(const std::vector<Row>& rows, std::string_view right) {
    std::vector<std::size_t> widths(right.size(), 0);
    for (const auto& row : rows)
        for (std::size_t column = 0; column < row.size(); ++column)
            widths[column] = std::max(widths[column], columns_of(row[column]));
    std::string text;
    for (const auto& row : rows) {
        for (std::size_t column = 0; column < row.size(); ++column) {
            const std::string fill(widths[column] - columns_of(row[column]), ' ');
            const bool last = column + 1 == row.size();
            if (right[column] == 'r') text += fill;
            text += row[column];
            if (right[column] != 'r' && !last) text += fill;
            if (!last) text += "  ";
        }
        text.erase(text.find_last_not_of(' ') + 1);
        text += '\n';
    }
    return text;
}

std::string ago_text(UnixMs then, UnixMs now) {
    return then <= now ? span_text(now - then) + " ago" : "in " + span_text(then - now);
}

/// When what its state is about was, or will be.
std::string when_text(const jobs::View& job, UnixMs now) {
    switch (job.state) {
        case State::scheduled: return ago_text(job.run_at, now);
        case State::ready: return "due " + ago_text(std::max(job.run_at, job.created), now);
        case State::running: return "for " + span_text(now - job.started);
        case State::done:
        case State::dead:
        case State::cancelled: return ago_text(job.ended, now);
    }
    return {};
}

std::string tries_text(const jobs::View& job) {
    return job.attempts == 0 ? std::to_string(job.attempts_made)
                             : fmt::format("{}/{}", job.attempts_made, job.attempts);
}

std::string note_text(const jobs::View& job) {
    if (job.cancelling) return "is being cancelled";
    return job.reason.empty() ? job.progress : job.reason;
}

std::string moment_text(UnixMs moment, UnixMs now) {
    return fmt::format("{}  {}", handler::print_moment(moment), ago_text(moment, now));
}

std::string history_text(const jobs::View& job) {
    if (job.history.empty()) return {};
    std::vector<Row> rows{{"ATTEMPT", "ENDING", "STARTED", "TOOK", "ERROR"}};
    rows.reserve(job.history.size() + 1);
    for (const auto& attempt : job.history)
        rows.push_back({std::to_string(attempt.number), std::string(handler::ending_name(attempt.ending)),
                        handler::print_moment(attempt.started), span_text(attempt.ended - attempt.started),
                        terminal_text(attempt.error)});
    return "\n" + table_text(rows, "rllrl");
}

}  // namespace

std::string span_text(UnixMs ms) {
    ms = std::max<UnixMs>(ms, 0);
    if (ms < 1000) return fmt::format("{}ms", ms);
    constexpr std::array<std::pair<UnixMs, char>, 4> units{
        {{86'400'000, 'd'}, {3'600'000, 'h'}, {60'000, 'm'}, {1000, 's'}}};
    for (const auto& [size, name] : units)
        if (ms >= 2 * size || size == 1000) return fmt::format("{}{}", ms / size, name);
    return {};
}

std::string bytes_text(std::uint64_t bytes) {
    if (bytes < 1024) return std::to_string(bytes);
    auto rest = static_cast<double>(bytes);
    char unit = 'b';
    for (const char next : {'k', 'm', 'g'}) {
        if (rest < 1024) break;
        rest /= 1024;
        unit = next;
    }
    return fmt::format("{:.1f}{}", rest, unit);
}

std::string jobs_table(std::span<const jobs::View> jobs, UnixMs now) {
    std::vector<Row> rows{{"ID", "QUEUE", "STATE", "WHEN", "TRIES", "SIZE", "NOTE"}};
    rows.reserve(jobs.size() + 1);
    for (const auto& job : jobs)
        rows.push_back({terminal_text(job.id), shortened(terminal_text(job.queue), name_columns),
                        std::string(handler::state_name(job.state)), when_text(job, now), tries_text(job),
                        bytes_text(job.body_size), shortened(terminal_text(note_text(job)), note_columns)});
    return table_text(rows, "llllrrl");
}

std::string job_text(const jobs::View& job, UnixMs now) {
    std::vector<Row> rows;
    rows.reserve(18);
    const auto add = [&](const char* name, std::string value) { rows.push_back({name, std::move(value)}); };
    const auto add_text = [&](const char* name, const std::string& value) {
        if (!value.empty()) add(name, terminal_text(value));
    };
    const auto add_moment = [&](const char* name, UnixMs moment) {
        if (moment != 0) add(name, moment_text(moment, now));
    };
    add("id", terminal_text(job.id));
    add("queue", terminal_text(job.queue));
    add("state",
        fmt::format("{}{}", handler::state_name(job.state), job.cancelling ? ", is being cancelled" : ""));
    add_text("reason", job.reason);
    add_text("progress", job.progress);
    add("attempts", fmt::format("{}{}{}", job.attempts_made,
                                job.attempts == 0 ? std::string() : fmt::format(" of {}", job.attempts),
                                job.crashes == 0 ? std::string() : fmt::format(", crashes {}", job.crashes)));
    add("priority", std::to_string(job.priority));
    add_text("key", job.key);
    add_text("callback", job.callback);
    add_moment("created", job.created);
    add_moment("run at", job.run_at);
    add_moment("started", job.started);
    add_moment("ended", job.ended);
    add("size", bytes_text(job.body_size));
    if (job.state == State::done)
        add("result", fmt::format("{}{} {}",
                                  job.result_status == 0 ? "" : fmt::format("status {}, ", job.result_status),
                                  bytes_text(job.result_size), terminal_text(job.result_type)));
    return table_text(rows, "ll") + history_text(job);
}

std::string queues_table(std::span<const jobs::Stats::Queue> queues, UnixMs now) {
    std::vector<Row> rows{{"QUEUE", "SCHEDULED", "READY", "RUNNING", "DONE", "DEAD", "CANCELLED", "BYTES",
                           "OLDEST READY", "NEXT SCHEDULED", "STATE"}};
    rows.reserve(queues.size() + 1);
    for (const auto& queue : queues)
        rows.push_back({shortened(terminal_text(queue.name), name_columns), std::to_string(queue.scheduled),
                        std::to_string(queue.ready), std::to_string(queue.running),
                        std::to_string(queue.done), std::to_string(queue.dead),
                        std::to_string(queue.cancelled), bytes_text(queue.bytes),
                        queue.oldest_ready == 0 ? "-" : span_text(now - queue.oldest_ready),
                        queue.next_scheduled == 0 ? "-" : ago_text(queue.next_scheduled, now),
                        queue.paused ? "paused" : "open"});
    return table_text(rows, "lrrrrrrrrrl");
}

std::string schedules_table(std::span<const ScheduleLine> lines, UnixMs now) {
    std::vector<Row> rows{{"SCHEDULE", "QUEUE", "WHEN", "TIME ZONE", "LAST RUN", "NEXT RUN", "IN"}};
    rows.reserve(lines.size() + 1);
    const auto moment = [](UnixMs at) { return at == 0 ? std::string("-") : handler::print_moment(at); };
    for (const auto& line : lines) {
        const auto& schedule = *line.schedule;
        const bool every = schedule.every.count() > 0;
        rows.push_back({shortened(terminal_text(schedule.name), name_columns),
                        shortened(terminal_text(schedule.queue), name_columns),
                        every ? "every " + conf::print_time(schedule.every) : schedule.cron.text,
                        every ? "-" : schedule.timezone, moment(line.last), moment(line.next),
                        line.next == 0 ? "-" : span_text(line.next - now)});
    }
    return table_text(rows, "llllllr");
}

}  // namespace worker::command
