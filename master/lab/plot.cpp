#include "master/lab/plot.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>

#include <fmt/format.h>

#include "master/lab/text.h"

namespace master::lab {
namespace {

// In the units of the drawing.
constexpr double width = 680, height = 330, left = 64, right = 14, top = 34, bottom = 48;
constexpr double character = 6.2;              // of the legend's text, on average
constexpr std::size_t marked_points_max = 16;  // of a line; one with more is a curve
constexpr std::array<std::string_view, 8> colours{"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                  "#e69f00", "#56b4e9", "#8c6bb1", "#777777"};

/// Where values are on the paper.
class Scale {
 public:
    Scale(const Axis& axis, double least, double most, double begin, double end)
        : log_(axis.log), begin_(begin), end_(end) {
        from_ = axis.from.value_or(log_ ? std::pow(10, std::floor(std::log10(least) * 2) / 2)
                                        : std::min(0.0, least));
        to_ = axis.to.value_or(log_ ? most * 1.25 : most * 1.06);
        if (!(to_ > from_)) to_ = log_ ? from_ * 10 : from_ + 1;
    }
    [[nodiscard]] double at(double value) const {
        const double share = log_ ? std::log(std::max(value, from_) / from_) / std::log(to_ / from_)
                                  : (value - from_) / (to_ - from_);
        return begin_ + std::clamp(share, 0.0, 1.0) * (end_ - begin_);
    }
    [[nodiscard]] double from() const { return from_; }
    [[nodiscard]] double to() const { return to_; }

 private:
    bool log_;
    double begin_, end_, from_, to_;
};

struct Stretch {
    double least = 0, most = 0;
};

/// Of all points; of a logarithmic axis only what is above 0.
template <class Read>
Stretch stretch(const Plot& plot, bool log, Read read) {
    Stretch found;
    bool any = false;
    for (const Series& series : plot.series)
        for (const auto& point : series.points)
            for (const double value : read(point, series.mark)) {
                if (log && !(value > 0)) continue;
                found.least = any ? std::min(found.least, value) : value;
                found.most = any ? std::max(found.most, value) : value;
                any = true;
            }
    if (!any) return {log ? 1.0 : 0.0, log ? 10.0 : 1.0};
    return found;
}

class Drawing {
 public:
    explicit Drawing(const Plot& plot)
        : plot_(plot),
          x_(make(plot.x, left, width - right,
                  [](const auto& point, auto) {
                      return std::array{point.x, point.x};
                  })),
          y_(make(plot.y, height - bottom, top, [](const auto& point, auto mark) {
              return std::array{point.y, mark == Series::Mark::range ? point.high : point.y};
          })) {}

    std::string draw() {
        append(out_,
               "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\" font-size=\"11\" "
               "font-family=\"system-ui, sans-serif\" fill=\"currentColor\">\n",
               width, height, escaped(plot_.title));
        draw_axes();
        for (std::size_t i = 0; i < plot_.series.size(); ++i) draw_series(plot_.series[i], colour(i));
        draw_legend();
        out_ += "</svg>\n";
        return std::move(out_);
    }

 private:
    template <class Read>
    Scale make(const Axis& axis, double begin, double end, Read read) const {
        const auto all = stretch(plot_, axis.log, read);
        return {axis, all.least, all.most, begin, end};
    }
    [[nodiscard]] static std::string_view colour(std::size_t i) { return colours[i % colours.size()]; }

    [[nodiscard]] static std::vector<std::pair<double, std::string>> labelled(const Axis& axis,
                                                                              const Scale& scale) {
        if (!axis.ticks.empty()) return axis.ticks;
        std::vector<std::pair<double, std::string>> all;
        for (const double tick : ticks_of(scale.from(), scale.to(), axis.log))
            all.emplace_back(tick, fmt::format("{:g}", tick));
        return all;
    }

    void draw_axes() {
        const double floor = height - bottom;
        for (const auto& [value, text] : labelled(plot_.y, y_)) {
            const double y = y_.at(value);
            append(out_,
                   "<line x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"currentColor\" "
                   "stroke-opacity=\".15\"/><text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n",
                   left, width - right, y, y, left - 6, y + 4, escaped(text));
        }
        for (const auto& [value, text] : labelled(plot_.x, x_)) {
            const double x = x_.at(value);
            append(out_,
                   "<line x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{}\" y2=\"{}\" stroke=\"currentColor\" "
                   "stroke-opacity=\".5\"/><text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
                   x, x, floor, floor + 4, x, floor + 16, escaped(text));
        }
        append(out_,
               "<line x1=\"{0}\" x2=\"{1}\" y1=\"{2}\" y2=\"{2}\" stroke=\"currentColor\" "
               "stroke-opacity=\".5\"/>\n",
               left, width - right, floor);
        append(out_, "<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
               (left + width - right) / 2, height - 10, escaped(plot_.x.label));
        append(out_,
               "<text transform=\"translate(14 {:.1f}) rotate(-90)\" text-anchor=\"middle\">{}</text>\n",
               (top + floor) / 2, escaped(plot_.y.label));
    }

    void draw_series(const Series& series, std::string_view colour) {
        append(out_, "<g stroke=\"{0}\" fill=\"{0}\">\n", colour);
        if (series.mark == Series::Mark::line) {
            out_ += "<path fill=\"none\" stroke-width=\"2\"";
            if (series.dashed) out_ += " stroke-dasharray=\"5 5\" stroke-opacity=\".7\"";
            out_ += " d=\"";
            for (std::size_t i = 0; i < series.points.size(); ++i)
                append(out_, "{}{:.1f} {:.1f}", i == 0 ? 'M' : 'L', x_.at(series.points[i].x),
                       y_.at(series.points[i].y));
            out_ += "\"/>\n";
        }
        const bool curve = series.dashed || series.points.size() > marked_points_max;
        if (series.mark != Series::Mark::line || !curve)
            for (const auto& point : series.points) draw_point(series, point);
        out_ += "</g>\n";
    }

    void draw_point(const Series& series, const Series::Point& point) {
        const bool one_of_many = series.mark == Series::Mark::cloud;
        const double x = x_.at(point.x), y = y_.at(point.y);
        if (series.mark == Series::Mark::range)
            append(out_,
                   "<path fill=\"none\" stroke-width=\"3\" stroke-opacity=\".55\" d=\"M{0:.1f} "
                   "{1:.1f}V{2:.1f}\"/>"
                   "<path fill=\"none\" stroke-width=\"2\" d=\"M{3:.1f} {2:.1f}h10\"/>",
                   x, y, y_.at(point.high), x - 5);
        append(out_, "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\"", x, y, one_of_many ? 1.7 : 3.5);
        if (one_of_many) return append(out_, " stroke=\"none\" fill-opacity=\".7\"/>\n");
        const auto what = series.mark == Series::Mark::range
                              ? fmt::format("{:.4g} to {:.4g}", point.y, point.high)
                              : fmt::format("{:.4g}", point.y);
        append(out_, "><title>{}: {}</title></circle>\n", escaped(series.name), what);
    }

    void draw_legend() {
        double x = left;
        for (std::size_t i = 0; i < plot_.series.size(); ++i) {
            if (plot_.series[i].name.empty()) continue;
            append(out_, "<rect x=\"{:.1f}\" y=\"10\" width=\"10\" height=\"10\" rx=\"2\" fill=\"{}\"/>", x,
                   colour(i));
            append(out_, "<text x=\"{:.1f}\" y=\"19\">{}</text>\n", x + 15, escaped(plot_.series[i].name));
            x += 34 + character * static_cast<double>(plot_.series[i].name.size());
        }
    }

    const Plot& plot_;
    Scale x_, y_;
    std::string out_;
};

}  // namespace

std::vector<double> ticks_of(double from, double to, bool log) {
    std::vector<double> all;
    if (log) {
        const bool few = to / from < 1000;  // then two more between the powers of ten
        for (double power = std::pow(10, std::floor(std::log10(from))); power <= to; power *= 10)
            for (const double factor : {1.0, 2.0, 5.0})
                if ((few || factor == 1.0) && power * factor >= from * 0.999 && power * factor <= to)
                    all.push_back(power * factor);
        return all;
    }
    double step = std::pow(10, std::floor(std::log10((to - from) / 3)));
    for (const double factor : {2.0, 2.5, 2.0})  // 2, 5, 10 steps of before
        if ((to - from) / step > 6) step *= factor;
    for (auto n = std::ceil(from / step - 1e-9); n * step <= to * (1 + 1e-9); ++n)
        all.push_back(n == 0 ? 0 : n * step);
    return all;
}

std::string to_svg(const Plot& plot) { return Drawing(plot).draw(); }

}  // namespace master::lab
