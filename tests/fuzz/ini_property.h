// tests/fuzz/ini_property.h: what holds for a configuration, whatever the bytes.
#pragma once

#include <cstdio>
#include <string_view>

#include "conf/load.h"
#include "tests/fuzz/property.h"

namespace fuzz {

/// Whatever loads dumps to a text that loads to the same; what does not load is complained about, with a
/// line.
inline void check_ini(std::string_view text) {
    const auto first = conf::load_text(text, "fuzz");
    if (!first) {
        require(!first.error().empty());
        for (const auto& error : first.error()) require(!error.message.empty() && error.line != 0);
        return;
    }
    const auto written = conf::dump(first->config);
    const auto second = conf::load_text(written, "dump");
    if (!second) std::fprintf(stderr, "%s\n%s\n", second.error().at(0).text().c_str(), written.c_str());
    require(second.has_value());
    require(second->config == first->config);
    require(conf::dump(second->config) == written);
}

}  // namespace fuzz
