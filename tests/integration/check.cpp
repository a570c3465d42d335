#include "tests/integration/check.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

namespace integration {
namespace {

constexpr std::chrono::milliseconds look_again{5};

}  // namespace

void fail(const std::string& why) {
    FAIL(why);
    std::abort();  // FAIL does not return
}

void complain(const std::string& why) { FAIL_CHECK(why); }

void eventually(const std::string& what, const std::function<bool()>& is_so) {
    const auto start = Clock::now();
    while (!is_so()) {
        if (Clock::now() - start > patience) fail("waited in vain until " + what);
        std::this_thread::sleep_for(look_again);
    }
}

int milliseconds_left(Clock::time_point start) {
    const auto left = patience - (Clock::now() - start);
    return static_cast<int>(
        std::max<long long>(0, std::chrono::duration_cast<std::chrono::milliseconds>(left).count()));
}

std::string contents(const std::string& path) {
    const std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    if (file) text << file.rdbuf();
    return text.str();
}

std::size_t count(const std::string& text, const std::string& part) {
    std::size_t found = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++found;
    return found;
}

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace integration
