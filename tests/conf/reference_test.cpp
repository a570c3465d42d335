// The reference in docs/ tells of every setting, with the default that the program has.
#include <fstream>
#include <sstream>

#include "conf/settings.h"

using namespace conf;

namespace {

/// The part of the reference that tells of one kind of section.
std::string chapter(const std::string& reference, std::string_view kind) {
    const auto begin = reference.find("\n## `[" + std::string(kind));
    return begin == std::string::npos ? std::string()
                                      : reference.substr(begin, reference.find("\n## ", begin + 1) - begin);
}

}  // namespace

TEST_CASE("the reference has a row for every setting with its default", "[conf]") {
    std::stringstream text;
    text << std::ifstream("docs/CONFIGURATION.md").rdbuf();
    const auto reference = text.str();
    REQUIRE_FALSE(reference.empty());
    for (const auto& setting : described()) {
        const auto value = setting.value.empty() ? std::string("–") : "`" + setting.value + "`";
        const auto row = "\n| `" + std::string(setting.key) + "` | " + value + " | ";
        CAPTURE(setting.kind, row);
        CHECK(chapter(reference, setting.kind).find(row) != std::string::npos);
    }
}

TEST_CASE("every row of the reference is a setting of the program", "[conf]") {
    std::ifstream reference("docs/CONFIGURATION.md");
    std::string kind;
    std::size_t rows = 0;
    for (std::string line; std::getline(reference, line);) {
        if (line.starts_with("## "))
            kind = line.starts_with("## `[") ? line.substr(5, line.find_first_of(" ]", 5) - 5) : "";
        if (kind.empty() || !line.starts_with("| `")) continue;
        const auto key = line.substr(3, line.find('`', 3) - 3);
        CAPTURE(kind, key);
        const auto all = described();
        CHECK(std::any_of(all.begin(), all.end(),
                          [&](const auto& setting) { return setting.kind == kind && setting.key == key; }));
        ++rows;
    }
    CHECK(rows == described().size());
}
