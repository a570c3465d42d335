// master/lab/lab.h: `reeve lab`: runs the models side by side and writes down what came of it.
#pragma once

#include <string>

namespace master::lab {

struct Asked {
    std::string out = "reeve-lab.html";
    std::string json;      ///< path; empty: none
    double seconds = 120;  ///< for everything, about
    bool quick = false;
};

/// Progress goes to the standard error, what was found to the standard output. The exit status: 0 when the
/// report is written, whatever it says; 1 when a trial could not be made, or INT or TERM came. Leaves neither
/// processes nor files behind but the report. Takes over signals and the process: nothing else runs beside.
[[nodiscard]] int run(const Asked& asked);

}  // namespace master::lab
