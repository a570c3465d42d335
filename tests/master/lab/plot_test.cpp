// tests/master/lab/plot_test.cpp: round numbers on the axes, points where they belong.
#include "master/lab/plot.h"

using namespace master::lab;

namespace {

std::size_t count(const std::string& text, std::string_view part) {
    std::size_t found = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
    return found;
}

}  // namespace

TEST_CASE("ticks are round and few", "[lab]") {
    CHECK(ticks_of(0, 10, false) == std::vector<double>{0, 2, 4, 6, 8, 10});
    CHECK(ticks_of(0, 1, false).size() == 6);
    CHECK(ticks_of(1, 5000, true) == std::vector<double>{1, 10, 100, 1000});
    CHECK(ticks_of(0.5, 25, true) == std::vector<double>{0.5, 1, 2, 5, 10, 20});
    for (const double most : {0.0013, 0.9, 1.0, 3.3, 7.0, 64.0, 999.0, 123'456.0}) {
        const auto ticks = ticks_of(0, most, false);
        CAPTURE(most, ticks);
        CHECK(ticks.size() >= 3);
        CHECK(ticks.size() <= 8);
        CHECK(ticks.front() == 0);
        CHECK(ticks.back() <= most * 1.001);
    }
}

TEST_CASE("a plot has its points, its names and its units", "[lab]") {
    Plot plot{.title = "a < b",
              .x = {.label = "time, s"},
              .y = {.label = "latency, ms", .log = true},
              .series = {{.name = "one & two", .points = {{0, 1}, {1, 10}, {2, 0}}},
                         {.name = "dots", .points = {{0.5, 3}}, .mark = Series::Mark::dots},
                         {.name = "range", .points = {{1, 1, 9}}, .mark = Series::Mark::range},
                         {.name = "goal", .points = {{0, 1}, {2, 5}}, .dashed = true}}};
    const auto svg = to_svg(plot);
    CHECK(svg.find("aria-label=\"a &lt; b\"") != std::string::npos);
    CHECK(svg.find(">one &amp; two</text>") != std::string::npos);
    CHECK(svg.find(">time, s</text>") != std::string::npos);
    CHECK(svg.find(">latency, ms</text>") != std::string::npos);
    CHECK(count(svg, "<circle") == 5);
    CHECK(count(svg, "stroke-dasharray") == 1);
    CHECK(svg.find("nan") == std::string::npos);
    CHECK(svg.find("inf") == std::string::npos);
    CHECK(svg.ends_with("</svg>\n"));
}

TEST_CASE("a plot of nothing is empty, and no accident", "[lab]") {
    for (const bool log : {false, true}) {
        const auto svg =
            to_svg({.title = "", .x = {.label = "", .log = log}, .y = {.label = "", .log = log}});
        CHECK(svg.find("nan") == std::string::npos);
        CHECK(svg.find("<circle") == std::string::npos);
    }
}
