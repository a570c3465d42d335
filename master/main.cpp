// master/main.cpp: the command line, and what the program is made of.
#include <event2/event.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/version.h>

#include <cstdio>
#include <optional>
#include <utility>

#include "conf/load.h"
#include "master/command_line.h"
#include "master/control_client.h"
#include "master/daemon.h"
#include "master/master.h"
#include "master/title.h"
#include "worker/process.h"

namespace {

using master::CommandLine;

constexpr int done = 0;
constexpr int failed = 1;
constexpr int misused = 2;

void complain(const std::string& text) { std::fprintf(stderr, "%s\n", text.c_str()); }

std::optional<conf::Loaded> load(const std::string& path) {
    auto loaded = conf::load(path);
    if (loaded) return std::move(*loaded);
    for (const auto& error : loaded.error()) complain(error.text());
    return std::nullopt;
}

void advise(const conf::Loaded& loaded) {
    for (const auto& advice : loaded.advice) complain("warning: " + advice.text());
}

int check(const CommandLine& asked) {
    const auto loaded = load(asked.config);
    if (!loaded) return misused;
    advise(*loaded);
    fmt::print("configuration {} is fine\n", asked.config);
    return done;
}

int dump(const CommandLine& asked) {
    const auto loaded = load(asked.config);
    if (!loaded) return misused;
    fmt::print("{}", conf::dump(loaded->config));
    return done;
}

/// Asks the running master. The configuration is read only to find its socket.
int ask(const CommandLine& asked, const std::string& command) {
    std::string path = asked.control;
    if (path.empty()) {
        const auto loaded = load(asked.config);
        if (!loaded) {
            complain("reeve: no control socket to be found there: give --control PATH");
            return misused;
        }
        path = loaded->config.reeve.control;
        if (path.empty()) {
            complain("reeve: " + asked.config + " sets no control socket: give --control PATH");
            return misused;
        }
    }
    const auto answer = master::control(path, command);
    if (!answer) {
        complain("reeve: " + answer.error().text());
        return failed;
    }
    fmt::print("{}", *answer);
    return done;
}

int serve(const CommandLine& asked, master::ProcessTitle& title) {
    const auto loaded = load(asked.config);
    if (!loaded) return misused;
    advise(*loaded);
    const conf::Config& config = loaded->config;
    const auto worker = [&config](ipc::Seat seat) { return worker::run(config, std::move(seat)); };

    master::StartReport report;
    if (config.reeve.daemon) {
        auto side = master::daemonize();
        if (!side) {
            complain("reeve: " + side.error().text());
            return failed;
        }
        if (const auto* parent = std::get_if<master::DaemonParent>(&*side)) return parent->exit_status;
        report = std::move(std::get<master::StartReport>(*side));
    }
    return master::run(config, title, worker, report);
}

int show_build() {
    fmt::print("reeve {}\nbuilt with g++ {}, libevent {}, spdlog {}.{}.{}\n", REEVE_VERSION, __VERSION__,
               event_get_version(), SPDLOG_VER_MAJOR, SPDLOG_VER_MINOR, SPDLOG_VER_PATCH);
    return done;
}

}  // namespace

int main(int argc, char** argv) {
    if (const auto filled = master::fill_standard_descriptors(); !filled) return failed;
    const auto parsed = master::parse_command_line(argc, argv);
    if (const auto* leave = std::get_if<master::Leave>(&parsed)) return leave->status;
    const auto& asked = std::get<CommandLine>(parsed);
    switch (asked.action) {
        case CommandLine::Action::check: return check(asked);
        case CommandLine::Action::dump: return dump(asked);
        case CommandLine::Action::signal: return ask(asked, asked.signal);
        case CommandLine::Action::status: return ask(asked, asked.json ? "status json" : "status");
        case CommandLine::Action::version: fmt::print("reeve {}\n", REEVE_VERSION); return done;
        case CommandLine::Action::build: return show_build();
        case CommandLine::Action::run: {
            master::ProcessTitle title(argc, argv);
            return serve(asked, title);
        }
    }
    return misused;
}
