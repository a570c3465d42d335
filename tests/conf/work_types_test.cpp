// tests/conf/work_types_test.cpp: `work` and what belongs to it, as written, in a query, and every complaint.
#include "conf/work_types.h"

#include "tests/conf/refused.h"

using namespace conf;
using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

namespace {

Parsed<WorkAmount> amount(std::string_view text) { return WorkType{}.parse({text, "/"}); }

}  // namespace

TEST_CASE("work has a time of a processor and a time asleep, either or both", "[conf][work]") {
    CHECK(amount("cpu=5ms wait=20ms") == WorkAmount{5ms, 20ms});
    CHECK(amount("wait=1s") == WorkAmount{0us, 1s});
    CHECK(amount("wait=0 cpu=200us") == WorkAmount{200us, 0us});
    CHECK(amount("none") == WorkAmount{});
    CHECK(amount("cpu=60s") == WorkAmount{60s, 0us});
}

TEST_CASE("what work is printed as reads back the same", "[conf][work]") {
    for (const auto& one :
         {WorkAmount{}, WorkAmount{1500us, 0us}, WorkAmount{0us, 2s}, WorkAmount{5ms, 1us}}) {
        const auto text = WorkType{}.print(one);
        CAPTURE(text);
        CHECK(amount(text) == one);
    }
    CHECK(WorkType{}.print({5ms, 20ms}) == "cpu=5ms wait=20ms");
    CHECK(WorkType{}.print({}) == "none");
    const auto config = loaded("[route w]\nwork = cpu=1500us\nwork_query = on\n");
    CHECK(loaded(dump(config)) == config);
}

TEST_CASE("what is no work is refused", "[conf][work]") {
    const std::string times = " is not a time, 0 to 60s (with us, ms, s)";
    CHECK(amount("cpu=5").error() == "cpu: \"5\"" + times);
    CHECK(amount("cpu=").error() == "cpu: \"\"" + times);
    CHECK(amount("wait=61s").error() == "wait: \"61s\"" + times);
    CHECK(amount("wait=60000001us").error() == "wait: \"60000001us\"" + times);
    CHECK(amount("wait=18446744073709551617us").error() == "wait: \"18446744073709551617us\"" + times);
    CHECK(amount("wait=-1ms").error() == "wait: \"-1ms\"" + times);
    CHECK(amount("cpu=1m").error() == "cpu: \"1m\"" + times);
    CHECK(amount("cpu=1ms cpu=2ms").error() == "a second \"cpu=2ms\"");
    CHECK(amount("cpus=1ms").error().starts_with("unknown option \"cpus=1ms\""));
}

TEST_CASE("a query says other times, and what is no time says nothing", "[conf][work]") {
    const WorkAmount usual{5ms, 20ms};
    CHECK(work_by_query("", usual) == usual);
    CHECK(work_by_query("cpu=1ms", usual) == WorkAmount{1ms, 20ms});
    CHECK(work_by_query("x=1&wait=0&cpu=2ms", usual) == WorkAmount{2ms, 0us});
    CHECK(work_by_query("cpu=&wait=an+hour&&cpu=99h", usual) == usual);
    CHECK(work_by_query("xcpu=1ms&cpu", usual) == usual);
}

TEST_CASE("the pool that does the work must be there, and be one that can", "[conf][work][pool]") {
    const std::string route = "[route w]\nwork = cpu=1ms\nwork_pool = p\n";
    CHECK(complaints(route) == Lines{"t:3: work_pool: there is no [pool p]"});
    CHECK(complaints(route + "[pool p]\nrun = work\n").empty());
    CHECK(
        complaints(route + "[pool p]\nrun = cgi /bin/true\n") ==
        Lines{"t:3: work_pool: [pool p] runs something else; write `run = work` there, or `kind = thread`"});
    CHECK(complaints(route + "[pool p]\nkind = thread\n").empty());
    CHECK(advice(route + "[pool p]\nkind = thread\n").empty());
    CHECK(complaints("[route w]\nrespond = 200\nwork_pool = p\n").size() == 1);
    CHECK(advice(route + "[pool p]\nrun = work\n").empty());
    CHECK(advice("[route w]\nwork = none\nwork_query = on\n") ==
          Lines{"t:3: work_query: whoever reaches this route can keep the server busy"});
    CHECK(advice("[route w]\nwork = cpu=1ms\n[pool p]\nrun = work\n") ==
          Lines{"t:3: no route leads to [pool p]"});
}
