// master/command_line.h: what the user asked for.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

namespace master {

struct CommandLine {
    enum class Action : std::uint8_t { run, check, dump, signal, status, version, build };

    Action action = Action::run;
    std::string program;  ///< the name we were called by
    std::string config;   ///< path of the configuration
    std::string control;  ///< path of the control socket; empty: as configured
    std::string signal;   ///< stop, quit, reload, reopen or upgrade
    bool json = false;
};

/// The exit status to leave with: help was shown, or the mistake was told.
struct Leave {
    int status = 0;
};

[[nodiscard]] std::variant<CommandLine, Leave> parse_command_line(int argc, const char* const* argv);

}  // namespace master
