// tests/master/top_test.cpp: pictures of what a master says.
#include "master/top.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace {

using namespace std::chrono_literals;
using master::top_frame;
using nlohmann::json;

json status(int requests, int workers = 2) {
    json all{{"master",
              {{"version", "9"},
               {"pid", 7},
               {"state", "serving"},
               {"generation", 3},
               {"requests_total", requests}}},
             {"listeners", {{{"address", "127.0.0.1:80"}, {"pending", 4}}}},
             {"workers", json::array()}};
    for (int slot = 0; slot < workers; ++slot)
        all["workers"].push_back({{"slot", slot},
                                  {"pid", 100 + slot},
                                  {"generation", 3},
                                  {"state", "ready"},
                                  {"requests_total", requests / 2},
                                  {"cpu_seconds", requests / 1000.0}});
    return all;
}

std::string frame(const json& before, const json& now, master::TopSize size = {}) {
    const auto text = top_frame(before.is_null() ? "" : before.dump(), now.dump(), 2s, size);
    REQUIRE(text);
    return *text;
}

}  // namespace

TEST_CASE("the first picture has no rates, the second has", "[top]") {
    CHECK(frame({}, status(100)).find("requests 100  -/s") != std::string::npos);
    const auto second = frame(status(100), status(500));
    CHECK(second.find("requests 500  200/s") != std::string::npos);
    CHECK(second.find(" 100    20 ") != std::string::npos);  // of a worker: requests, processor
    CHECK(second.find("waiting: 127.0.0.1:80 4") != std::string::npos);
}

TEST_CASE("a worker that is another process than before starts anew", "[top]") {
    auto now = status(500);
    now["workers"][0]["pid"] = 4711;
    const auto text = frame(status(100), now);
    CHECK(text.find("4711    3 ready             0         -     -") != std::string::npos);
}

TEST_CASE("counters that went back are no rate", "[top]") {
    CHECK(frame(status(500), status(100)).find("requests 100  -/s") != std::string::npos);
}

TEST_CASE("percentiles are of the requests between two pictures", "[top]") {
    auto before = status(0), now = status(100);
    before["master"]["latency_buckets"] = {1000, 0, 0};
    now["master"]["latency_buckets"] = {1000, 98, 2};
    const auto text = frame(before, now);
    CHECK(text.find("p50 <0.3ms  p90 <0.3ms  p99 >") != std::string::npos);
}

TEST_CASE("a picture fits its window", "[top]") {
    const auto text = frame({}, status(1, 100), {.columns = 40, .lines = 12});
    CHECK(std::count(text.begin(), text.end(), '\n') == 12);
    std::size_t line = 0;
    for (const char c : text) {
        line = c == '\n' ? 0 : line + 1;
        CHECK(line <= 40);
    }
    CHECK(text.find("... 94 more") != std::string::npos);
}

TEST_CASE("a master of another version is shown as far as it is understood", "[top]") {
    CHECK(top_frame("", "{}", 1s, {}));
    CHECK(top_frame("{}", R"({"master": 3, "workers": [1, {}], "listeners": {"x": {}}})", 1s, {}));
    CHECK_FALSE(top_frame("", "nonsense", 1s, {}));
    CHECK(top_frame("nonsense", status(1).dump(), 1s, {}));
}

TEST_CASE("what a worker has in flight cannot steer the terminal", "[top]") {
    auto now = status(1);
    now["workers"][0]["in_flight"] = "GET /\033[2J\n";
    const auto text = frame({}, now, {.columns = 200, .lines = 0});
    CHECK(text.find('\033') == std::string::npos);
    CHECK(text.find("GET /?[2J?") != std::string::npos);
}
