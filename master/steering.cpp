// master/steering.cpp: random number, modulo, table; attached to a reuseport group.
#include "master/steering.h"

#include <sys/socket.h>

#include <cstdlib>

namespace master {
namespace {

sock_filter instruction(int code, std::uint32_t k, std::uint8_t if_true = 0, std::uint8_t if_false = 0) {
    return {.code = static_cast<std::uint16_t>(code), .jt = if_true, .jf = if_false, .k = k};
}

}  // namespace

std::vector<sock_filter> steering_program(std::span<const std::uint32_t> live) {
    if (live.empty() || live.size() > steered_max) std::abort();
    const auto count = static_cast<std::uint32_t>(live.size());
    std::vector<sock_filter> program;
    program.push_back(
        instruction(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_RANDOM)));
    program.push_back(instruction(BPF_ALU | BPF_MOD | BPF_K, count));
    for (std::uint32_t choice = 0; choice + 1 < count; ++choice) {
        program.push_back(instruction(BPF_JMP | BPF_JEQ | BPF_K, choice, 0, 1));  // else skip the answer
        program.push_back(instruction(BPF_RET | BPF_K, live[choice]));
    }
    program.push_back(instruction(BPF_RET | BPF_K, live.back()));
    return program;
}

ipc::Result<void> steer(int socket, std::span<const std::uint32_t> live) {
    auto program = steering_program(live);
    const sock_fprog attached{.len = static_cast<unsigned short>(program.size()), .filter = program.data()};
    if (::setsockopt(socket, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &attached, sizeof attached) < 0)
        return ipc::system_error("attach steering program");
    return {};
}

ipc::Result<void> unsteer(int socket) {
    const int unused = 0;
    if (::setsockopt(socket, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &unused, sizeof unused) < 0 &&
        errno != ENOENT)  // none was attached
        return ipc::system_error("detach steering program");
    return {};
}

}  // namespace master
