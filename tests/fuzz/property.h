// tests/fuzz/property.h: what properties and the replays of their corpora share.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace fuzz {

inline void require(bool holds) {
    if (!holds) std::abort();
}

/// The contents of all files in tests/fuzz/corpus/NAME, for programs that run in the root of the sources.
inline std::vector<std::string> corpus(std::string_view name) {
    std::vector<std::string> contents;
    std::error_code missing;
    for (const auto& entry :
         std::filesystem::directory_iterator(std::filesystem::path("tests/fuzz/corpus") / name, missing)) {
        std::ifstream file(entry.path(), std::ios::binary);
        contents.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
    return contents;
}

}  // namespace fuzz
