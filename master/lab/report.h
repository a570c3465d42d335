// master/lab/report.h: what the lab leaves behind: a page that needs nothing else, and JSON.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "master/lab/results.h"
#include "master/lab/statements.h"

namespace master::lab {

/// Where and when it was measured.
struct Machine {
    std::string processor, kernel, when, version;
    std::uint32_t cpus = 1;
    double load = 0;  ///< of the machine before the first trial, over a minute
};
[[nodiscard]] Machine this_machine();

/// HTML with its figures in it.
[[nodiscard]] std::string report(const Machine& machine, const Results& results,
                                 const std::vector<Statement>& statements, double seconds);

[[nodiscard]] std::string report_json(const Machine& machine, const Results& results,
                                      const std::vector<Statement>& statements, double seconds);

}  // namespace master::lab
