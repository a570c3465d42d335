// master/lab/results.h: what was measured, by trial and stream.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "master/lab/generator.h"
#include "master/lab/trials.h"

namespace master::lab {

/// Of one stream of a trial. Latencies are of requests that were answered, and of those that nobody answered
/// in time, as far as was waited for them.
struct StreamResult {
    std::string name;
    std::uint64_t asked = 0, answered = 0, refused = 0, failed = 0, unanswered = 0;
    double per_second = 0;  ///< answers within the time of the load
    Latencies latencies;

    /// Milliseconds.
    [[nodiscard]] double ms(double quantile) const noexcept {
        return static_cast<double>(latencies.quantile_us(quantile)) / 1000;
    }
};

struct TrialResult {
    Trial trial;
    std::vector<StreamResult> streams;  ///< as in the load
    std::vector<Sample> samples;        ///< by when they were to be sent
    Latencies lateness;                 ///< of the generator

    [[nodiscard]] const StreamResult& stream(std::string_view name) const;
    /// All streams together.
    [[nodiscard]] StreamResult all() const;
};

[[nodiscard]] TrialResult digest(const Trial& trial, Outcome outcome);

class Results {
 public:
    void add(TrialResult result) { all_.push_back(std::move(result)); }
    /// Null: it has not been made.
    [[nodiscard]] const TrialResult* find(std::string_view key) const noexcept;
    [[nodiscard]] const std::vector<TrialResult>& all() const noexcept { return all_; }

 private:
    std::vector<TrialResult> all_;
};

}  // namespace master::lab
