#include "conf/pool_types.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include <fmt/format.h>

#include "conf/nearest.h"
#include "conf/types.h"
#include "conf/units.h"

namespace conf {
namespace {

using What = ResourceLimit::What;
using RunKind = PoolRun::Kind;

constexpr std::uint64_t resource_number_max = 1'000'000'000;
constexpr std::uint64_t bytes_max = 1024ull << 30;

constexpr std::array<std::pair<std::string_view, What>, 6> resources{{{"cpu", What::cpu},
                                                                      {"memory", What::memory},
                                                                      {"files", What::files},
                                                                      {"core", What::core},
                                                                      {"processes", What::processes},
                                                                      {"file_size", What::file_size}}};
constexpr std::array<std::pair<std::string_view, RunKind>, 4> runs{{{"fastcgi", RunKind::fastcgi},
                                                                    {"cgi", RunKind::cgi},
                                                                    {"module", RunKind::module},
                                                                    {"work", RunKind::work}}};

template <class Pairs>
auto find_name(const Pairs& pairs, std::string_view name) {
    return std::find_if(pairs.begin(), pairs.end(), [&](const auto& pair) { return pair.first == name; });
}

template <class Pairs>
std::string one_of(std::string_view text, const Pairs& pairs) {
    std::vector<std::string_view> names;
    names.reserve(pairs.size());
    for (const auto& pair : pairs) names.push_back(pair.first);
    return not_one_of(text, names);
}

Parsed<std::uint64_t> parse_resource(What what, std::string_view text) {
    switch (what) {
        case What::cpu: {
            const auto time = parse_time(text, std::chrono::seconds(1), std::chrono::hours(24 * 365));
            if (!time) return tl::unexpected(time.error());
            if (time->count() % 1000 != 0) return tl::unexpected<std::string>("takes whole seconds");
            return static_cast<std::uint64_t>(time->count() / 1000);
        }
        case What::memory:
        case What::file_size: return parse_size(text, 1, bytes_max);
        case What::core: return parse_size(text, 0, bytes_max);
        case What::files: return parse_number(text, 8, resource_number_max);
        case What::processes: return parse_number(text, 1, resource_number_max);
    }
    std::abort();
}

Parsed<ResourceLimit> parse_limit(const std::string& word) {
    const auto equals = word.find('=');
    const auto name = word.substr(0, equals);
    const auto known = find_name(resources, name);
    if (known == resources.end()) return tl::unexpected(one_of(name, resources));
    if (equals == std::string::npos) return tl::unexpected(fmt::format("{} has no value", name));
    const auto value = parse_resource(known->second, std::string_view(word).substr(equals + 1));
    if (!value) return tl::unexpected(fmt::format("{}: {}", name, value.error()));
    return ResourceLimit{known->second, *value};
}

bool is_variable_name(std::string_view text) {
    const auto is_letter = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    };
    return !text.empty() && is_letter(text.front()) && std::all_of(text.begin(), text.end(), [&](char c) {
        return is_letter(c) || (c >= '0' && c <= '9');
    });
}

bool is_program(const std::string& path) {
    struct stat found {};
    return ::stat(path.c_str(), &found) == 0 && S_ISREG(found.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

}  // namespace

PoolSize pool_size(const Pool& pool, std::uint32_t processors) noexcept {
    if (is_hosted(pool)) return {1, 1, 1};
    std::uint32_t begin = pool.size;
    if (begin == 0) {
        begin = pool.size_min.value_or(std::max(1u, processors));
        if (pool.size_max) begin = std::min(begin, *pool.size_max);
    }
    const std::uint32_t least = std::min(begin, pool.size_min.value_or(begin));
    return {begin, least, std::max({begin, 1u, pool.size_max.value_or(begin)})};
}

ThreadNumber thread_number(const Pool& pool) noexcept {
    const std::uint32_t begin =
        pool.size != 0 ? pool.size
                       : std::min(pool_threads_default, pool.size_max.value_or(pool_threads_default));
    return {begin, std::max(begin, pool.size_max.value_or(2 * begin))};
}

bool threads_know(std::string_view key) noexcept {
    constexpr std::array<std::string_view, 6> known{"kind",  "size",          "size_max",
                                                    "queue", "queue_timeout", "timeout"};
    return std::find(known.begin(), known.end(), key) != known.end();
}

bool hosted_know(std::string_view key) noexcept {
    constexpr std::array<std::string_view, 8> known{"kind",        "size",      "run",  "kill_grace",
                                                    "environment", "directory", "user", "rlimits"};
    return std::find(known.begin(), known.end(), key) != known.end();
}

Parsed<PoolRun> PoolRunType::parse(const Value& value) const {
    const auto words = split_words(value.text);
    if (!words) return tl::unexpected(words.error());
    const auto& kind = words->front().text;
    const auto known = find_name(runs, kind);
    if (known == runs.end()) return tl::unexpected(one_of(kind, runs));
    if (known->second == RunKind::work) {
        if (words->size() > 1) return tl::unexpected<std::string>("work takes nothing: routes say how much");
        return PoolRun{RunKind::work, {}};
    }
    if (words->size() == 1)
        return tl::unexpected(fmt::format("{} of what? a {} is missing", kind,
                                          known->second == RunKind::module ? "module" : "program"));
    PoolRun run{known->second, {}};
    for (std::size_t i = 1; i < words->size(); ++i) {
        const auto& word = (*words)[i].text;
        if (word.find('\0') != std::string::npos) return tl::unexpected<std::string>("holds a zero byte");
        run.command.push_back(word);
    }
    auto& program = run.command.front();
    if (program.empty()) return tl::unexpected<std::string>("the program has no name");
    if (program.find('/') == std::string::npos) return run;
    auto path = absolute_path(program, value.folder);
    if (!path) return tl::unexpected(path.error());
    program = std::move(*path);
    return run;
}

std::string PoolRunType::print(const PoolRun& run) const {
    if (!run.is_set()) return {};
    std::string text;
    for (const auto& [name, kind] : runs)
        if (kind == run.kind) text = name;
    for (const auto& word : run.command) text += " " + as_word(word);
    return text;
}

Parsed<std::vector<ResourceLimit>> ResourceLimits::parse(const Value& value) const {
    const auto words = split_words(value.text);
    if (!words) return tl::unexpected(words.error());
    std::vector<ResourceLimit> limits;
    for (const auto& word : *words) {
        const auto limit = parse_limit(word.text);
        if (!limit) return tl::unexpected(limit.error());
        limits.push_back(*limit);
    }
    return limits;
}

std::string ResourceLimits::print(const ResourceLimit& limit) const {
    const auto text = limit.what == What::cpu ? print_time(std::chrono::seconds(limit.value))
                      : limit.what == What::files || limit.what == What::processes
                          ? std::to_string(limit.value)
                          : print_size(limit.value);
    return fmt::format("{}={}", name(limit.what), text);
}

std::string_view name(ResourceLimit::What what) noexcept {
    for (const auto& [name, resource] : resources)
        if (resource == what) return name;
    return {};
}

int resource_number(ResourceLimit::What what) noexcept {
    switch (what) {
        case What::cpu: return RLIMIT_CPU;
        case What::memory: return RLIMIT_AS;
        case What::files: return RLIMIT_NOFILE;
        case What::core: return RLIMIT_CORE;
        case What::processes: return RLIMIT_NPROC;
        case What::file_size: return RLIMIT_FSIZE;
    }
    std::abort();
}

Parsed<std::vector<Variable>> VariableType::parse(const Value& value) const {
    const auto text = free_text(value.text);
    if (!text) return tl::unexpected(text.error());
    const auto equals = text->find('=');
    const auto name = text->substr(0, equals);
    if (!is_variable_name(name))
        return tl::unexpected(fmt::format("{} is not a variable's name", shown(name)));
    if (equals == std::string::npos) return tl::unexpected(fmt::format("{} has no value: NAME=VALUE", name));
    if (text->find('\0') != std::string::npos) return tl::unexpected<std::string>("holds a zero byte");
    return std::vector{Variable{name, text->substr(equals + 1)}};
}

std::string VariableType::print(const Variable& variable) const {
    return as_text(variable.name + "=" + variable.value);
}

std::string find_program(const std::string& program) {
    if (program.find('/') != std::string::npos) return is_program(program) ? program : std::string();
    for (std::string_view rest = program_path; !rest.empty();) {
        const auto folder = rest.substr(0, rest.find(':'));
        auto path = fmt::format("{}/{}", folder, program);
        if (is_program(path)) return path;
        rest.remove_prefix(std::min(rest.size(), folder.size() + 1));
    }
    return {};
}

}  // namespace conf
