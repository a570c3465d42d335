// master/command_line.cpp: CLI11's options and what they mean together.
#include "master/command_line.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>

namespace master {
namespace {

constexpr const char* installed_config = "/etc/reeve/reeve.ini";
constexpr const char* source_tree_config = "conf/reeve.ini";

std::string default_config() {
    return ::access(installed_config, F_OK) == 0 ? installed_config : source_tree_config;
}

}  // namespace

std::variant<CommandLine, Leave> parse_command_line(int argc, const char* const* argv,
                                                    const DeclareCommand& other) {
    using Action = CommandLine::Action;
    CommandLine asked;
    bool check = false, dump = false, version = false, build = false;

    CLI::App app("reeve: a multi-process HTTP server", "reeve");
    app.set_help_flag("-h,--help", "show this and leave");
    app.fallthrough();
    app.add_option("-c", asked.config, "configuration file")->type_name("FILE");
    app.add_flag("-t", check, "check the configuration and leave");
    app.add_flag("-T", dump, "show the effective configuration, with every default, and without secrets");
    app.add_option("-s", asked.signal, "tell the running master, and wait for the outcome")
        ->check(CLI::IsMember({"stop", "quit", "reload", "reopen", "upgrade"}))
        ->option_text("stop|quit|reload|reopen|upgrade");
    app.add_flag("-v", version, "show the version");
    app.add_flag("-V", build, "show the version and what it was built with");
    app.add_option("--control", asked.control, "control socket of the running master")->type_name("PATH");
    auto* status = app.add_subcommand("status", "show processes and listeners");
    status->add_flag("--json", asked.json, "as JSON");
    auto* top = app.add_subcommand("top", "show them live, with rates");
    top->add_option("--interval", asked.top_interval, "seconds between two pictures")
        ->check(CLI::Range(0.1, 3600.0))
        ->type_name("SECONDS");
    top->add_option("--count", asked.top_frames, "so many pictures, then leave")->type_name("N");
    std::string level;
    auto* loglevel = app.add_subcommand("loglevel", "log from this level on, until the next reload");
    loglevel->add_option("LEVEL", level)
        ->required()
        ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error", "critical", "off"}));
    std::uint32_t number = 0;
    auto* worker = app.add_subcommand("worker", "do something to a worker")->require_subcommand(1);
    auto* restart = worker->add_subcommand("restart", "replace a worker; its successor is ready first");
    restart->add_option("N", number, "number of its slot")->required();

    std::string upstream, word;
    auto* breaker =
        app.add_subcommand("breaker", "open or close the breaker of an upstream, or leave it to itself");
    breaker->add_option("NAME", upstream, "of the upstream")->required();
    breaker->add_option("STATE", word, "open: refuse all; close: admit all; auto: by its rules")
        ->required()
        ->check(CLI::IsMember({"open", "close", "auto"}));

    const auto* const its = other ? other(app) : nullptr;

    auto* lab = app.add_subcommand("lab", "try the models side by side on this machine, and write a report");
    lab->add_option("--out", asked.lab.out, "the report, HTML")->type_name("FILE");
    lab->add_option("--json", asked.lab.json, "the figures, as JSON")->type_name("FILE");
    lab->add_option("--seconds", asked.lab.seconds, "how long it takes, about")
        ->check(CLI::Range(30.0, 3600.0))
        ->type_name("N");
    lab->add_flag("--quick", asked.lab.quick, "fewer trials and short ones, to see that it works");

    try {
        app.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
        std::fputs(app.help().c_str(), stdout);
        return Leave{0};
    } catch (const CLI::Error& wrong) {
        std::fprintf(stderr, "reeve: %s\nreeve -h shows what there is\n", wrong.what());
        return Leave{2};
    }
    const int actions = int{check} + int{dump} + int{version} + int{build} + int{!asked.signal.empty()} +
                        int{status->parsed()} + int{top->parsed()} + int{loglevel->parsed()} +
                        int{worker->parsed()} + int{breaker->parsed()} + int{lab->parsed()} +
                        int{its != nullptr && its->parsed()};
    if (actions > 1) {
        std::fprintf(
            stderr,
            "reeve: one thing at a time: -t, -T, -s, -v, -V or a command\nreeve -h shows what there is\n");
        return Leave{2};
    }
    asked.program = argc > 0 ? argv[0] : "reeve";
    if (asked.config.empty()) asked.config = default_config();
    if (status->parsed()) asked.action = Action::status;
    if (top->parsed()) asked.action = Action::top;
    if (lab->parsed()) asked.action = Action::lab;
    if (its != nullptr && its->parsed()) asked.action = Action::other;
    if (loglevel->parsed()) asked.command = "loglevel " + level;
    if (worker->parsed()) asked.command = "worker restart " + std::to_string(number);
    if (breaker->parsed()) asked.command = "breaker " + word + " " + upstream;
    if (!asked.command.empty()) asked.action = Action::command;
    if (!asked.signal.empty()) asked.action = Action::signal;
    if (check) asked.action = Action::check;
    if (dump) asked.action = Action::dump;
    if (version) asked.action = Action::version;
    if (build) asked.action = Action::build;
    return asked;
}

}  // namespace master
