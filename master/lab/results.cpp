#include "master/lab/results.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace master::lab {
namespace {

void count(StreamResult& stream, const Sample& sample, double seconds) {
    ++stream.asked;
    switch (sample.end) {
        case Sample::End::refused: ++stream.refused; return;
        case Sample::End::failed: ++stream.failed; return;
        case Sample::End::unanswered: ++stream.unanswered; break;
        case Sample::End::answered:
            ++stream.answered;
            if (static_cast<double>(sample.at_us + sample.latency_us) <= seconds * 1e6)
                stream.per_second += 1 / seconds;
            break;
    }
    stream.latencies.add(sample.latency_us);
}

}  // namespace

TrialResult digest(const Trial& trial, Outcome outcome) {
    TrialResult result{trial, {}, std::move(outcome.samples), std::move(outcome.lateness)};
    for (const Stream& stream : trial.load.streams) result.streams.emplace_back().name = stream.name;
    std::stable_sort(result.samples.begin(), result.samples.end(),
                     [](const Sample& a, const Sample& b) { return a.at_us < b.at_us; });
    for (const Sample& sample : result.samples)
        count(result.streams.at(sample.stream), sample, trial.load.seconds);
    return result;
}

const StreamResult& TrialResult::stream(std::string_view name) const {
    const auto found = std::find_if(streams.begin(), streams.end(),
                                    [name](const StreamResult& one) { return one.name == name; });
    if (found == streams.end()) std::abort();  // a statement asks for what its trial has not
    return *found;
}

StreamResult TrialResult::all() const {
    StreamResult sum;
    sum.name = "all";
    for (const StreamResult& one : streams) {
        sum.asked += one.asked;
        sum.answered += one.answered;
        sum.refused += one.refused;
        sum.failed += one.failed;
        sum.unanswered += one.unanswered;
        sum.per_second += one.per_second;
        sum.latencies.add(one.latencies);
    }
    return sum;
}

const TrialResult* Results::find(std::string_view key) const noexcept {
    const auto found = std::find_if(all_.begin(), all_.end(),
                                    [key](const TrialResult& one) { return one.trial.key == key; });
    return found == all_.end() ? nullptr : &*found;
}

}  // namespace master::lab
