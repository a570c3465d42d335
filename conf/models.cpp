#include "conf/models.h"

#include <cstdlib>

namespace conf {
namespace {

/// What a model sets. The rest is as in a default-constructed `Execution`.
struct Row {
    NamedModel named;
    std::uint32_t workers, loops;
    Accept accept;
    std::uint32_t concurrency;
    Handlers handlers;
    std::uint32_t processes_max;
};

constexpr std::uint32_t unlimited = 0, none = 0;
// Of executors that may wait in a handler, or for a slow client: more than there are CPUs.
constexpr std::uint32_t pool_loops = 16;

constexpr Row rows[] = {
    {{"single", Model::single, "one request after another"},
     1,
     1,
     Accept::reuseport,
     1,
     Handlers::inlined,
     none},
    {{"acceptor", Model::acceptor, "one accepts, another one serves"},
     1,
     1,
     Accept::handoff,
     1,
     Handlers::inlined,
     none},
    {{"pool", Model::pool, "one accepts, many serve a request each"},
     1,
     pool_loops,
     Accept::handoff,
     1,
     Handlers::inlined,
     none},
    {{"readers", Model::readers, "one accepts, each connection is a loop's for good"},
     1,
     automatic,
     Accept::handoff,
     unlimited,
     Handlers::inlined,
     none},
    {{"message", Model::message, "one loop reads, any idle thread handles"},
     1,
     1,
     Accept::reuseport,
     unlimited,
     Handlers::threads,
     none},
    {{"threads", Model::threads, "a loop a CPU, in one process"},
     1,
     automatic,
     Accept::reuseport,
     unlimited,
     Handlers::inlined,
     none},
    {{"event", Model::event, "a process a CPU, with a loop each"},
     automatic,
     1,
     Accept::reuseport,
     unlimited,
     Handlers::inlined,
     none},
    {{"process", Model::process, "a process a connection"},
     automatic,
     1,
     Accept::shared,
     unlimited,
     Handlers::inlined,
     200},
};

std::uint32_t count(std::uint32_t written, std::uint32_t cpus) {
    return written != automatic ? written : cpus > 0 ? cpus : 1;
}

}  // namespace

const std::vector<NamedModel>& models() {
    static const std::vector<NamedModel> all = [] {
        std::vector<NamedModel> names;
        for (const Row& row : rows) names.push_back(row.named);
        return names;
    }();
    return all;
}

Execution defaults_of(Model model) {
    for (const Row& row : rows) {
        if (row.named.model != model) continue;
        Execution execution;
        execution.model = model;
        execution.workers = row.workers;
        execution.loops = row.loops;
        execution.accept = row.accept;
        execution.concurrency = row.concurrency;
        execution.handlers = row.handlers;
        execution.processes_max = row.processes_max;
        return execution;
    }
    std::abort();  // every model has its row
}

Crew crew_of(const Execution& execution, std::uint32_t cpus) {
    Crew crew;
    crew.loops = count(execution.loops, cpus);
    crew.threads = execution.handlers == Handlers::threads ? execution.threads : 0;
    crew.has_main = crew.loops > 1 || execution.accept == Accept::handoff;
    return crew;
}

}  // namespace conf
