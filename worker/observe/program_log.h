// worker/observe/program_log.h: what programs say aside goes to the error log: whole lines, and not
// endlessly.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "worker/execution/clock.h"

namespace worker::observe {

/// One a route or queue, and loop. A line is cut at 2 KiB, a request has 64 of them, and all of them have 100
/// at once and 50 a second; the others are counted and told with the next line.
class ProgramLog {
 public:
    /// `of`, a literal, and `name`: "route" and which. All must outlive it.
    ProgramLog(std::string_view of, std::string_view name, const execution::Clock& clock)
        : of_(of), name_(name), clock_(clock) {}

    /// Of one request. What it holds is no more than a line.
    struct Lines {
        std::string begun;
        std::uint32_t told = 0;
        bool cut = false;  ///< the line was longer, and its end is of no interest
    };
    /// Who says it, for whom.
    struct About {
        std::string_view peer, request, id;
    };
    void add(Lines& lines, std::string_view bytes, const About& about);
    /// Nothing more will come.
    void end(Lines& lines, const About& about);

 private:
    void tell(Lines& lines, const About& about);

    std::string_view of_, name_;
    const execution::Clock& clock_;
    std::uint64_t refilled_ms_ = 0;
    double left_ = lines_at_once;
    std::uint64_t untold_ = 0;

    static constexpr double lines_at_once = 100, lines_a_second = 50;
};

}  // namespace worker::observe
