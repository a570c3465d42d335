// A model is a setting of knobs, and each knob can be set by itself.
#include "conf/models.h"

#include "conf/load.h"
#include "tests/conf/refused.h"

using namespace conf;

namespace {

const std::string routes = "[route ok]\npath = /\nrespond = 200\n";

Execution execution_of(const std::string& lines) {
    return loaded("[execution]\n" + lines + routes).execution;
}

}  // namespace

TEST_CASE("a model says what knobs are unless they are written", "[conf]") {
    for (const auto& model : models()) {
        CAPTURE(model.name);
        const auto read = execution_of("model = " + std::string(model.name) + "\n");
        CHECK(read == defaults_of(model.model));
        CHECK(read.model == model.model);
    }
    CHECK(models().size() == 8);
    CHECK(defaults_of(Model::event) == Execution{});
}

TEST_CASE("a knob that is written holds, wherever the model stands", "[conf]") {
    for (const std::string lines :
         {"model = single\nconcurrency = 4\n", "concurrency = 4\nmodel = single\n"}) {
        const auto read = execution_of(lines);
        CHECK(read.concurrency == 4);
        CHECK(read.workers == 1);
    }
    const auto read = execution_of("model = pool\nloops = 3\nqueue = 7\nqueue_timeout = 2s\n");
    CHECK(read.loops == 3);
    CHECK(read.accept == Accept::handoff);
    CHECK(read.queue == 7);
    CHECK(read.queue_timeout == Milliseconds(2000));
    CHECK(execution_of("model = message\nthreads = 2\n").handlers == Handlers::threads);
    CHECK(execution_of("model = process\nprocesses_max = 50\n").processes_max == 50);
    CHECK(execution_of("model = readers\nhandoff = least_connections\n").handoff ==
          Handoff::least_connections);
}

TEST_CASE("what a model comes to reads back the same", "[conf]") {
    for (const auto& model : models()) {
        CAPTURE(model.name);
        const auto config =
            loaded("[execution]\nmodel = " + std::string(model.name) + "\nqueue = 9\n" + routes);
        CHECK(loaded(dump(config)).execution == config.execution);
    }
}

TEST_CASE("who is in a worker is numbered without gaps", "[conf]") {
    const auto crew = [](const std::string& lines) { return crew_of(execution_of(lines), 4); };
    CHECK(crew("model = event\n") == Crew{.loops = 1, .threads = 0, .has_main = false});
    CHECK(crew("model = event\n").executors() == 1);
    CHECK(crew("model = acceptor\n") == Crew{.loops = 1, .threads = 0, .has_main = true});
    CHECK(crew("model = threads\n") == Crew{.loops = 4, .threads = 0, .has_main = true});
    const auto message = crew("model = message\n");
    CHECK(message.executors() == 17);
    CHECK(message.number_of_loop(0) == 0);
    CHECK(message.number_of_threads(0) == 1);
    const auto both = crew("model = readers\nhandlers = threads\nthreads = 3\n");
    CHECK(both.executors() == 1 + 4 + 12);
    CHECK(both.number_of_loop(0) == 1);
    CHECK(both.number_of_threads(0) == 5);
    CHECK(both.number_of_threads(3) == 14);
}

TEST_CASE("knobs that contradict each other are refused", "[conf]") {
    const auto refused = [](const std::string& lines, const std::string& message) {
        const auto all = complaints("[execution]\n" + lines + routes);
        CAPTURE(lines, all);
        CHECK(std::find(all.begin(), all.end(), message) != all.end());
    };
    refused("processes_max = 9\n",
            "t:1: accept: processes_max needs `shared`: whichever process is idle accepts");
    refused("model = process\naccept = reuseport\n",
            "t:3: accept: processes_max needs `shared`: whichever process is idle accepts");
    refused("model = process\nloops = 2\n",
            "t:3: loops: with processes_max a process has one connection, and one loop");
    refused("model = process\nhandlers = threads\n",
            "t:3: handlers: with processes_max they may block where they are, `inline`");
    refused("model = process\nconcurrency = 2\n",
            "t:3: concurrency: with processes_max a process serves one connection at a time");
    refused("model = process\nworkers = 9\nprocesses_max = 8\n",
            "t:3: workers: 9 are more than processes_max, 8");
    refused("model = process\nspares_min = 9\nspares_max = 8\n",
            "t:3: spares_min: 9 are more than spares_max, 8");
    refused(
        "workers = 64\nloops = 16\n",
        "t:3: workers: 64 of them with 17 loops and threads each are more than the 512 that there may be");
    refused(
        "workers = 8\nmodel = message\nthreads = 200\n",
        "t:4: workers: 8 of them with 201 loops and threads each are more than the 512 that there may be");
}

TEST_CASE("knobs that say nothing are told of", "[conf]") {
    const auto told = [](const std::string& lines, const std::string& message) {
        const auto all = advice("[execution]\n" + lines + routes);
        CAPTURE(lines, all);
        CHECK(std::find(all.begin(), all.end(), message) != all.end());
    };
    told("handoff = round_robin\n", "t:2: handoff: says nothing unless accept = handoff");
    told("model = pool\nhandoff = round_robin\n",
         "t:3: handoff: with concurrency a connection goes to whichever loop is free");
    told("queue = 3\n", "t:2: queue: nothing waits without concurrency or handlers = threads");
    told("threads = 3\n", "t:2: threads: says nothing unless handlers = threads");
    told("workers = 1\npreload = on\n", "t:3: preload: one worker has nobody to share its memory with");
    told("spares_max = 30\n", "t:2: spares_max: says nothing without processes_max");
    told("model = process\nprocesses_max = 9\n",
         "t:3: processes_max: an idle connection keeps a process for keepalive_timeout, 75s");
    for (const auto& model : models()) {
        if (model.model == Model::process) continue;
        CAPTURE(model.name);
        CHECK(advice("[execution]\nmodel = " + std::string(model.name) + "\n" + routes).empty());
    }
}
