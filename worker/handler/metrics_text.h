// worker/handler/metrics_text.h: families, samples and histograms in Prometheus's text format.
#pragma once

#include <spdlog/fmt/fmt.h>

#include <array>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

#include "ipc/histogram.h"

namespace worker::handler {

/// A label's value (backslash, quote and line end escaped).
[[nodiscard]] inline std::string escaped_label(std::string_view value) {
    std::string out;
    for (const char c : value) {
        if (c == '\\' || c == '"') out += '\\';
        if (c == '\n')
            out += "\\n";
        else
            out += c;
    }
    return out;
}

/// The sum of one histogram over all rows; buckets as they are kept, not cumulative.
struct HistogramSum {
    std::array<std::uint64_t, ipc::Histogram::buckets> counts{};
    std::uint64_t us = 0;

    void add(const ipc::Histogram& histogram) {
        for (std::size_t bucket = 0; bucket < counts.size(); ++bucket)
            counts[bucket] += histogram.count(bucket);
        us += histogram.sum_us();
    }
};

[[nodiscard]] inline double in_seconds(std::uint64_t us) { return static_cast<double>(us) / 1e6; }

class MetricsText {
 public:
    void family(std::string_view name, std::string_view type, std::string_view help) {
        name_ = name;
        fmt::format_to(std::back_inserter(text_), "# HELP {0} {2}\n# TYPE {0} {1}\n", name, type, help);
    }
    /// `labels`: inside the braces, or nothing.
    template <class Value>
    void sample(std::string_view labels, Value value, std::string_view suffix = {}) {
        if (labels.empty())
            fmt::format_to(std::back_inserter(text_), "{}{} {}\n", name_, suffix, value);
        else
            fmt::format_to(std::back_inserter(text_), "{}{}{{{}}} {}\n", name_, suffix, labels, value);
    }
    template <class Value>
    void single(std::string_view name, std::string_view type, std::string_view help, Value value) {
        family(name, type, help);
        sample({}, value);
    }
    void histogram(const std::string& labels, const HistogramSum& sum) {
        histogram(
            labels, sum.counts.size(), [&](std::size_t bucket) { return sum.counts[bucket]; },
            [](std::size_t bucket) { return in_seconds(ipc::Histogram::bound_us(bucket)); },
            in_seconds(sum.us));
    }
    void histogram(const std::string& labels, const ipc::SizeHistogram& sizes) {
        histogram(
            labels, ipc::SizeHistogram::buckets, [&](std::size_t bucket) { return sizes.count(bucket); },
            [](std::size_t bucket) { return ipc::SizeHistogram::bound(bucket) - 1; }, sizes.sum());
    }
    [[nodiscard]] std::string take() { return std::move(text_); }

 private:
    template <class Count, class Bound, class Sum>
    void histogram(const std::string& labels, std::size_t buckets, const Count& count, const Bound& bound,
                   Sum sum) {
        const auto joined = labels.empty() ? std::string() : labels + ",";
        std::uint64_t below = 0;
        for (std::size_t bucket = 0; bucket < buckets; ++bucket) {
            below += count(bucket);
            const auto upper = bucket + 1 == buckets ? std::string("+Inf") : fmt::format("{}", bound(bucket));
            sample(fmt::format("{}le=\"{}\"", joined, upper), below, "_bucket");
        }
        sample(labels, sum, "_sum");
        sample(labels, below, "_count");
    }

    std::string text_;
    std::string_view name_;
};

}  // namespace worker::handler
