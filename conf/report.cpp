#include "conf/report.h"

#include <algorithm>

#include <fmt/format.h>

namespace conf {

std::string Error::text() const {
    return line == 0 ? fmt::format("{}: {}", file, message) : fmt::format("{}:{}: {}", file, line, message);
}

std::uint32_t Report::add_file(std::string name) {
    files_.push_back(std::move(name));
    return static_cast<std::uint32_t>(files_.size() - 1);
}

std::string Report::refer(Place to, Place from) const {
    return to.file == from.file ? fmt::format("line {}", to.line)
                                : fmt::format("{}:{}", files_.at(to.file), to.line);
}

std::vector<Error> Report::in_file_order(Remarks remarks) const {
    std::stable_sort(remarks.begin(), remarks.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<Error> errors;
    for (auto& [where, message] : remarks)
        errors.push_back({files_.at(where.file), where.line, std::move(message)});
    return errors;
}

}  // namespace conf
