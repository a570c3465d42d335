// master/lab/statements.h: what the lab says about models, each with the figures that it rests on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "master/lab/plot.h"
#include "master/lab/results.h"

namespace master::lab {

struct Statement {
    enum class Verdict : std::uint8_t { shown, not_shown, not_measured };
    std::string id;  ///< "head_of_line"
    std::string title;
    std::string claim;  ///< what is to be seen, and how it is tried
    Verdict verdict = Verdict::not_measured;
    std::string sentence;  ///< what was measured
    std::vector<Plot> plots{};
};

/// "shown on this machine", and so on.
[[nodiscard]] std::string_view text(Statement::Verdict verdict) noexcept;

/// All six, by what was measured and nothing else. `cpus`: of this machine.
[[nodiscard]] std::vector<Statement> statements(const Results& results, std::uint32_t cpus);

/// A workload with every model: p50 to p99, a model each.
[[nodiscard]] Plot models_plot(const Results& results, const Workload& workload);

}  // namespace master::lab
