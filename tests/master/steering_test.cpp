// tests/master/steering_test.cpp: the program picks live sockets only, on paper and in the kernel.
#include "master/steering.h"

#include <set>

namespace {

/// Runs what classic BPF we use, with `random` as the kernel's random number.
std::uint32_t interpret(const std::vector<sock_filter>& program, std::uint32_t random) {
    std::uint32_t accumulator = 0;
    for (std::size_t next = 0; next < program.size(); ++next) {
        const auto& step = program[next];
        switch (step.code) {
            case BPF_LD | BPF_W | BPF_ABS:
                REQUIRE(step.k == static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_RANDOM));
                accumulator = random;
                break;
            case BPF_ALU | BPF_MOD | BPF_K: accumulator %= step.k; break;
            case BPF_JMP | BPF_JEQ | BPF_K: next += accumulator == step.k ? step.jt : step.jf; break;
            case BPF_RET | BPF_K: return step.k;
            default: FAIL("unknown instruction " << step.code);
        }
    }
    FAIL("the program ends without an answer");
    return 0;
}

}  // namespace

TEST_CASE("the steering program chooses every live socket equally and no other", "[master]") {
    const auto live = GENERATE(std::vector<std::uint32_t>{0}, std::vector<std::uint32_t>{5},
                               std::vector<std::uint32_t>{0, 1, 2}, std::vector<std::uint32_t>{7, 2, 4, 900});
    const auto program = master::steering_program(live);
    std::vector<std::uint32_t> hits(1000);
    for (std::uint32_t random = 0; random < 12 * live.size(); ++random) ++hits[interpret(program, random)];
    for (const auto index : live) CHECK(hits[index] == 12);
}

TEST_CASE("a program for the largest group is one the kernel takes", "[master]") {
    std::vector<std::uint32_t> live;
    for (std::uint32_t index = 0; index < master::steered_max; ++index) live.push_back(index);
    const auto program = master::steering_program(live);
    CHECK(program.size() <= BPF_MAXINSNS);
    CHECK(interpret(program, master::steered_max - 1) == master::steered_max - 1);
}
