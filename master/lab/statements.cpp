#include "master/lab/statements.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "conf/models.h"

namespace master::lab {
namespace {

// From which figures on something counts as seen. Chance alone does not reach them.
constexpr double much_longer = 3;  ///< times, of a latency
constexpr double clearly_longer = 2;
constexpr double nearly_in_step = 0.6;  ///< of the gain that N executors could bring
constexpr double no_gain = 1.25;
constexpr double cost_us_min = 10;

constexpr std::size_t cloud_points_max = 4000;

std::string ms(double value) {
    return value < 10 ? fmt::format("{:.1f} ms", value) : fmt::format("{:.0f} ms", value);
}

Statement begin(std::string id, std::string title, std::string claim) {
    Statement statement;
    statement.id = std::move(id);
    statement.title = std::move(title);
    statement.claim = std::move(claim);
    statement.sentence = "This was not measured.";
    return statement;
}

void judge(Statement& statement, bool shown, std::string sentence) {
    statement.verdict = shown ? Statement::Verdict::shown : Statement::Verdict::not_shown;
    statement.sentence = std::move(sentence);
}

/// Shares of requests, each nine further: how far out the slow ones are can be seen.
constexpr std::pair<double, std::string_view> shares[] = {
    {0.5, "50 %"}, {0.9, "90 %"}, {0.99, "99 %"}, {0.999, "99.9 %"}};
double share_at(double q) { return -std::log10(1 - q); }

/// As far as one of the curves goes.
void add_share_axis(Plot& plot) {
    double last = share_at(0.9);
    for (const Series& series : plot.series)
        if (!series.points.empty()) last = std::max(last, series.points.back().x);
    plot.x = {.label = "share of requests that were answered within that time", .from = 0, .to = last * 1.01};
    plot.x.ticks.emplace_back(0, "0");
    for (const auto& [q, text] : shares)
        if (share_at(q) <= *plot.x.to) plot.x.ticks.emplace_back(share_at(q), std::string(text));
}

/// Not beyond what so many requests can tell.
Series curve(std::string name, const Latencies& latencies, double unit_us) {
    Series series{.name = std::move(name)};
    const double count = std::max<double>(1, static_cast<double>(latencies.count()));
    const double last = std::min(share_at(0.999), std::log10(count));
    for (double at = 0; at <= last + 1e-9; at += 0.05)
        series.points.push_back(
            {at, static_cast<double>(latencies.quantile_us(1 - std::pow(10, -at))) / unit_us});
    return series;
}

/// Each request of a stream: when it was to be sent, and how long it took. Of very many every second, third
/// and so on.
Series cloud(std::string name, const TrialResult& trial, std::uint32_t stream) {
    Series series{.name = std::move(name), .mark = Series::Mark::cloud};
    for (const Sample& sample : trial.samples)
        if (sample.stream == stream && sample.end == Sample::End::answered)
            series.points.push_back(
                {static_cast<double>(sample.at_us) / 1e6, static_cast<double>(sample.latency_us) / 1000});
    const std::size_t step = series.points.size() / cloud_points_max + 1;
    for (std::size_t i = 0; i * step < series.points.size(); ++i) series.points[i] = series.points[i * step];
    series.points.resize((series.points.size() + step - 1) / step);
    return series;
}

Axis seconds_axis() { return {.label = "when the request was to be sent, s"}; }

Statement head_of_line(const Results& results) {
    auto statement = begin(
        "head_of_line", "Head-of-line blocking in `single`",
        fmt::format(
            "One loop that serves one request after another: while one client's request waits {:.0f} ms, "
            "the light requests of all others (1 ms each) stand behind it. With executors to spare they "
            "pass it by.",
            heavy_wait_ms));
    const auto *single = results.find("heavy/single"), *pool = results.find("heavy/pool"),
               *message = results.find("heavy/message");
    if (single == nullptr || pool == nullptr || message == nullptr) return statement;
    const auto &alone = single->stream("light"), &pooled = pool->stream("light"),
               &messages = message->stream("light");
    judge(
        statement,
        alone.ms(0.95) >= much_longer * pooled.ms(0.95) && alone.ms(0.95) >= much_longer * messages.ms(0.95),
        fmt::format(
            "Of the light requests, 95 of 100 were answered within {} in `single`, {} in `pool` and {} in "
            "`message`; the slowest took {}, {} and {}.",
            ms(alone.ms(0.95)), ms(pooled.ms(0.95)), ms(messages.ms(0.95)), ms(alone.ms(1)), ms(pooled.ms(1)),
            ms(messages.ms(1))));
    Plot clouds{.title = "Light requests over time, beside a heavy client",
                .x = seconds_axis(),
                .y = {.label = "latency, ms (logarithmic)", .log = true}};
    clouds.series.push_back(cloud("single", *single, 1));
    clouds.series.push_back(cloud("pool", *pool, 1));
    Plot curves{.title = "Light requests by share", .y = {.label = "latency, ms (logarithmic)", .log = true}};
    for (const auto& named : conf::models())
        if (const auto* one = results.find(fmt::format("heavy/{}", named.name)))
            curves.series.push_back(curve(std::string(named.name), one->stream("light").latencies, 1000));
    add_share_axis(curves);
    statement.plots = {std::move(clouds), std::move(curves)};
    return statement;
}

/// Middle latency of the requests that were to be sent in that part of the time, in ms.
double part_ms(const TrialResult& trial, double from, double to) {
    Latencies part;
    for (const Sample& sample : trial.samples) {
        const double at = static_cast<double>(sample.at_us) / 1e6 / trial.trial.load.seconds;
        if (at >= from && at < to) part.add(sample.latency_us);
    }
    return static_cast<double>(part.quantile_us(0.5)) / 1000;
}

Statement growing(const Results& results) {
    auto statement = begin(
        "growing_latency", "Latency grows with the load of one worker",
        fmt::format(
            "One worker whose handler waits {:.0f} ms can answer {:.0f} requests a second. The nearer the "
            "load comes, the longer requests wait for each other; past it, each waits longer than the one "
            "before, for as long as it lasts. {} executors have room for the same load.",
            load_wait_ms, 1000 / load_wait_ms, many_loops));
    std::map<int, const TrialResult*> one, many;
    for (const int percent : {30, 60, 75, 90, 130}) {
        if (const auto* found = results.find(fmt::format("load/one/{}", percent))) one[percent] = found;
        if (const auto* found = results.find(fmt::format("load/many/{}", percent))) many[percent] = found;
    }
    if (one.count(30) == 0 || one.count(130) == 0) return statement;
    const auto line = [](std::string name, const auto& trials, double q) {
        Series series{.name = std::move(name)};
        for (const auto& [percent, trial] : trials)
            series.points.push_back({static_cast<double>(percent), trial->all().ms(q)});
        return series;
    };
    const double early = part_ms(*one[130], 0, 0.25), late = part_ms(*one[130], 0.75, 1);
    const double calm = one[30]->all().ms(0.99);
    const auto near = std::prev(one.find(130));  // the heaviest load that one worker can bear
    std::string sentence =
        fmt::format("At 30 % of what one worker can do, 99 of 100 requests took at most {}", ms(calm));
    if (near->first > 30)
        sentence += fmt::format("; at {} % it was {}", near->first, ms(near->second->all().ms(0.99)));
    sentence += fmt::format(
        "; at 130 % half of the requests took more than {} in the first quarter of the time and more than {} "
        "in the "
        "last.",
        ms(early), ms(late));
    if (many.count(130) != 0)
        sentence += fmt::format(" With {} executors, 99 of 100 took at most {} there.", many_loops,
                                ms(many[130]->all().ms(0.99)));
    if (const auto open = one[130]->all().unanswered; open > 0)
        sentence += fmt::format(" {} request{} of the one worker had no answer when nobody waited any more.",
                                open, open == 1 ? "" : "s");
    const bool rises = near->first == 30 || near->second->all().ms(0.99) >= clearly_longer * calm;
    judge(statement, rises && late >= clearly_longer * early && late >= much_longer * load_wait_ms, sentence);
    Plot loads{.title = "Latency by load",
               .x = {.label = "load, % of what one worker can do", .from = 0, .to = 140},
               .y = {.label = "latency, ms (logarithmic)", .log = true}};
    loads.series = {line("one worker, 50 %", one, 0.5), line("one worker, 99 %", one, 0.99),
                    line(fmt::format("{} executors, 99 %", many_loops), many, 0.99)};
    Plot time{.title = "More than one worker can do: each request waits longer than the one before",
              .x = seconds_axis(),
              .y = {.label = "latency, ms"}};
    time.series.push_back(cloud("one worker, 130 %", *one[130], 0));
    if (many.count(130) != 0)
        time.series.push_back(cloud(fmt::format("{} executors, the same load", many_loops), *many[130], 0));
    statement.plots = {std::move(loads), std::move(time)};
    return statement;
}

std::map<std::uint32_t, double> throughputs(const Results& results, std::string_view what) {
    std::map<std::uint32_t, double> all;
    const std::string begin = fmt::format("scale/{}/", what);
    for (const TrialResult& trial : results.all())
        if (trial.trial.key.starts_with(begin))
            all[static_cast<std::uint32_t>(std::stoul(trial.trial.key.substr(begin.size())))] =
                trial.all().per_second;
    return all;
}

Series scale_line(std::string name, const std::map<std::uint32_t, double>& all) {
    Series series{.name = std::move(name)};
    for (const auto& [executors, per_second] : all)
        series.points.push_back({static_cast<double>(executors), per_second});
    return series;
}

Statement scaling(const Results& results, std::uint32_t cpus) {
    auto statement = begin(
        "scaling", "What N executors bring",
        fmt::format(
            "More is asked than can be done. Where requests wait ({:.0f} ms each), N executors answer N "
            "times "
            "as many; where they compute ({:.0f} ms each), more executors than processors bring nothing.",
            scale_wait_ms, scale_cpu_ms));
    const auto waits = throughputs(results, "wait"), computes = throughputs(results, "cpu");
    if (waits.count(1) == 0 || waits.count(8) == 0 || computes.size() < 2) return statement;
    const double one = std::max(waits.at(1), 1e-3), gain = waits.at(8) / one;
    const auto& [most, most_rate] = *computes.rbegin();
    auto enough = computes.lower_bound(cpus);  // the fewest that are as many as there are processors
    if (enough == computes.end()) --enough;
    const bool bounded = most_rate <= no_gain * enough->second;
    judge(statement, gain >= nearly_in_step * 8 && bounded,
          fmt::format(
              "Waiting: one executor answered {:.0f} requests a second, eight {:.0f}, {:.1f} times as many. "
              "Computing: one answered {:.0f}, {} answered {:.0f} and {} answered {:.0f}; this machine has "
              "{} processor{}, "
              "which the "
              "generator and whatever else runs need too.",
              one, waits.at(8), gain, computes.at(1), enough->first, enough->second, most, most_rate, cpus,
              cpus == 1 ? "" : "s"));
    Plot plot{.title = "Answers by executors",
              .x = {.label = "executors (logarithmic)", .log = true},
              .y = {.label = "answers a second (logarithmic)", .log = true}};
    std::set<std::uint32_t> marks;
    for (const auto& [executors, rate] : waits) marks.insert(executors);
    for (const auto& [executors, rate] : computes) marks.insert(executors);
    for (const auto executors : marks) plot.x.ticks.emplace_back(executors, std::to_string(executors));
    plot.x.from = 0.9;
    Series ideal{.name = "N times one", .dashed = true};
    for (const auto& [executors, rate] : waits)
        ideal.points.push_back({static_cast<double>(executors), one * executors});
    plot.series = {scale_line(fmt::format("waiting {:.0f} ms", scale_wait_ms), waits),
                   scale_line(fmt::format("computing {:.0f} ms", scale_cpu_ms), computes), std::move(ideal)};
    statement.plots = {std::move(plot)};
    return statement;
}

/// The latency of nine in ten requests of each light client, in ms, by client.
std::map<std::uint32_t, double> by_client(const TrialResult& trial, std::uint32_t stream) {
    std::map<std::uint32_t, Latencies> clients;
    for (const Sample& sample : trial.samples)
        if (sample.stream == stream) clients[sample.client].add(sample.latency_us);
    std::map<std::uint32_t, double> all;
    for (const auto& [client, latencies] : clients)
        all[client] = static_cast<double>(latencies.quantile_us(0.9)) / 1000;
    return all;
}

/// Of the clients, from the best to the worst.
double client_quantile(const std::map<std::uint32_t, double>& clients, double q) {
    std::vector<double> all;
    all.reserve(clients.size());
    for (const auto& [client, value] : clients) all.push_back(value);
    std::sort(all.begin(), all.end());
    return all.empty() ? 0 : all[static_cast<std::size_t>(q * static_cast<double>(all.size() - 1))];
}

Statement balance(const Results& results) {
    auto statement = begin(
        "balance", "Imbalance of `readers`, balance of `message`",
        fmt::format(
            "{} loops and 32 clients, of which one keeps its loop busy for 20 ms forty times a second. In "
            "`readers` a connection stays with its loop: those who share it with the busy one wait, and the "
            "other loops do not help. In `message` every request goes to a thread that is idle, of as many. "
            "The "
            "busy client is number 0, and in `readers` every {}th client has the same loop.",
            skew_loops, skew_loops));
    const auto *readers = results.find("skew/readers"), *message = results.find("skew/message");
    if (readers == nullptr || message == nullptr) return statement;
    const auto of_readers = by_client(*readers, 1), of_message = by_client(*message, 1);
    const double slow_readers = client_quantile(of_readers, 0.9),
                 usual_readers = client_quantile(of_readers, 0.5);
    const double slow_message = client_quantile(of_message, 0.9),
                 usual_message = client_quantile(of_message, 0.5);
    const double skew_of_readers = slow_readers / std::max(usual_readers, 0.001);
    const double skew_of_message = slow_message / std::max(usual_message, 0.001);
    judge(statement, skew_of_readers >= much_longer && skew_of_readers >= clearly_longer * skew_of_message,
          fmt::format(
              "Nine of ten requests of a light client in the middle took at most {} in `readers` and {} in "
              "`message`; of a client that fared ill (the worst tenth), {} in `readers`, {:.1f} times as "
              "long, and {} in `message`, {:.1f} times.",
              ms(usual_readers), ms(usual_message), ms(slow_readers), skew_of_readers, ms(slow_message),
              skew_of_message));
    Plot plot{.title = "Each light client, by the order in which it connected",
              .x = {.label = "client", .from = 0, .to = 32},
              .y = {.label = "latency of 90 % of its requests, ms (log.)", .log = true}};
    for (const auto& [name, clients] :
         {std::pair{"readers", &of_readers}, std::pair{"message", &of_message}}) {
        Series series{.name = name, .mark = Series::Mark::dots};
        for (const auto& [client, value] : *clients)
            series.points.push_back({static_cast<double>(client), value});
        plot.series.push_back(std::move(series));
    }
    for (std::uint32_t client = 0; client <= 32; client += skew_loops)
        plot.x.ticks.emplace_back(client, std::to_string(client));
    statement.plots = {std::move(plot)};
    return statement;
}

Statement freezing(const Results& results) {
    auto statement = begin(
        "freezing", "A computation freezes a loop; a pool's does not",
        fmt::format(
            "One loop answers light requests. Now and then somebody asks for a computation of {:.0f} ms: on "
            "the loop everybody waits for it, in a pool of processes nobody does.",
            freeze_cpu_ms));
    const auto *loop = results.find("freeze/inline"), *pool = results.find("freeze/processes");
    if (loop == nullptr || pool == nullptr) return statement;
    const auto &frozen = loop->stream("light"), &free = pool->stream("light");
    const auto* threads = results.find("freeze/threads");
    std::string sentence = fmt::format(
        "With computations on the loop, 95 of 100 light requests were answered within {}, and the slowest "
        "took {}; "
        "with computations in a pool of processes it was {} and {}",
        ms(frozen.ms(0.95)), ms(frozen.ms(1)), ms(free.ms(0.95)), ms(free.ms(1)));
    if (threads != nullptr)
        sentence += fmt::format(", in a pool of threads {} and {}", ms(threads->stream("light").ms(0.95)),
                                ms(threads->stream("light").ms(1)));
    sentence += fmt::format(". Half of the computations took at most {} on the loop and {} in processes.",
                            ms(loop->stream("crunch").ms(0.5)), ms(pool->stream("crunch").ms(0.5)));
    judge(statement, frozen.ms(0.95) >= freeze_cpu_ms / 4 && frozen.ms(0.95) >= much_longer * free.ms(0.95),
          sentence);
    Plot plot{.title = "Light requests over time, beside computations",
              .x = seconds_axis(),
              .y = {.label = "latency, ms (logarithmic)", .log = true}};
    plot.series = {cloud("computations on the loop", *loop, 0), cloud("in a pool of processes", *pool, 0)};
    if (threads != nullptr) plot.series.push_back(cloud("in a pool of threads", *threads, 0));
    statement.plots = {std::move(plot)};
    return statement;
}

Statement tiny_tasks(const Results& results) {
    auto statement = begin(
        "ipc_cost", "What processes cost where tasks are tiny",
        "Tasks that do nothing, one at a time: what is left is the way there and back. To a thread it is two "
        "handovers; to a process of a pool a connection, two copies and two switches. A task that computes "
        "hardly notices it.");
    const auto *here = results.find("tiny/inline"), *threads = results.find("tiny/threads"),
               *processes = results.find("tiny/processes");
    if (here == nullptr || threads == nullptr || processes == nullptr) return statement;
    const auto half_us = [](const TrialResult& trial) {
        return static_cast<double>(trial.all().latencies.quantile_us(0.5));
    };
    const double cost = half_us(*processes) - half_us(*here);
    const auto* pooled = results.find("tiny/thread-pool");
    std::string sentence =
        fmt::format("Half of the requests took at most {:.0f} µs inline, {:.0f} µs by a thread",
                    half_us(*here), half_us(*threads));
    if (pooled != nullptr)
        sentence += fmt::format(" of `message`, {:.0f} µs by one of a pool", half_us(*pooled));
    sentence += fmt::format(" and {:.0f} µs by a process: a process costs {:.0f} µs a task.",
                            half_us(*processes), cost);
    const auto *task_here = results.find("task/inline"), *task_there = results.find("task/processes");
    if (task_here != nullptr && task_there != nullptr)
        sentence += fmt::format(" A task that computes for 2 ms took {} inline and {} by a process.",
                                ms(half_us(*task_here) / 1000), ms(half_us(*task_there) / 1000));
    judge(statement, cost >= cost_us_min, sentence);
    Plot plot{.title = "Tasks that do nothing, by share",
              .y = {.label = "latency, µs (logarithmic)", .log = true}};
    plot.series = {curve("inline", here->all().latencies, 1),
                   curve("a thread of message", threads->all().latencies, 1),
                   curve("a process of a pool", processes->all().latencies, 1)};
    if (pooled != nullptr) plot.series.push_back(curve("a thread of a pool", pooled->all().latencies, 1));
    add_share_axis(plot);
    statement.plots = {std::move(plot)};
    return statement;
}

}  // namespace

std::string_view text(Statement::Verdict verdict) noexcept {
    switch (verdict) {
        case Statement::Verdict::shown: return "shown on this machine";
        case Statement::Verdict::not_shown: return "not shown on this machine";
        case Statement::Verdict::not_measured: return "not measured";
    }
    return {};
}

std::vector<Statement> statements(const Results& results, std::uint32_t cpus) {
    return {head_of_line(results), growing(results),  scaling(results, cpus),
            balance(results),      freezing(results), tiny_tasks(results)};
}

Plot models_plot(const Results& results, const Workload& workload) {
    Plot plot{.title = fmt::format("{}: from the middle to the slowest of 100", workload.title),
              .x = {.label = "model", .from = -0.5},
              .y = {.label = "latency, ms (logarithmic)", .log = true}};
    Series ranges{.name = "50 % (dot) to 99 % (bar) of requests", .mark = Series::Mark::range};
    for (const auto& named : conf::models()) {
        const auto* trial = results.find(fmt::format("{}/{}", workload.name, named.name));
        const auto at = static_cast<double>(plot.x.ticks.size());
        plot.x.ticks.emplace_back(at, std::string(named.name));
        if (trial == nullptr) continue;
        const auto& judged = trial->stream(workload.judged);
        ranges.points.push_back({at, judged.ms(0.5), judged.ms(0.99)});
    }
    plot.x.to = static_cast<double>(plot.x.ticks.size()) - 0.5;
    plot.series.push_back(std::move(ranges));
    return plot;
}

}  // namespace master::lab
