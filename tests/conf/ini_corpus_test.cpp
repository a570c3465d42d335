#include "tests/fuzz/ini_property.h"

TEST_CASE("every file of the configuration's corpus keeps its property", "[conf][corpus]") {
    const auto files = fuzz::corpus("ini_fuzz");
    CHECK_FALSE(files.empty());
    for (const auto& file : files) fuzz::check_ini(file);
}

TEST_CASE("a configuration cut at any byte keeps its property", "[conf][corpus]") {
    for (const auto& file : fuzz::corpus("ini_fuzz"))
        for (std::size_t size = 0; size < file.size() && size < 2000; ++size)
            fuzz::check_ini(std::string_view(file).substr(0, size));
}
