// tests/master/lab/statements_test.cpp: verdicts follow from figures, whatever these are.
#include "master/lab/statements.h"

#include <algorithm>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include <fmt/format.h>

#include "master/lab/report.h"

using namespace master::lab;
using Verdict = Statement::Verdict;

namespace {

/// The latency of a request, in ms, by its trial, stream, client and time from 0 to 1.
using Latency =
    std::function<double(const std::string& key, const std::string& stream, std::uint32_t client, double at)>;

/// All trials as they would be made, with such latencies.
Results made(const Latency& latency, const Extent& extent = {.seconds = 120, .cpus = 2}) {
    Results results;
    for (const Trial& trial : trials(extent)) {
        Outcome outcome;
        const auto groups = groups_of(trial.load);
        for (const Arrival& arrival : schedule(trial.load, 5)) {
            const Stream& stream = trial.load.streams[arrival.stream];
            const double at = static_cast<double>(arrival.at_us) / 1e6 / trial.load.seconds;
            const auto client = groups[arrival.group].first;
            const double ms = latency(trial.key, stream.name, client, at);
            outcome.samples.push_back({arrival.at_us, static_cast<std::uint64_t>(ms * 1000), arrival.stream,
                                       client, ms < 1e6 ? Sample::End::answered : Sample::End::unanswered});
        }
        results.add(digest(trial, std::move(outcome)));
    }
    return results;
}

/// As theory has it.
double expected(const std::string& key, const std::string& stream, std::uint32_t client, double at) {
    if (key == "heavy/single") return at < 0.5 ? 1 : 150;
    if (key == "load/one/75" || key == "load/one/90") return 40;
    if (key == "load/one/130") return 5 + 400 * at;
    if (key.starts_with("scale/wait/")) return at < std::stoi(key.substr(11)) / 16.0 ? 20 : 1e5;
    if (key.starts_with("scale/cpu/")) return at < std::min(2, std::stoi(key.substr(10))) / 4.0 ? 4 : 1e5;
    if (key == "skew/readers" && stream == "light") return client % 4 == 0 ? 20 : 1;
    if (key == "freeze/inline" && stream == "light") return at < 0.7 ? 0.1 : 100;
    if (key == "tiny/processes") return 0.2;
    return key.starts_with("tiny") ? 0.1 : 1;
}

std::map<std::string, Statement> by_id(const Results& results) {
    std::map<std::string, Statement> all;
    for (auto& statement : statements(results, 2)) all[statement.id] = statement;
    CHECK(all.size() == 6);
    return all;
}

}  // namespace

TEST_CASE("what theory expects is shown, with its figures", "[lab]") {
    const auto all = by_id(made(expected));
    for (const auto& [id, statement] : all) {
        CAPTURE(id, statement.sentence);
        CHECK(statement.verdict == Verdict::shown);
        CHECK_FALSE(statement.plots.empty());
    }
    CHECK(all.at("head_of_line").sentence.find("within 150 ms in `single`, 1.0 ms in `pool`") !=
          std::string::npos);
    CHECK(all.at("balance").sentence.find("took at most 1.0 ms in `readers` and 1.0 ms in `message`") !=
          std::string::npos);
    CHECK(all.at("balance").sentence.find("20 ms in `readers`, 2") != std::string::npos);
    CHECK(all.at("ipc_cost").sentence.find("a process costs 100 µs a task") != std::string::npos);
}

TEST_CASE("where everything is equal nothing is shown", "[lab]") {
    for (const auto& [id, statement] :
         by_id(made([](const std::string&, const std::string&, std::uint32_t, double) { return 5.0; }))) {
        CAPTURE(id, statement.sentence);
        CHECK(statement.verdict == Verdict::not_shown);
    }
}

TEST_CASE("each statement depends on figures of its own", "[lab]") {
    const std::map<std::string, std::string> opposite{
        {"head_of_line", "heavy/single"}, {"growing_latency", "load/one/130"}, {"balance", "skew/readers"},
        {"freezing", "freeze/inline"},    {"ipc_cost", "tiny/processes"},      {"scaling", "scale/wait/8"}};
    for (const auto& [id, trial] : opposite) {
        const auto all = by_id(made([&trial = trial](const std::string& key, const std::string& stream,
                                                     std::uint32_t client, double at) {
            return key == trial ? (trial == "scale/wait/8" ? 1e5 : 0.1) : expected(key, stream, client, at);
        }));
        for (const auto& [other, statement] : all) {
            CAPTURE(id, other, statement.sentence);
            CHECK((statement.verdict == Verdict::shown) == (other != id));
        }
    }
}

TEST_CASE("more executors than processors that do bring more are not what was said", "[lab]") {
    const auto all =
        by_id(made([](const std::string& key, const std::string& stream, std::uint32_t client, double at) {
            if (key.starts_with("scale/cpu/")) return at < std::stoi(key.substr(10)) / 8.0 ? 4.0 : 1e5;
            return expected(key, stream, client, at);
        }));
    CHECK(all.at("scaling").verdict == Verdict::not_shown);
}

TEST_CASE("what was not measured is not judged", "[lab]") {
    for (const auto& statement : statements({}, 2)) {
        CHECK(statement.verdict == Verdict::not_measured);
        CHECK(statement.sentence == "This was not measured.");
    }
}

TEST_CASE("a quick lab judges all statements too", "[lab]") {
    for (const auto& [id, statement] : by_id(made(expected, {.quick = true, .cpus = 2}))) {
        CAPTURE(id, statement.sentence);
        CHECK(statement.verdict == Verdict::shown);
    }
}

TEST_CASE("figures count what was answered in time, and leave out what was refused", "[lab]") {
    Trial trial{"k", "t", {}, {{{.name = "a", .per_second = 1}}, 2}};
    Outcome outcome;
    using End = Sample::End;
    outcome.samples = {{1'000'000, 10, 0, 0, End::answered},
                       {0, 500'000, 0, 0, End::answered},
                       {1'900'000, 200'000, 0, 0, End::answered},
                       {0, 5, 0, 0, End::refused},
                       {0, 5, 0, 0, End::failed},
                       {0, 3'000'000, 0, 0, End::unanswered}};
    const auto result = digest(trial, std::move(outcome));
    const auto& stream = result.stream("a");
    CHECK((stream.asked == 6 && stream.answered == 3 && stream.refused == 1));
    CHECK((stream.failed == 1 && stream.unanswered == 1));
    CHECK(stream.per_second == Approx(1));
    CHECK(stream.latencies.count() == 4);
    CHECK(stream.latencies.max_us() == 3'000'000);
    CHECK(std::is_sorted(result.samples.begin(), result.samples.end(),
                         [](const Sample& a, const Sample& b) { return a.at_us < b.at_us; }));
}

TEST_CASE("the report needs nothing but itself, and has every statement with a figure", "[lab]") {
    const auto results = made(expected);
    const auto all = statements(results, 2);
    const auto page = report(this_machine(), results, all, 120);
    for (const char* outside : {"src=", "@import", "url(", "<script", "href=\"http"})
        CHECK(page.find(outside) == std::string::npos);
    for (const char* no_number : {"\"nan", " nan", ">nan", "inf\"", " inf "})
        CHECK(page.find(no_number) == std::string::npos);
    std::size_t figures = 0;
    for (auto at = page.find("<svg"); at != std::string::npos; at = page.find("<svg", at + 1)) ++figures;
    std::size_t plots = workloads().size();
    for (const auto& statement : all) {
        plots += statement.plots.size();
        CHECK(page.find("id=\"" + statement.id + "\"") != std::string::npos);
    }
    CHECK(figures == plots);
    const auto json = nlohmann::json::parse(report_json(this_machine(), results, all, 120));
    CHECK(json["statements"].size() == 6);
    CHECK(json["statements"][0]["verdict"] == "shown");
    CHECK(json["trials"].size() == results.all().size());
    CHECK(json["trials"][0]["streams"][0]["latency_us"]["p50"].get<int>() > 0);
}

TEST_CASE("a report of nothing is a page too", "[lab]") {
    const auto page = report(this_machine(), {}, statements({}, 1), 0);
    CHECK(page.find("not measured") != std::string::npos);
    CHECK(page.ends_with("</html>\n"));
}
