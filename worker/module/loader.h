// worker/module/loader.h: the one door by which modules come into a process.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conf/config.h"
#include "conf/load.h"
#include "ipc/result.h"
#include "worker/module/reeve.h"

namespace worker::module {

/// A shared object that is loaded, and what it has registered. Stays loaded for as long as the process lives:
/// threads may be in it to the end.
class Module {
 public:
    /// `checking`: to see whether it can be used, and for nothing else. Loading runs code of the module.
    [[nodiscard]] static ipc::Result<Module> load(const conf::Module& config, bool checking);

    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    /// By its name; empty: the only one. Null: there is none, or none is the only one.
    [[nodiscard]] const reeve::Setup::NamedHandler* handler(std::string_view name) const noexcept;
    [[nodiscard]] const reeve::Function* function(std::string_view name) const noexcept;
    [[nodiscard]] const reeve::JobFunction* job(std::string_view name) const noexcept;
    /// "module m has no job function `x`; it has `a`, `b`".
    [[nodiscard]] std::string missing_job(std::string_view name) const;
    /// "there is no handler `x`; there are `a`, `b`".
    [[nodiscard]] std::string missing_handler(std::string_view name) const;
    /// An address in it.
    [[nodiscard]] const void* inside() const noexcept { return inside_; }
    [[nodiscard]] bool computes() const noexcept { return !setup_.functions.empty(); }

 private:
    Module(std::string name, const void* inside) : name_(std::move(name)), inside_(inside) {}

    std::string name_;
    const void* inside_;
    reeve::Setup setup_;
};

/// Those of a process. Read only once they are loaded, so that all threads may have them.
class Modules {
 public:
    /// Told of each by name before it is loaded: from then on its code runs.
    using OnLoad = std::function<void(const std::string& module)>;

    /// All that the routes of a configuration name: what a worker needs.
    [[nodiscard]] static ipc::Result<Modules> load(const conf::Config& config, const OnLoad& on_load = {});

    /// By name; null: it is not loaded.
    [[nodiscard]] const Module* find(std::string_view name) const noexcept;
    [[nodiscard]] const std::deque<Module>& all() const noexcept { return all_; }

 private:
    std::deque<Module> all_;
};

/// Loads all modules of a configuration, those of pools too, and says what is wrong with them, each complaint
/// with its line. For a process that does nothing else afterwards.
[[nodiscard]] std::vector<conf::Error> check_modules(const conf::Loaded& loaded);

}  // namespace worker::module
