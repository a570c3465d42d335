// conf/report.h: collects complaints and advice, each with its place, while a configuration is read.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conf/load.h"

namespace conf {

/// A line of one of the files; files are numbered in the order in which they were included.
struct Place {
    std::uint32_t file = 0;
    std::uint32_t line = 0;                          ///< 0: the file as a whole
    auto operator<=>(const Place&) const = default;  // NOLINT(modernize-use-nullptr): none is there
};

class Report {
 public:
    /// Names the next file; its number is what `Place::file` holds.
    std::uint32_t add_file(std::string name);

    void refuse(Place where, std::string message) { errors_.emplace_back(where, std::move(message)); }
    void advise(Place where, std::string message) { advice_.emplace_back(where, std::move(message)); }

    /// "line 7", or "conf.d/a.ini:7" when that is not the file of `from`.
    [[nodiscard]] std::string refer(Place to, Place from) const;

    /// For a complaint that others may have.
    [[nodiscard]] Error at(Place where) const { return {files_.at(where.file), where.line, {}}; }

    [[nodiscard]] bool refused() const { return !errors_.empty(); }
    [[nodiscard]] std::vector<Error> errors() const { return in_file_order(errors_); }
    [[nodiscard]] std::vector<Error> advice() const { return in_file_order(advice_); }

 private:
    using Remarks = std::vector<std::pair<Place, std::string>>;
    [[nodiscard]] std::vector<Error> in_file_order(Remarks remarks) const;

    std::vector<std::string> files_;
    Remarks errors_, advice_;
};

}  // namespace conf
