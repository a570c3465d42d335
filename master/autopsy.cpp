// master/autopsy.cpp: master and worker are one image, so a worker's addresses are ours, apart from what it
// has loaded itself.
#include "master/autopsy.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <seccomp.h>
#include <signal.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>

namespace master {
namespace {

constexpr std::size_t backtrace_bytes_max = 1800;

struct Free {
    void operator()(char* text) const noexcept { std::free(text); }
};

std::string_view without_folders(const char* path) {
    const std::string_view file(path != nullptr ? path : "");
    return file.substr(file.rfind('/') + 1);
}

/// "worker::Life::begin()+0x12", or "reeve+0x1234" where there is no name. What lies in an object that was
/// noted is only ours to name if we have the same one in the same place.
std::string name_of(const ipc::CrashNote& note, void* address) {
    Dl_info found{};
    const bool known = ::dladdr(address, &found) != 0;
    const auto value = reinterpret_cast<std::uintptr_t>(address);
    if (const auto object = note.object_at(value)) {
        const auto file = note.file(*object);
        if (!known || reinterpret_cast<std::uintptr_t>(found.dli_fbase) != note.begin(*object) ||
            without_folders(found.dli_fname).substr(0, file.size()) != file)
            return fmt::format("{}+{:#x}", file, value - note.bias(*object));
    }
    if (!known) return fmt::format("{}", address);
    const auto* at = static_cast<const char*>(address);
    if (found.dli_sname == nullptr || found.dli_saddr == nullptr) {
        Dl_info ours{};  // the process's title stands where the program's name was
        const bool is_ours =
            ::dladdr(reinterpret_cast<void*>(&autopsy), &ours) != 0 && ours.dli_fbase == found.dli_fbase;
        const auto file = without_folders(is_ours || found.dli_fname == nullptr ? "reeve" : found.dli_fname);
        return fmt::format("{}+{:#x}", file, at - static_cast<const char*>(found.dli_fbase));
    }
    int failed = 0;
    const std::unique_ptr<char, Free> plain(abi::__cxa_demangle(found.dli_sname, nullptr, nullptr, &failed));
    return fmt::format("{}+{:#x}", plain ? plain.get() : found.dli_sname,
                       at - static_cast<const char*>(found.dli_saddr));
}

std::string backtrace_of(const ipc::CrashNote& note) {
    std::array<void*, ipc::CrashNote::frames_max> frames{};
    const std::size_t count = note.frames(frames);
    std::string text;
    for (std::size_t index = 0; index < count && text.size() < backtrace_bytes_max; ++index) {
        if (index > 0) text += " < ";
        text += name_of(note, frames[index]);
    }
    if (text.size() > backtrace_bytes_max) text.resize(backtrace_bytes_max);
    return text;
}

/// Whether `name` is one of "one,two".
bool is_among(std::string_view names, std::string_view name) {
    while (!names.empty()) {
        const auto end = std::min(names.find(','), names.size());
        if (names.substr(0, end) == name) return true;
        names.remove_prefix(std::min(end + 1, names.size()));
    }
    return false;
}

/// Calls are more than what was said before; but what was said has the handler, too.
std::string guilty(const std::string& among_calls, const std::string& running) {
    const auto said = std::string_view(running).substr(0, running.find(' '));
    return among_calls.empty() || is_among(among_calls, said) ? running : among_calls;
}

/// How much of the beginning says nothing but a name or several: what a process says of itself may be forged.
std::size_t plain_length(std::string_view text) noexcept {
    const auto is_plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
               c == '-' || c == '.' || c == ',' || c == '/';
    };
    return static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is_plain) - text.begin());
}

}  // namespace

std::string module_words(const std::string& running) {
    if (running.empty()) return {};
    std::string_view rest = running;
    rest.remove_prefix(plain_length(rest));
    if (rest.size() < running.size())
        for (const std::string_view key : {" handler=", " function=", " job="})
            if (rest.starts_with(key)) {
                rest.remove_prefix(key.size());
                rest.remove_prefix(plain_length(rest));
                break;
            }
    return rest.empty() ? " module=" + running : fmt::format(" module={:?}", running);
}

std::string memory_words(std::uint64_t rss_bytes, std::uint64_t max_memory, const std::string& modules) {
    std::string text = fmt::format(" rss_bytes={} max_memory={}", rss_bytes, max_memory);
    if (modules.empty()) return text;
    text += plain_length(modules) == modules.size() ? " modules_loaded=" + modules
                                                    : fmt::format(" modules_loaded={:?}", modules);
    return text;
}

std::string autopsy(const ipc::CrashNote& note, const std::string& running) {
    const auto signal = note.signal();
    if (signal.number == 0) return module_words(running);
    std::string text = module_words(guilty(note.module(), running));
    if (signal.address != 0) text += fmt::format(" fault_address={:#x}", signal.address);
    if (signal.number == SIGSYS) {
        const std::unique_ptr<char, Free> name(
            ::seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, signal.system_call));
        text += fmt::format(" denied_call={}", name ? name.get() : std::to_string(signal.system_call));
    }
    if (const auto backtrace = backtrace_of(note); !backtrace.empty())
        text += fmt::format(" backtrace={:?}", backtrace);
    return text;
}

}  // namespace master
