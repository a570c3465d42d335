// master/lab/plot.h: a figure as data, and as SVG that stands in an HTML page.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace master::lab {

struct Axis {
    std::string label{};  ///< with its unit: "latency, ms"
    bool log = false;     ///< only what is above 0 is shown
    std::optional<double> from{}, to{};
    std::vector<std::pair<double, std::string>> ticks{};  ///< none: found
};

struct Series {
    enum class Mark { line, dots, cloud, range };
    struct Point {
        double x = 0, y = 0;
        double high = 0;  ///< of a range: its upper end
    };
    std::string name{};
    std::vector<Point> points{};
    Mark mark = Mark::line;
    bool dashed = false;  ///< a line that is no measurement
};

struct Plot {
    std::string title{};
    Axis x{}, y{};
    std::vector<Series> series{};
};

/// Text and lines take the page's colour, so that it may be dark or light.
[[nodiscard]] std::string to_svg(const Plot& plot);

/// Round numbers over that stretch, between three and eight of them; with `log` of each power of ten.
[[nodiscard]] std::vector<double> ticks_of(double from, double to, bool log);

}  // namespace master::lab
