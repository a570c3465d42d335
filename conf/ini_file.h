// conf/ini_file.h: INI text taken apart into sections and settings, each with its line.
//
// inih does the splitting. Debian's cuts section and key names at 49 characters and passes in silence over
// what it does not understand, so every line is looked at before inih gets it: what it would cut, misread or
// drop is refused here with its line, and inih sees an empty line in its place.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace conf {

/// In bytes, without the line end; longer lines are refused.
constexpr std::size_t line_bytes_max = 64 * 1024;
/// inih's own limit for the text between the brackets, and for a key.
constexpr std::size_t name_bytes_max = 49;

struct IniSetting {
    std::string key;
    std::string value;  ///< as written, without comment and outer white space; may be empty
    std::uint32_t line = 0;
    bool continued = false;  ///< an indented line below the one that names the key
};

/// `[kind name]`; the name may be missing.
struct IniSection {
    std::string kind, name;
    std::uint32_t line = 0;
    std::vector<IniSetting> settings;
};

struct IniComplaint {
    std::uint32_t line = 0;
    std::string message;
};

struct IniText {
    std::vector<IniSetting> top;  ///< what stands before the first section
    std::vector<IniSection> sections;
    std::vector<IniComplaint> complaints;  ///< in line order
};

/// Takes any bytes. Settings below a section header that was refused are left out without further complaint.
[[nodiscard]] IniText read_ini(std::string_view text);

/// Letters, digits, `_`, `.` and `-`: what names of sections are made of.
[[nodiscard]] bool is_name(std::string_view text);

}  // namespace conf
