// master/command_line.h: what the user asked for.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <variant>

#include "master/lab/lab.h"

namespace CLI {
class App;
}

namespace master {

struct CommandLine {
    enum class Action : std::uint8_t {
        run,
        check,
        dump,
        signal,
        status,
        top,
        command,
        lab,
        other,
        version,
        build
    };

    Action action = Action::run;
    std::string program;  ///< the name we were called by
    std::string config;   ///< path of the configuration
    std::string control;  ///< path of the control socket; empty: as configured
    std::string signal;   ///< stop, quit, reload, reopen or upgrade
    bool json = false;
    std::string command;           ///< for the master, as it stands
    double top_interval = 1;       ///< seconds
    std::uint64_t top_frames = 0;  ///< 0: without end
    lab::Asked lab;
};

/// The exit status to leave with: help was shown, or the mistake was told.
struct Leave {
    int status = 0;
};

/// A command that somebody else knows how to read and run: adds it, and returns it.
using DeclareCommand = std::function<CLI::App*(CLI::App& app)>;

[[nodiscard]] std::variant<CommandLine, Leave> parse_command_line(int argc, const char* const* argv,
                                                                  const DeclareCommand& other = {});

}  // namespace master
