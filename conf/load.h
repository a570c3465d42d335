// conf/load.h: from a file to a checked Config, with every complaint at once.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "conf/config.h"

namespace conf {

/// For whoever wrote the file: `reeve.ini:12: port: "http" is not a number, 1 to 65535`.
struct Error {
    std::string file;
    std::uint32_t line = 0;  ///< 0: the file as a whole
    std::string message;

    [[nodiscard]] std::string text() const;
};

/// A configuration that serves, and what its author may want to think about.
struct Loaded {
    Config config;
    std::vector<Error> advice;  ///< not errors: `reeve -t` prints them as warnings
    /// Where each [module], each route's `module`, each pool's `run` and each queue's `function`, or `pool`,
    /// stands, in the order of `config`, for complaints of whoever loads modules. Without messages.
    std::vector<Error> module_lines, route_lines, pool_lines, queue_lines;
};

/// Reads and checks the file and what it includes; on failure every complaint, in file order.
/// Opens nothing but the configuration itself, and looks whether what pools run is there. Relative paths in a
/// file count from its folder.
[[nodiscard]] tl::expected<Loaded, std::vector<Error>> load(const std::string& path);

/// The same for text that stands in no file; `name` is what complaints call it. Includes are refused, and the
/// file system is not asked.
[[nodiscard]] tl::expected<Loaded, std::vector<Error>> load_text(std::string_view text,
                                                                 const std::string& name);

/// The effective configuration as INI: every setting with its value and one comment line.
/// What `load` makes of it is the same configuration.
[[nodiscard]] std::string dump(const Config& config);

/// As `dump`, for people to read and pass on: secrets are `***`, which a file is refused with.
[[nodiscard]] std::string dump_without_secrets(const Config& config);

}  // namespace conf
