// master/process_usage.cpp: fields 14, 15 and 24 of proc(5)'s stat.
#include "master/process_usage.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <vector>

#include "ipc/unique_fd.h"

namespace master {
namespace {

// Counted from the field after the name, which is number 3.
constexpr std::size_t user_time = 14 - 3;
constexpr std::size_t system_time = 15 - 3;
constexpr std::size_t resident_pages = 24 - 3;

std::optional<std::uint64_t> number(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

}  // namespace

std::optional<ProcessUsage> parse_process_stat(std::string_view stat) {
    const auto name_end = stat.rfind(") ");
    if (name_end == std::string_view::npos) return std::nullopt;
    stat.remove_prefix(name_end + 2);
    std::vector<std::string_view> fields;
    while (!stat.empty() && fields.size() <= resident_pages) {
        const auto size = std::min(stat.find(' '), stat.size());
        fields.push_back(stat.substr(0, size));
        stat.remove_prefix(std::min(size + 1, stat.size()));
    }
    if (fields.size() <= resident_pages) return std::nullopt;
    const auto user = number(fields[user_time]);
    const auto system = number(fields[system_time]);
    const auto pages = number(fields[resident_pages]);
    if (!user || !system || !pages) return std::nullopt;
    return ProcessUsage{
        .cpu_seconds = static_cast<double>(*user + *system) / static_cast<double>(::sysconf(_SC_CLK_TCK)),
        .rss_bytes = *pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE))};
}

std::optional<ProcessUsage> process_usage(pid_t pid) {
    const auto path = "/proc/" + std::to_string(pid) + "/stat";
    const ipc::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return std::nullopt;
    std::array<char, 1024> text{};
    const auto size = ::read(file.get(), text.data(), text.size());
    if (size <= 0) return std::nullopt;
    return parse_process_stat({text.data(), static_cast<std::size_t>(size)});
}

}  // namespace master
