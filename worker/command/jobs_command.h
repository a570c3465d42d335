// worker/command/jobs_command.h: `reeve jobs ...`, from the question to what is printed.
#pragma once

#include <string>

#include "conf/config.h"
#include "worker/command/jobs_line.h"
#include "worker/command/keeper_talk.h"

namespace worker::command {

/// What the program prints and leaves with: 0: it is done; 1: it is not.
struct Outcome {
    int status = 0;
    std::string output, errors;  ///< of whole lines, but for a result
};

/// `config`: of the server. `terminal`: where the output goes somebody looks at it.
[[nodiscard]] Outcome run_jobs(const JobsAsked& asked, const conf::Config& config, JobsTalk& talk,
                               bool terminal);

}  // namespace worker::command
