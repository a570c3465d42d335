#include "worker/execution/short_slice.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace worker::execution {
namespace {

/// struct sched_attr of the kernel (sched_setattr(2)), which the C library does not have.
struct Attributes {
    std::uint32_t size = sizeof(Attributes);
    std::uint32_t policy = 0;
    std::uint64_t flags = 0;
    std::int32_t nice = 0;
    std::uint32_t priority = 0;
    std::uint64_t runtime_ns = 0;
    std::uint64_t deadline_ns = 0;
    std::uint64_t period_ns = 0;
};

constexpr int this_thread = 0;

}  // namespace

bool ask_for_slice(std::chrono::microseconds slice) noexcept {
    Attributes attributes;
    if (::syscall(SYS_sched_getattr, this_thread, &attributes, sizeof attributes, 0) != 0) return false;
    attributes.runtime_ns = static_cast<std::uint64_t>(std::chrono::nanoseconds(slice).count());
    return ::syscall(SYS_sched_setattr, this_thread, &attributes, 0) == 0;
}

}  // namespace worker::execution
