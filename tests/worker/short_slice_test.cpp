#include "worker/execution/short_slice.h"

#include <catch2/catch.hpp>

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <thread>

namespace {

/// Of the calling thread: sched_runtime of sched_getattr(2), for a usual thread the length of its turns.
std::uint64_t slice_ns() {
    std::array<unsigned char, 48> attributes{};
    REQUIRE(::syscall(SYS_sched_getattr, 0, attributes.data(), attributes.size(), 0) == 0);
    std::uint64_t runtime = 0;
    std::memcpy(&runtime, attributes.data() + 24, sizeof runtime);
    return runtime;
}

bool kernel_has_slices() {
    utsname name{};
    REQUIRE(::uname(&name) == 0);
    int major = 0, minor = 0;
    REQUIRE(std::sscanf(name.release, "%d.%d", &major, &minor) == 2);
    return major > 6 || (major == 6 && minor >= 12);
}

}  // namespace

TEST_CASE("a thread that asks for short turns has them, and nobody else", "[execution]") {
    const int policy = ::sched_getscheduler(0);
    const int nice = ::getpriority(PRIO_PROCESS, 0);
    const std::uint64_t before = slice_ns();
    bool taken = false;
    std::uint64_t slice = 0;
    int policy_after = -1, nice_after = -100;
    std::thread([&] {
        taken = worker::execution::ask_for_slice(worker::execution::shortest_slice);
        slice = slice_ns();
        policy_after = ::sched_getscheduler(0);
        nice_after = ::getpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()));
    }).join();
    CHECK(taken);
    CHECK(slice == (kernel_has_slices() ? 100'000u : before));
    CHECK(policy_after == policy);
    CHECK(nice_after == nice);
    CHECK(slice_ns() == before);
}
