// worker/module/loader.h: the one door by which modules come into a process.
#pragma once

#include <deque>
#include <string>
#include <string_view>
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
    /// "there is no handler `x`; there are `a`, `b`".
    [[nodiscard]] std::string missing_handler(std::string_view name) const;
    [[nodiscard]] bool computes() const noexcept { return !setup_.functions.empty(); }

 private:
    explicit Module(std::string name) : name_(std::move(name)) {}

    std::string name_;
    reeve::Setup setup_;
};

/// Those of a process. Read only once they are loaded, so that all threads may have them.
class Modules {
 public:
    /// All that the routes of a configuration name: what a worker needs.
    [[nodiscard]] static ipc::Result<Modules> load(const conf::Config& config);

    /// By name; null: it is not loaded.
    [[nodiscard]] const Module* find(std::string_view name) const noexcept;
    [[nodiscard]] std::size_t size() const noexcept { return all_.size(); }

 private:
    std::deque<Module> all_;
};

/// Loads all modules of a configuration, those of pools too, and says what is wrong with them, each complaint
/// with its line. For a process that does nothing else afterwards.
[[nodiscard]] std::vector<conf::Error> check_modules(const conf::Loaded& loaded);

}  // namespace worker::module
