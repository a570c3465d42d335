#include "master/lab/report.h"

#include <stdlib.h>
#include <sys/utsname.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include <fmt/format.h>

#include "conf/models.h"
#include "master/lab/text.h"

namespace master::lab {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view style = R"(<style>
:root { color-scheme: light dark; --line: #8885; --shown: #0a7d4f; --not: #b3541e; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: .2rem; } h2 { margin-top: 2.5rem; border-top: 1px solid var(--line); padding-top: 1.2rem; }
figure { margin: 1rem 0; } figcaption { font-weight: 600; font-size: .9rem; margin-bottom: .3rem; }
svg { width: 100%; max-width: 52rem; height: auto; display: block; }
table { border-collapse: collapse; font-size: .85rem; width: 100%; margin: .8rem 0; }
th, td { padding: .2rem .5rem; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; }
.verdict { display: inline-block; color: #fff; border-radius: .3rem; padding: 0 .5rem; font-size: .8rem; font-weight: 600; }
.shown { background: var(--shown); } .not_shown, .not_measured { background: var(--not); }
.measured { border-left: 4px solid var(--line); padding-left: .8rem; }
.small { font-size: .85rem; opacity: .8; } pre { font-size: .78rem; overflow-x: auto; }
ol li { margin-bottom: .3rem; }
</style>
)";

std::string_view id_of(Statement::Verdict verdict) {
    switch (verdict) {
        case Statement::Verdict::shown: return "shown";
        case Statement::Verdict::not_shown: return "not_shown";
        case Statement::Verdict::not_measured: return "not_measured";
    }
    return {};
}

/// Text with `words` in it that are code.
std::string prose(std::string_view text) {
    std::string out;
    bool code = false;
    for (const char c : escaped(text)) {
        if (c != '`') {
            out += c;
            continue;
        }
        out += code ? "</code>" : "<code>";
        code = !code;
    }
    return out;
}

void append_figure(std::string& out, const Plot& plot) {
    append(out, "<figure><figcaption>{}</figcaption>\n{}</figure>\n", prose(plot.title), to_svg(plot));
}

void append_statement(std::string& out, const Statement& statement, std::size_t number) {
    append(out,
           "<h2 id=\"{}\">{}. {} <span class=\"verdict {}\">{}</span></h2>\n<p>{}</p>\n<p "
           "class=\"measured\"><strong>Measured:</strong> {}</p>\n",
           statement.id, number, prose(statement.title), id_of(statement.verdict), text(statement.verdict),
           prose(statement.claim), prose(statement.sentence));
    for (const Plot& plot : statement.plots) append_figure(out, plot);
}

void append_row(std::string& out, std::string_view name, const StreamResult& stream) {
    append(out,
           "<tr><td>{}</td><td>{}</td><td>{:.0f}</td><td>{:.1f}</td><td>{:.1f}</td><td>{:.1f}</"
           "td><td>{:.1f}</td>"
           "<td>{}</td><td>{}</td></tr>\n",
           escaped(name), stream.asked, stream.per_second, stream.ms(0.5), stream.ms(0.9), stream.ms(0.99),
           stream.ms(1), stream.refused + stream.failed, stream.unanswered);
}

void append_table_head(std::string& out, std::string_view first) {
    append(
        out,
        "<table><thead><tr><th>{}</th><th>requests</th><th>answers/s</th><th>50 % ms</th><th>90 % "
        "ms</th><th>99 % ms</th><th>slowest ms</th><th>refused or failed</th><th>unanswered</th></tr></thead>"
        "<tbody>\n",
        first);
}

void append_models(std::string& out, const Results& results) {
    out +=
        "<h2 id=\"models\">The models side by side</h2>\n<p>Each model with its defaults on this machine, "
        "each load "
        "the same for all of them. What a model cannot bear it answers ever later; requests that had no "
        "answer "
        "when the load was over count with the time that was waited for them.</p>\n";
    for (const Workload& workload : workloads()) {
        if (results.find(fmt::format("{}/{}", workload.name, conf::models().front().name)) == nullptr)
            continue;
        append(out, "<h3>{}</h3>\n<p>{}</p>\n", escaped(workload.title), prose(workload.about));
        append_figure(out, models_plot(results, workload));
        append_table_head(out, "model");
        for (const auto& named : conf::models())
            if (const auto* trial = results.find(fmt::format("{}/{}", workload.name, named.name)))
                append_row(out, named.name, trial->stream(workload.judged));
        out += "</tbody></table>\n";
    }
}

Latencies lateness_of(const Results& results) {
    Latencies all;
    for (const TrialResult& trial : results.all()) all.add(trial.lateness);
    return all;
}

void append_method(std::string& out, const Results& results) {
    const Latencies late = lateness_of(results);
    append(
        out,
        "<h2 id=\"method\">How it was measured</h2>\n<p>Each trial has a server of its own, started for it "
        "and "
        "ended after it, and clients that connect and ask once before time counts. All times at which "
        "requests "
        "are to be sent are fixed before the first one is (an open loop, mostly at random: Poisson "
        "arrivals), and "
        "no request waits for the answer to another one, but where all clients are busy. Latency counts from "
        "the "
        "time fixed, so nothing is left out that a client would have waited (\"coordinated omission\").</p>\n"
        "<p>The generator shares the processors with the server. It sent {} requests for which a client was "
        "free; "
        "half of them at most {} µs after their time, 99 of 100 at most {:.1f} ms. Latencies have this in "
        "them.</p>\n",
        late.count(), late.quantile_us(0.5), static_cast<double>(late.quantile_us(0.99)) / 1000);
    out += "<details><summary>All trials, with figures and configurations</summary>\n";
    for (const TrialResult& trial : results.all()) {
        append(out, "<h4>{} <span class=\"small\">({})</span></h4>\n", escaped(trial.trial.title),
               escaped(trial.trial.key));
        append_table_head(out, "stream");
        for (const StreamResult& stream : trial.streams) append_row(out, stream.name, stream);
        append(out, "</tbody></table>\n<pre>[execution]\n{}{}", escaped(trial.trial.setting.execution),
               escaped(trial.trial.setting.sections));
        for (const Stream& stream : trial.trial.load.streams)
            append(out, "; {}: {} client{}, {:.4g} requests a second for {:.2f} s, {}\n",
                   escaped(stream.name), stream.clients, stream.clients == 1 ? "" : "s", stream.per_second,
                   trial.trial.load.seconds, stream.evenly ? "evenly" : "at random");
        out += "</pre>\n";
    }
    out += "</details>\n";
}

Json stream_json(const StreamResult& stream) {
    return {{"name", stream.name},
            {"asked", stream.asked},
            {"answered", stream.answered},
            {"refused", stream.refused},
            {"failed", stream.failed},
            {"unanswered", stream.unanswered},
            {"answers_per_second", stream.per_second},
            {"latency_us",
             {{"p50", stream.latencies.quantile_us(0.5)},
              {"p90", stream.latencies.quantile_us(0.9)},
              {"p99", stream.latencies.quantile_us(0.99)},
              {"p999", stream.latencies.quantile_us(0.999)},
              {"max", stream.latencies.max_us()},
              {"mean", stream.latencies.mean_us()}}}};
}

}  // namespace

Machine this_machine() {
    Machine machine;
    machine.version = REEVE_VERSION;
    utsname system{};
    if (::uname(&system) == 0) machine.kernel = fmt::format("{} {}", system.sysname, system.release);
    std::ifstream processors("/proc/cpuinfo");
    for (std::string line; machine.processor.empty() && std::getline(processors, line);)
        if (line.starts_with("model name") && line.find(": ") != std::string::npos)
            machine.processor = line.substr(line.find(": ") + 2);
    if (machine.processor.empty()) machine.processor = system.machine;
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    std::array<char, 64> text{};
    if (::gmtime_r(&now, &parts) != nullptr &&
        std::strftime(text.data(), text.size(), "%F %R UTC", &parts) > 0)
        machine.when = text.data();
    if (::getloadavg(&machine.load, 1) < 1) machine.load = 0;
    return machine;
}

std::string report(const Machine& machine, const Results& results, const std::vector<Statement>& statements,
                   double seconds) {
    std::string out =
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
        "content=\"width=device-width\"><title>reeve lab</title>\n";
    out += style;
    append(out,
           "</head><body>\n<h1>reeve lab</h1>\n<p class=\"small\">Execution models, measured on {} with {} "
           "processor{}, {}, by reeve {} on {}, in {:.0f} seconds. Load of the machine before: {:.1f}.</p>\n",
           escaped(machine.processor), machine.cpus, machine.cpus == 1 ? "" : "s", escaped(machine.kernel),
           escaped(machine.version), escaped(machine.when), seconds, machine.load);
    if (machine.load > machine.cpus)
        out +=
            "<p><strong>This machine had other things to do than there are processors: take the figures with "
            "caution.</strong></p>\n";
    out += "<ol>\n";
    for (const Statement& statement : statements)
        append(out, "<li><a href=\"#{}\">{}</a> <span class=\"verdict {}\">{}</span></li>\n", statement.id,
               prose(statement.title), id_of(statement.verdict), text(statement.verdict));
    out +=
        "</ol>\n<p>Below: <a href=\"#models\">the models side by side</a>, <a href=\"#method\">how it was "
        "measured</a>.</p>\n";
    std::size_t number = 0;
    for (const Statement& statement : statements) append_statement(out, statement, ++number);
    append_models(out, results);
    append_method(out, results);
    out += "</body></html>\n";
    return out;
}

std::string report_json(const Machine& machine, const Results& results,
                        const std::vector<Statement>& statements, double seconds) {
    Json told = Json::array(), trials = Json::array();
    for (const Statement& statement : statements)
        told.push_back({{"id", statement.id},
                        {"title", statement.title},
                        {"verdict", id_of(statement.verdict)},
                        {"measured", statement.sentence}});
    for (const TrialResult& trial : results.all()) {
        Json streams = Json::array();
        for (const StreamResult& stream : trial.streams) streams.push_back(stream_json(stream));
        trials.push_back(
            {{"key", trial.trial.key},
             {"title", trial.trial.title},
             {"seconds", trial.trial.load.seconds},
             {"streams", std::move(streams)},
             {"generator_late_us",
              {{"p50", trial.lateness.quantile_us(0.5)}, {"p99", trial.lateness.quantile_us(0.99)}}}});
    }
    const Json all{{"version", machine.version},
                   {"when", machine.when},
                   {"machine",
                    {{"processor", machine.processor},
                     {"processors", machine.cpus},
                     {"kernel", machine.kernel},
                     {"load", machine.load}}},
                   {"seconds", seconds},
                   {"statements", std::move(told)},
                   {"trials", std::move(trials)}};
    return all.dump(2) + "\n";
}

}  // namespace master::lab
