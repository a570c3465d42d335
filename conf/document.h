// conf/document.h: the configuration file and what it includes as one list of sections.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "conf/report.h"

namespace conf {

/// One line of a section: `key = value`, or a line that continues it.
struct Entry {
    std::string key, value;
    Place place;
    bool continued = false;
    bool refused = false;  ///< it was complained about and says nothing to later checks
};

struct Section {
    std::string kind, name;  ///< name is empty when there is none
    Place place;
    std::vector<Entry> entries;  ///< without `include`

    /// As it reads in the file: "[server site]".
    [[nodiscard]] std::string text() const;
};

struct Document {
    std::vector<std::string> folders;  ///< absolute, of each file: relative paths in it count from here
    std::vector<Section> sections;     ///< in file order, what is included in place of its `include`
};

/// Bounds on `include`: files inside files, and files in all.
constexpr unsigned include_depth_max = 8;
constexpr std::size_t files_max = 1000;
/// Of one file, in bytes.
constexpr std::size_t file_bytes_max = 4 << 20;

/// Reads the file and all it includes; what cannot be read goes to `report`.
[[nodiscard]] Document read_document(const std::string& path, Report& report);

/// The same for text without a file: includes are refused, relative paths count from the current folder.
[[nodiscard]] Document read_document_text(std::string_view text, const std::string& name, Report& report);

}  // namespace conf
