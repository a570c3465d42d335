// conf/pool_types.h: the types of settings of pools.
#pragma once

#include <string>
#include <vector>

#include "conf/setting.h"

namespace conf {

/// `fastcgi CMD...`, `cgi CMD...`, `module PATH...` or `work`; a relative path counts from the
/// configuration's folder.
struct PoolRunType {
    [[nodiscard]] Parsed<PoolRun> parse(const Value& value) const;
    [[nodiscard]] std::string print(const PoolRun& run) const;
};

/// `cpu=60s memory=512m files=1024 core=0 processes=64 file_size=1g`, several a line.
struct ResourceLimits {
    [[nodiscard]] Parsed<std::vector<ResourceLimit>> parse(const Value& value) const;
    [[nodiscard]] std::string print(const ResourceLimit& limit) const;
};
[[nodiscard]] std::string_view name(ResourceLimit::What what) noexcept;
/// The number that setrlimit(2) knows it by.
[[nodiscard]] int resource_number(ResourceLimit::What what) noexcept;

/// `NAME=VALUE`, one a line.
struct VariableType {
    [[nodiscard]] Parsed<std::vector<Variable>> parse(const Value& value) const;
    [[nodiscard]] std::string print(const Variable& variable) const;
};

/// Where a program without a slash is looked for.
constexpr std::string_view program_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The program's file, which can be executed; empty: there is none. Asks the file system.
[[nodiscard]] std::string find_program(const std::string& program);

/// Whether a pool of threads has this setting too.
[[nodiscard]] bool threads_know(std::string_view key) noexcept;
/// Likewise, one whose threads have a process of their own.
[[nodiscard]] bool hosted_know(std::string_view key) noexcept;

}  // namespace conf
