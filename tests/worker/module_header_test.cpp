// The header of modules is what compiled modules were built against: it may not change unnoticed.
#include <catch2/catch.hpp>

#include <fstream>
#include <sstream>
#include <string>

#include "worker/module/reeve.h"

namespace {

/// The code alone: neither comments nor space.
std::string code_of(const std::string& path) {
    std::ifstream file(path);
    std::string code;
    for (std::string line; std::getline(file, line);) {
        line.resize(std::min(line.size(), line.find("//")));
        for (const char c : line)
            if (c != ' ' && c != '\\') code += c;
    }
    return code;
}

std::uint64_t hash_of(const std::string& text) {
    std::uint64_t hash = 14695981039346656037ull;
    for (const char c : text) hash = reeve::detail::mix(hash, static_cast<unsigned char>(c));
    return hash;
}

}  // namespace

TEST_CASE("the interface of modules has another number when its header changes", "[module]") {
    const auto code = code_of("worker/module/reeve.h");
    REQUIRE_FALSE(code.empty());
    // Changed? If a module that is compiled already would not stand it (another virtual function, another
    // member, another meaning), raise REEVE_MODULE_ABI. Then write down the new hash.
    CHECK(REEVE_MODULE_ABI == 2);
    CHECK(hash_of(code) == 587587018981156278u);
}
