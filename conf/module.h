// conf/module.h: [module NAME]: a shared object whose functions answer requests and compute.
#pragma once

#include <string>
#include <vector>

#include "conf/pool.h"

namespace conf {

struct Module {
    std::string name;
    std::string path;               ///< absolute
    std::vector<Variable> options;  ///< what it asks for by name
    bool sandbox = false;           ///< it needs no system calls but those of workers
    bool operator==(const Module&) const = default;
};

/// `module = NAME/HANDLER`.
struct ModuleUse {
    std::string module;
    std::string handler;  ///< empty: the only one there is
    bool operator==(const ModuleUse&) const = default;
};

struct Config;

constexpr std::size_t modules_max = 64;

/// What the pool's processes load: its [module], or the file that its `run` names. Without a path: neither.
[[nodiscard]] Module module_of(const Pool& pool, const std::vector<Module>& modules);
/// Whom requests to such a pool go to; as above where it says nothing.
[[nodiscard]] std::string module_handler_of(const Pool& pool);
/// Whether the sandbox is on, and all modules that workers load can live in it.
[[nodiscard]] bool workers_are_sandboxed(const Config& config);

}  // namespace conf
