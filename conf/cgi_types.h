// conf/cgi_types.h: the types of settings of routes that ask programs.
#pragma once

#include <string>
#include <vector>

#include "conf/setting.h"

namespace conf {

/// `NAME VALUE`, one a line: a name of letters, digits and `_`, and a text with $variables, or nothing.
struct CgiParam {
    [[nodiscard]] Parsed<std::vector<Header>> parse(const Value& value) const;
    [[nodiscard]] std::string print(const Header& param) const;
};

/// `.php .phtml`, several a line.
struct ScriptExtensions {
    [[nodiscard]] Parsed<std::vector<std::string>> parse(const Value& value) const;
    [[nodiscard]] std::string print(const std::string& extension) const;
};

/// The name of a file in a folder, or `off`.
struct ScriptName {
    [[nodiscard]] Parsed<std::string> parse(const Value& value) const;
    [[nodiscard]] std::string print(const std::string& name) const;
};

}  // namespace conf
