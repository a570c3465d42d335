// master/main.cpp: the command line, and what the program is made of.
#include <event2/event.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>
#include <spdlog/spdlog.h>
#include <spdlog/version.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <optional>
#include <utility>

#include "conf/load.h"
#include "ipc/file.h"
#include "master/activation.h"
#include "master/command_line.h"
#include "master/control_client.h"
#include "master/daemon.h"
#include "master/lab/lab.h"
#include "master/master.h"
#include "master/title.h"
#include "master/top.h"
#include "worker/buffer_path.h"
#include "worker/command/jobs_command.h"
#include "worker/keeper.h"
#include "worker/module/loader.h"
#include "worker/pool/member.h"
#include "worker/process.h"
#include "worker/sentinel.h"

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

int dump(const CommandLine& asked) {
    const auto loaded = load(asked.config);
    if (!loaded) return misused;
    fmt::print("{}", conf::dump_without_secrets(loaded->config));
    return done;
}

/// Where the running master listens. The configuration is read only to find that out.
std::optional<std::string> control_socket(const CommandLine& asked) {
    if (!asked.control.empty()) return asked.control;
    const auto loaded = load(asked.config);
    if (!loaded) {
        complain("reeve: no control socket to be found there: give --control PATH");
        return std::nullopt;
    }
    if (!loaded->config.reeve.control.empty()) return loaded->config.reeve.control;
    complain("reeve: " + asked.config + " sets no control socket: give --control PATH");
    return std::nullopt;
}

/// What it answers goes to `take`.
int ask(const CommandLine& asked, const std::string& command,
        const std::function<int(master::Answer answer)>& take) {
    const auto path = control_socket(asked);
    if (!path) return misused;
    auto answer = master::ask(*path, command);
    if (!answer) {
        complain("reeve: " + answer.error().text());
        return failed;
    }
    switch (answer->kind) {
        case master::Answer::Kind::done: return take(std::move(*answer));
        case master::Answer::Kind::failed: complain("reeve: " + answer->text); return failed;
        case master::Answer::Kind::refused: complain(answer->text); return misused;
    }
    return failed;
}

int ask(const CommandLine& asked, const std::string& command) {
    return ask(asked, command, [](const master::Answer& answer) {
        fmt::print("{}", answer.text);
        return done;
    });
}

/// The master says where its keeper is, and is not asked again.
int ask_for_jobs(const CommandLine& asked, const worker::command::JobsAsked& jobs) {
    spdlog::set_level(spdlog::level::off);  // what goes wrong is told once
    const auto verb = worker::command::verb_of(jobs.what);
    return ask(asked, fmt::format("jobs {}", verb), [&](master::Answer answer) {
        auto talk =
            worker::command::KeeperTalk::make(answer.text, std::move(answer.descriptors), jobs.timeout);
        if (!talk) {
            complain("reeve: " + talk.error().text());
            return failed;
        }
        const auto outcome =
            worker::command::run_jobs(jobs, talk->config(), *talk, ::isatty(STDOUT_FILENO) == 1);
        const bool written =
            std::fwrite(outcome.output.data(), 1, outcome.output.size(), stdout) == outcome.output.size() &&
            std::fflush(stdout) == 0;
        std::fwrite(outcome.errors.data(), 1, outcome.errors.size(), stderr);
        return written ? outcome.status : failed;
    });
}

int show_top(const CommandLine& asked) {
    const auto path = control_socket(asked);
    if (!path) return misused;
    const std::chrono::duration<double> interval(asked.top_interval);
    const auto shown =
        master::run_top({.control = *path,
                         .interval = std::chrono::duration_cast<std::chrono::milliseconds>(interval),
                         .frames = asked.top_frames});
    if (shown) return done;
    complain("reeve: " + shown.error().text());
    return failed;
}

/// What the child does that reads a configuration for the master.
master::Read read_config(const std::string& path) {
    master::Read read;
    const auto loaded = conf::load(path);
    if (!loaded) {
        for (const auto& error : loaded.error()) read.errors.push_back(error.text());
        return read;
    }
    for (const auto& error : worker::module::check_modules(*loaded)) read.errors.push_back(error.text());
    if (!read.errors.empty()) return read;
    for (const auto& advice : loaded->advice) read.advice.push_back(advice.text());
    read.plan = master::make_plan(loaded->config);
    read.text = conf::dump(loaded->config);
    return read;
}

/// Modules are loaded by a child: whatever their code does ends there.
bool modules_are_fine(const CommandLine& asked, const conf::Config& config) {
    const bool any = !config.modules.empty() ||
                     std::any_of(config.pools.begin(), config.pools.end(), [](const conf::Pool& pool) {
                         return pool.run.kind == conf::PoolRun::Kind::module;
                     });
    if (!any) return true;
    const auto found =
        master::Reading::now([&] { return read_config(asked.config); }, config.reeve.start_timeout);
    for (const auto& error : found.errors) complain(error);
    return found.errors.empty();
}

int check(const CommandLine& asked) {
    const auto loaded = load(asked.config);
    if (!loaded) return misused;
    if (!modules_are_fine(asked, loaded->config)) return misused;
    advise(*loaded);
    if (const auto tried = worker::try_buffer_path(loaded->config); !tried) {
        complain(fmt::format("{}: {}", asked.config, tried.error().text()));
        return misused;
    }
    fmt::print("configuration {} is fine\n", asked.config);
    return done;
}

int cannot_load(ipc::Seat& seat, const ipc::Error& why) {
    (void)seat.channel.send(ipc::Failed{.why = why.text()});
    return failed;
}

// Each child of the master has the configuration that its generation was made for, whatever the file says
// now.

int work_with(worker::Loaded& loaded, ipc::Seat seat) {
    loaded.config.reeve.error_log.level = static_cast<conf::LogLevel>(seat.log_level);
    return worker::run(loaded, std::move(seat));
}

int work(ipc::Seat seat) {
    auto& in_flight = seat.cell->loop.in_flight;
    auto loaded = worker::Loaded::load(seat.config.get(),
                                       [&](const std::string& module) { in_flight.begin({}, module); });
    in_flight.end();
    return loaded ? work_with(*loaded, std::move(seat)) : cannot_load(seat, loaded.error());
}

int watch(ipc::Seat seat) {
    auto config = worker::load_config(seat.config.get());
    if (!config) return cannot_load(seat, config.error());
    config->reeve.error_log.level = static_cast<conf::LogLevel>(seat.log_level);
    return worker::watch(*config, std::move(seat));
}

int keep(ipc::Seat seat) {
    auto config = worker::load_config(seat.config.get());
    if (!config) return cannot_load(seat, config.error());
    config->reeve.error_log.level = static_cast<conf::LogLevel>(seat.log_level);
    return worker::keep(*config, std::move(seat));
}

/// What a preloader does: all workers that `go` forks have what is loaded here.
ipc::Result<int> preload(int config, const std::function<int(const master::WorkerMain&)>& go) {
    auto loaded = worker::Loaded::load(config);
    if (!loaded) return tl::make_unexpected(std::move(loaded.error()));
    return go([&](ipc::Seat seat) { return work_with(*loaded, std::move(seat)); });
}

int serve_pool(ipc::PoolSeat seat) {
    const auto text = ipc::read_file(seat.config.get());
    const auto loaded =
        text ? conf::load_text(*text, "configuration") : tl::unexpected(std::vector<conf::Error>());
    if (!loaded) {
        complain("reeve: the configuration cannot be read again");
        return failed;
    }
    return worker::pool::serve(loaded->config, std::move(seat));
}

/// As a daemon's child, an upgrade's new master, or in the foreground. The parent of a daemon leaves here.
ipc::Result<std::variant<master::StartReport, master::DaemonParent>> begin(
    const conf::Reeve& reeve, std::optional<master::Inheritance>& inheritance) {
    if (inheritance) return master::StartReport(std::move(inheritance->report));
    if (reeve.daemon) return master::daemonize();
    return master::StartReport();
}

int serve(const CommandLine& asked, master::ProcessTitle& title) {
    auto inheritance = master::receive_handover();
    if (!inheritance) {
        complain("reeve: " + inheritance.error().text());
        return failed;
    }
    auto service = master::ServiceEnvironment::take();
    auto activated = master::take_activation();
    if (!activated) {
        complain("reeve: " + activated.error().text());
        return failed;
    }
    std::error_code ignored;
    const auto path = std::filesystem::absolute(asked.config, ignored).lexically_normal().string();
    const auto read = [path] { return read_config(path); };
    auto first = master::Reading::now(read, conf::Reeve{}.start_timeout);
    if (!first.errors.empty()) {
        const auto why = fmt::format("{}", fmt::join(first.errors, "\n"));
        if (*inheritance)
            master::StartReport(std::move((*inheritance)->report)).failed(why);
        else
            complain(why);
        return misused;
    }
    for (const auto& advice : first.advice) complain("warning: " + advice);
    auto program = master::Program::find(asked.program);
    if (!program) {
        complain("reeve: " + program.error().text());
        return failed;
    }
    auto begun = begin(first.plan.reeve, *inheritance);
    if (!begun) {
        complain("reeve: " + begun.error().text());
        return failed;
    }
    if (const auto* parent = std::get_if<master::DaemonParent>(&*begun)) return parent->exit_status;
    auto report = std::move(std::get<master::StartReport>(*begun));
    return master::run({.first = std::move(first),
                        .read = read,
                        .worker = work,
                        .sentinel = watch,
                        .keeper = keep,
                        .pool = serve_pool,
                        .preload = preload,
                        .program = std::move(*program),
                        .inheritance = std::move(*inheritance),
                        .activated = std::move(*activated),
                        .service = std::move(service)},
                       title, report);
}

int show_build() {
    fmt::print("reeve {}\nbuilt with g++ {}, libevent {}, spdlog {}.{}.{}\n", REEVE_VERSION, __VERSION__,
               event_get_version(), SPDLOG_VER_MAJOR, SPDLOG_VER_MINOR, SPDLOG_VER_PATCH);
    return done;
}

}  // namespace

int main(int argc, char** argv) {
    if (const auto filled = master::fill_standard_descriptors(); !filled) return failed;
    worker::command::JobsAsked jobs;
    const auto parsed = master::parse_command_line(
        argc, argv, [&](CLI::App& app) { return worker::command::declare_jobs(app, jobs); });
    if (const auto* leave = std::get_if<master::Leave>(&parsed)) return leave->status;
    const auto& asked = std::get<CommandLine>(parsed);
    switch (asked.action) {
        case CommandLine::Action::check: return check(asked);
        case CommandLine::Action::dump: return dump(asked);
        case CommandLine::Action::signal: return ask(asked, asked.signal);
        case CommandLine::Action::status: return ask(asked, asked.json ? "status json" : "status");
        case CommandLine::Action::top: return show_top(asked);
        case CommandLine::Action::command: return ask(asked, asked.command);
        case CommandLine::Action::lab: return master::lab::run(asked.lab);
        case CommandLine::Action::other: return ask_for_jobs(asked, jobs);
        case CommandLine::Action::version: fmt::print("reeve {}\n", REEVE_VERSION); return done;
        case CommandLine::Action::build: return show_build();
        case CommandLine::Action::run: {
            master::ProcessTitle title(argc, argv);
            return serve(asked, title);
        }
    }
    return misused;
}
