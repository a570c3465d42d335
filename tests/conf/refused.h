// tests/conf/refused.h: the complaints about a text, as an author would read them.
#pragma once

#include <string>
#include <vector>

#include "conf/load.h"

/// What `load_text` complains about, each as "t:LINE: message"; empty when it loads.
inline std::vector<std::string> complaints(std::string_view text) {
    std::vector<std::string> all;
    const auto loaded = conf::load_text(text, "t");
    if (!loaded)
        for (const auto& error : loaded.error()) all.push_back(error.text());
    return all;
}

inline std::vector<std::string> advice(std::string_view text) {
    std::vector<std::string> all;
    const auto loaded = conf::load_text(text, "t");
    if (!loaded) return {"it does not load: " + loaded.error().at(0).text()};
    for (const auto& remark : loaded->advice) all.push_back(remark.text());
    return all;
}

/// The configuration of a text that must load.
inline conf::Config loaded(std::string_view text) {
    auto result = conf::load_text(text, "t");
    for (const auto& complaint : complaints(text)) FAIL_CHECK(complaint);
    REQUIRE(result);
    return result->config;
}
