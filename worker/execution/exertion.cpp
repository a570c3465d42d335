#include "worker/execution/exertion.h"

#include <errno.h>
#include <time.h>

#include <atomic>
#include <cstdint>

#include "conf/work_types.h"

namespace worker::execution {
namespace {

constexpr std::uint64_t second_ns = 1'000'000'000;
/// Some microseconds: the clock is a system call, and not to be most of the work.
constexpr int steps_a_look = 4096;

std::uint64_t own_cpu_ns() noexcept {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<std::uint64_t>(time.tv_sec) * second_ns + static_cast<std::uint64_t>(time.tv_nsec);
}

void burn(std::chrono::nanoseconds cpu) noexcept {
    const std::uint64_t end = own_cpu_ns() + static_cast<std::uint64_t>(cpu.count());
    std::uint64_t state = end;
    do {
        for (int step = 0; step < steps_a_look; ++step) {
            state = state * 6364136223846793005u + 1442695040888963407u;  // a step of Knuth's MMIX generator
            std::atomic_signal_fence(std::memory_order_seq_cst);          // which is taken, used or not
        }
    } while (own_cpu_ns() < end);
}

void be_asleep(std::chrono::nanoseconds wait) noexcept {
    timespec rest{.tv_sec = static_cast<time_t>(static_cast<std::uint64_t>(wait.count()) / second_ns),
                  .tv_nsec = static_cast<long>(static_cast<std::uint64_t>(wait.count()) % second_ns)};
    while (::nanosleep(&rest, &rest) < 0 && errno == EINTR) {
    }
}

}  // namespace

void exert(const conf::WorkAmount& amount) noexcept {
    if (amount.cpu.count() > 0) burn(amount.cpu);
    if (amount.wait.count() > 0) be_asleep(amount.wait);
}

std::string exertion_text(const conf::WorkAmount& amount) {
    return "worked " + conf::WorkType{}.print(amount) + "\n";
}

}  // namespace worker::execution
