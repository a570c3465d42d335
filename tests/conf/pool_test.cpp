// tests/conf/pool_test.cpp: [pool] as it is written, every complaint, and how many processes it means.
#include <filesystem>
#include <fstream>

#include "conf/pool_types.h"
#include "tests/conf/refused.h"
#include "tests/conf/temporary_folder.h"

using namespace conf;
using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

namespace {

constexpr const char* run = "run = fastcgi /usr/bin/php-cgi\n";

Parsed<PoolRun> parsed_run(std::string_view text) { return PoolRunType{}.parse({text, "/etc/reeve"}); }

Lines pool_complaints(const std::string& lines) { return complaints("[pool p]\n" + lines); }

/// Of a configuration in a file.
Lines here(const std::string& text) {
    const TemporaryFolder folder;
    const auto path = folder.write("reeve.ini", text);
    const auto loaded = conf::load(path);
    Lines all;
    if (!loaded)
        for (const auto& error : loaded.error())
            all.push_back(std::to_string(error.line) + ": " + error.message);
    return all;
}

}  // namespace

TEST_CASE("a pool is what its lines say, and the rest has defaults", "[conf][pool]") {
    const auto config = loaded(R"([pool php]
run = fastcgi php-cgi -d "memory_limit=1 G"
size = 2
size_min = 1
size_max = 8
idle_timeout = 5s
queue = 20
queue_timeout = 2s
timeout = 4s
kill_grace = 100ms
max_tasks = 1000
max_memory = 256m
environment = LANG=C.UTF-8
environment = "GREETING=hello ; world"
directory = /srv
user = www-data
rlimits = cpu=60s memory=512m files=1024
rlimits = core=0 processes=64 file_size=1g
[pool other]
run = cgi ./hello.sh
)");
    REQUIRE(config.pools.size() == 2);
    const auto& php = config.pools[0];
    CHECK(php.name == "php");
    CHECK(php.run.kind == PoolRun::Kind::fastcgi);
    CHECK(php.run.command == Lines{"php-cgi", "-d", "memory_limit=1 G"});
    CHECK((php.size == 2 && php.size_min == 1u && php.size_max == 8u));
    CHECK((php.idle_timeout == 5s && php.queue == 20 && php.queue_timeout == 2s && php.timeout == 4s));
    CHECK((php.kill_grace == 100ms && php.max_tasks == 1000 && php.max_memory == 256u << 20));
    CHECK(php.environment == std::vector<Variable>{{"LANG", "C.UTF-8"}, {"GREETING", "hello ; world"}});
    CHECK((php.directory == "/srv" && php.user == "www-data"));
    using What = ResourceLimit::What;
    CHECK(php.rlimits == std::vector<ResourceLimit>{{What::cpu, 60},
                                                    {What::memory, 512u << 20},
                                                    {What::files, 1024},
                                                    {What::core, 0},
                                                    {What::processes, 64},
                                                    {What::file_size, 1u << 30}});
    Pool plain;
    plain.name = "other";
    plain.run.kind = PoolRun::Kind::cgi;
    plain.run.command = config.pools[1].run.command;
    CHECK(config.pools[1] == plain);
    CHECK(loaded(dump(config)) == config);
}

TEST_CASE("a program with a slash counts from the configuration's folder, one without is looked for",
          "[conf][pool]") {
    CHECK(parsed_run("cgi ./a/../hello.sh")->command == Lines{"/etc/reeve/hello.sh"});
    CHECK(parsed_run("cgi /bin/sh -c \"echo ;\"")->command == Lines{"/bin/sh", "-c", "echo ;"});
    CHECK(parsed_run("fastcgi php-cgi")->command == Lines{"php-cgi"});
    CHECK(PoolRunType{}.print(*parsed_run("cgi \"/a b\" \"\" c")) == "cgi \"/a b\" \"\" c");
    CHECK(find_program("sh").ends_with("/sh"));
    CHECK(find_program("/bin/sh") == "/bin/sh");
    CHECK(find_program("no-such-program").empty());
    CHECK(find_program("/etc").empty());
    CHECK(find_program("/etc/passwd").empty());
}

TEST_CASE("what is no program is refused", "[conf][pool]") {
    CHECK(parsed_run("php /bin/sh").error() == "\"php\" is not one of fastcgi, cgi, module, work");
    CHECK(parsed_run("fastcgi").error() == "fastcgi of what? a program is missing");
    CHECK(parsed_run("cgi \"\"").error() == "the program has no name");
    CHECK(pool_complaints("size = 1\n") == Lines{"t:1: [pool p] has no run"});
    CHECK(parsed_run("work 5ms").error() == "work takes nothing: routes say how much");
    CHECK(PoolRunType{}.print(*parsed_run("work")) == "work");
    CHECK(pool_complaints("run = work\n").empty());
    CHECK(pool_complaints("run = module ./x.so f\n") == Lines{});
    CHECK(complaints("[pool]\n" + std::string(run)) == Lines{"t:1: [pool] needs a name: [pool NAME]"});
}

TEST_CASE("a pool of threads needs no program, and knows nothing of processes", "[conf][pool]") {
    const auto config = loaded(R"([pool slow]
kind = thread
size = 3
size_max = 5
queue = 7
queue_timeout = 2s
timeout = 4s
[pool plain]
kind = thread
[route r]
files = /srv
open_pool = slow
)");
    REQUIRE(config.pools.size() == 2);
    const auto& slow = config.pools[0];
    CHECK(slow.kind == Pool::Kind::thread);
    CHECK((slow.queue == 7 && slow.queue_timeout == 2s && slow.timeout == 4s));
    CHECK((thread_number(slow).begin == 3 && thread_number(slow).max == 5));
    CHECK((thread_number(config.pools[1]).begin == 4 && thread_number(config.pools[1]).max == 8));
    CHECK(config.routes.at(0).files.open_pool == "slow");
    CHECK(loaded(dump(config)) == config);

    CHECK(pool_complaints("kind = thread\nrun = cgi sh\nuser = nobody\n") ==
          Lines{"t:3: run: threads do jobs by functions of a module: `module NAME`"});
    CHECK(pool_complaints("kind = thread\nuser = nobody\n") ==
          Lines{"t:3: user: is of processes, and [pool p] is of threads"});
    CHECK(pool_complaints("kind = thread\nsize_min = 1\n") ==
          Lines{"t:3: size_min: is of processes, and [pool p] is of threads"});
    CHECK(pool_complaints("kind = thread\nsize = 3\nsize_max = 2\n") ==
          Lines{"t:4: size_max: 2 is less than size, 3"});
}

TEST_CASE("a route's pool is of the kind that the route wants", "[conf][pool]") {
    const std::string pools = "[pool t]\nkind = thread\n[pool p]\nrun = cgi sh\n[route r]\n";
    CHECK(complaints(pools + "pool = t\n") ==
          Lines{"t:6: pool: [pool t] is of threads, and processes are wanted"});
    CHECK(complaints(pools + "files = /srv\nopen_pool = p\n") ==
          Lines{"t:7: open_pool: [pool p] is of processes, and threads are wanted"});
    CHECK(complaints(pools + "files = /srv\nopen_pool = x\n") ==
          Lines{"t:7: open_pool: there is no [pool x]; valid: t, p"});
}

TEST_CASE("sizes that contradict each other are refused", "[conf][pool]") {
    CHECK(pool_complaints(run + std::string("size = 2\nsize_min = 3\n")) ==
          Lines{"t:4: size_min: 3 is more than size, 2"});
    CHECK(pool_complaints(run + std::string("size = 2\nsize_max = 1\n")) ==
          Lines{"t:4: size_max: 1 is less than size, 2"});
    CHECK(pool_complaints(run + std::string("size_min = 2\nsize_max = 1\n")) ==
          Lines{"t:3: size_min: 2 is more than size_max, 1"});
    CHECK(pool_complaints(run + std::string("size_min = 0\nsize_max = 4\n")).empty());
}

TEST_CASE("limits, variables and what stands twice", "[conf][pool]") {
    const auto complains = [](const std::string& line) {
        const auto all = pool_complaints(run + line + "\n");
        return all.size() == 1 ? all[0] : std::to_string(all.size());
    };
    CHECK(complains("rlimits = ram=1g") ==
          "t:3: rlimits: \"ram\" is not one of cpu, memory, files, core, processes, file_size");
    CHECK(complains("rlimits = cpu") == "t:3: rlimits: cpu has no value");
    CHECK(complains("rlimits = cpu=1500ms") == "t:3: rlimits: cpu: takes whole seconds");
    CHECK(complains("rlimits = files=1") != "0");
    CHECK(complains("rlimits = cpu=1s cpu=2s") == "t:3: rlimits: cpu stands twice");
    CHECK(complains("environment = A") == "t:3: environment: A has no value: NAME=VALUE");
    CHECK(complains("environment = 1A=2") == "t:3: environment: \"1A\" is not a variable's name");
    CHECK(complains("environment = A=1\nenvironment = A=2") == "t:3: environment: A stands twice");
    CHECK(complains("environment = A=") == "0");
}

TEST_CASE("how many processes a pool has", "[conf][pool]") {
    const auto size = [](std::uint32_t begin, std::optional<std::uint32_t> min,
                         std::optional<std::uint32_t> max) {
        Pool pool;
        pool.size = begin;
        pool.size_min = min;
        pool.size_max = max;
        const auto found = pool_size(pool, 4);
        return std::vector{found.begin, found.min, found.max};
    };
    CHECK(size(3, {}, {}) == std::vector{3u, 3u, 3u});
    CHECK(size(0, {}, {}) == std::vector{4u, 4u, 4u});
    CHECK(size(3, 1, 9) == std::vector{3u, 1u, 9u});
    CHECK(size(0, 1, 9) == std::vector{1u, 1u, 9u});
    CHECK(size(0, {}, 2) == std::vector{2u, 2u, 2u});
    CHECK(size(0, 0, 2) == std::vector{0u, 0u, 2u});
    CHECK(size(0, 0, {}) == std::vector{0u, 0u, 1u});
}

TEST_CASE("in a file, what a pool needs must be on this machine", "[conf][pool]") {
    CHECK(here("[pool p]\nrun = fastcgi no-such-program\n") ==
          Lines{"2: run: there is no program \"no-such-program\" in " + std::string(program_path)});
    CHECK(here("[pool p]\nrun = cgi /no/such/program\n") ==
          Lines{"2: run: there is no program \"/no/such/program\""});
    CHECK(here("[pool p]\nrun = cgi sh\ndirectory = /no/such/folder\n") ==
          Lines{"3: directory: there is no folder \"/no/such/folder\""});
    CHECK(here("[pool p]\nrun = cgi sh\nuser = nosuchuser\n") ==
          Lines{"3: user: there is no user \"nosuchuser\""});
    CHECK(here("[pool p]\nrun = cgi sh\ndirectory = /\n").empty());
    CHECK(complaints("[pool p]\nrun = fastcgi no-such-program\n").empty());
}

TEST_CASE("what a pool's author may want to think about", "[conf][pool]") {
    CHECK(advice("[route r]\npool = p\n[pool p]\n" + std::string(run)).empty());
    CHECK(advice("[route r]\nrespond = 200 \"x\"\n[pool p]\n" + std::string(run)) ==
          Lines{"t:3: no route leads to [pool p]"});
    CHECK(advice("[route r]\npool = p\n[pool p]\n" + std::string(run) +
                 "max_memory = 1g\nrlimits = memory=512m\n") ==
          Lines{"t:5: max_memory: is never reached, rlimits end a process before"});
    CHECK(advice("[route r]\npool = p\n[pool p]\n" + std::string(run) + "timeout = 1s\nqueue_timeout = 1h\n")
              .size() == 1);
}
