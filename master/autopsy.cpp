// master/autopsy.cpp: master and worker are one image, so a worker's addresses are ours.
#include "master/autopsy.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <seccomp.h>
#include <signal.h>
#include <spdlog/fmt/fmt.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <string_view>

namespace master {
namespace {

constexpr std::size_t backtrace_bytes_max = 1800;

struct Free {
    void operator()(char* text) const noexcept { std::free(text); }
};

/// "worker::Life::begin()+0x12", or "reeve+0x1234" where there is no name.
std::string name_of(void* address) {
    Dl_info found{};
    if (::dladdr(address, &found) == 0) return fmt::format("{}", address);
    const auto* at = static_cast<const char*>(address);
    if (found.dli_sname == nullptr || found.dli_saddr == nullptr) {
        Dl_info ours{};  // the process's title stands where the program's name was
        const bool is_ours =
            ::dladdr(reinterpret_cast<void*>(&autopsy), &ours) != 0 && ours.dli_fbase == found.dli_fbase;
        const std::string_view file(is_ours || found.dli_fname == nullptr ? "reeve" : found.dli_fname);
        return fmt::format("{}+{:#x}", file.substr(file.rfind('/') + 1),
                           at - static_cast<const char*>(found.dli_fbase));
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
        text += name_of(frames[index]);
    }
    if (text.size() > backtrace_bytes_max) text.resize(backtrace_bytes_max);
    return text;
}

}  // namespace

std::string autopsy(const ipc::CrashNote& note) {
    const auto signal = note.signal();
    if (signal.number == 0) return {};
    std::string text;
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
