#include "worker/command/jobs_line.h"

#include <algorithm>
#include <array>
#include <chrono>

#include <CLI/CLI.hpp>

#include "conf/queue.h"
#include "conf/units.h"
#include "worker/handler/job_json.h"
#include "worker/handler/job_request.h"
#include "worker/jobs/job_ids.h"

namespace worker::command {
namespace {

using What = JobsAsked::What;

constexpr std::array<std::string_view, 11> verbs{"",      "ls",     "show",  "add",   "retry",    "cancel",
                                                 "pause", "resume", "purge", "stats", "schedules"};
constexpr std::chrono::hours longest_time{24 * 3650};
constexpr std::size_t word_bytes_max = 255, url_bytes_max = 2048;

template <class Fine>
CLI::Validator checked(std::string wrong, Fine fine) {
    return {[wrong = std::move(wrong), fine](const std::string& text) {
                return fine(text) ? std::string() : "'" + text + "' " + wrong;
            },
            ""};
}

bool is_state_name(const std::string& text) { return handler::state_named(text).has_value(); }
bool is_time(const std::string& text) {
    return conf::parse_time(text, std::chrono::milliseconds(0), longest_time).has_value();
}
bool is_moment(const std::string& text) { return handler::parse_moment(text).has_value(); }
bool is_printable(const std::string& text, std::size_t bytes_max) {
    return !text.empty() && text.size() <= bytes_max &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

CLI::Validator id() { return checked("is not the id of a job", jobs::is_job_id); }
CLI::Validator state() {
    return checked("is no state: scheduled, ready, running, done, dead, cancelled", is_state_name);
}
CLI::Validator word() {
    return checked("is not 1 to 255 printable characters",
                   [](const std::string& text) { return is_printable(text, word_bytes_max); });
}

void declare_add(CLI::App& add, JobsAsked& asked) {
    auto& job = asked.job;
    add.add_option("QUEUE", asked.queue, "its name")->required();
    add.add_option("FILE", job.file, "the body; - is standard input, as when it is left out");
    add.add_option("--type", job.type, "content type of the body")->type_name("TYPE")->check(word());
    auto* const delay = add.add_option("--delay", job.delay,
                                       "run it no sooner than after this: seconds, or with ms, s, m, h, d")
                            ->type_name("TIME")
                            ->check(checked("is no time", is_time));
    add.add_option("--run-at", job.run_at, "or not before: RFC 3339, or seconds since 1970")
        ->type_name("MOMENT")
        ->check(checked("is no moment: RFC 3339, or seconds since 1970", is_moment))
        ->excludes(delay);
    add.add_option("--priority", job.priority, "larger ones first; the queue's unless said")
        ->type_name("N")
        ->check(CLI::Range(-conf::job_priority_max, conf::job_priority_max));
    add.add_option("--attempts", job.attempts, "at most; the queue's unless said")
        ->type_name("N")
        ->check(CLI::Range(1, 1000));
    add.add_option("--key", job.key, "jobs with the same are those that key_concurrency counts")
        ->type_name("KEY")
        ->check(word());
    add.add_option("--unique", job.unique, "only one job of the queue that is not over has it")
        ->type_name("TEXT")
        ->check(word());
    add.add_option("--idempotency-key", job.idempotency_key, "the same key and the same job are one job")
        ->type_name("KEY")
        ->check(word());
    add.add_option("--callback", job.callback, "a URL that is told when it is over: http://HOST/path")
        ->type_name("URL")
        ->check(checked("is no URL: http://HOST/path", [](const std::string& text) {
            return is_printable(text, url_bytes_max) &&
                   (text.starts_with("http://") || text.starts_with("https://"));
        }));
}

void declare_purge(CLI::App& purge, JobsAsked& asked) {
    purge.add_option("QUEUE", asked.queue, "its name")->required();
    purge
        .add_option("--state", asked.states, "of which state, several with commas; all: all that do not run")
        ->type_name("STATE")
        ->delimiter(',')
        ->required()
        ->check(
            checked("is none of scheduled, ready, done, dead, cancelled, all", [](const std::string& text) {
                return text == "all" || (is_state_name(text) && text != "running");
            }));
    purge.add_option("--before", asked.before, "made before: a moment, or so long ago: 7d")
        ->type_name("MOMENT")
        ->check(checked("is no moment and no time: RFC 3339, seconds since 1970, or with ms, s, m, h, d",
                        [](const std::string& text) { return is_moment(text) || is_time(text); }));
}

void declare_list(CLI::App& list, JobsAsked& asked) {
    list.add_option("--queue", asked.queue, "of this queue")->type_name("NAME");
    list.add_option("--state", asked.states, "of which state, several with commas")
        ->type_name("STATE")
        ->delimiter(',')
        ->check(state());
    list.add_option("--limit", asked.limit, "so many; 50 unless said")
        ->type_name("N")
        ->check(CLI::Range(1, 1000));
    list.add_option("--after", asked.after, "go on where the list before ended, which says so")
        ->type_name("NEXT");
    list.add_flag("--ids", asked.only_ids, "ids alone, one a line, for other programs");
}

}  // namespace

std::string_view verb_of(JobsAsked::What what) noexcept { return verbs.at(static_cast<std::size_t>(what)); }

CLI::App* declare_jobs(CLI::App& app, JobsAsked& asked) {
    auto* const jobs =
        app.add_subcommand("jobs", "list, show, add, retry, cancel and purge jobs, pause and resume queues");
    jobs->require_subcommand(1);
    jobs->add_flag("--json", asked.json, "as JSON");
    jobs->add_option_function<std::string>(
            "--timeout",
            [&asked](const std::string& text) {
                if (const auto time = conf::parse_time(text, std::chrono::milliseconds(1), longest_time))
                    asked.timeout = *time;
            },
            "until the keeper must have answered; 10s unless said")
        ->type_name("TIME")
        ->check(checked("is no time", is_time));
    const auto verb = [&](What what, const char* help) {
        auto* const made = jobs->add_subcommand(std::string(verb_of(what)), help);
        made->callback([&asked, what] { asked.what = what; });
        return made;
    };
    declare_list(*verb(What::list, "jobs, newest first"), asked);
    auto* const show = verb(What::show, "one job, with its attempts and what it has come to");
    show->add_option("ID", asked.ids, "of the job")->required()->expected(1)->check(id());
    show->add_flag("--result", asked.result, "its result alone, as it is where that goes to no terminal");
    declare_add(*verb(What::add, "a new job; its id is printed when it is stored"), asked);
    verb(What::retry, "dead or cancelled jobs again, scheduled ones now")
        ->add_option("ID", asked.ids, "of the job")
        ->required()
        ->check(id());
    verb(What::cancel, "jobs that are not over; what runs is ended")
        ->add_option("ID", asked.ids, "of the job")
        ->required()
        ->check(id());
    verb(What::pause, "the queue takes jobs and runs none, also after restarts")
        ->add_option("QUEUE", asked.queue, "its name")
        ->required();
    verb(What::resume, "it runs them again")->add_option("QUEUE", asked.queue, "its name")->required();
    declare_purge(*verb(What::purge, "delete jobs that do not run"), asked);
    verb(What::stats, "how many jobs of each state each queue has");
    verb(What::schedules, "when jobs are made by the clock");
    return jobs;
}

}  // namespace worker::command
