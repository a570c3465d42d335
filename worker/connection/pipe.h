// worker/connection/pipe.h: a pipe through which bytes pass from socket to socket without being copied.
#pragma once

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <utility>

#include "ipc/unique_fd.h"
#include "worker/connection/shared.h"

namespace worker::connection {

/// Both ends; what a response still sends from it keeps it.
struct Pipe final : Shared {
    /// How much it is to hold. Wide ones are for few: what all pipes of a user may hold has a limit, beyond
    /// which the kernel makes none but tiny ones (pipe(7), pipe-user-pages-soft).
    static constexpr int usual_bytes = 256 * 1024, wide_bytes = 1024 * 1024;
    /// Below this a copy costs less.
    static constexpr int least_bytes = 64 * 1024;

    /// Narrower than `bytes` where the system allows no more. Empty when it would be too narrow, or when
    /// there are no descriptors left.
    [[nodiscard]] static Ref<Pipe> make(int bytes) {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) return {};
        Ref<Pipe> pipe(new Pipe);
        pipe->reading = ipc::UniqueFd(ends[0]);
        pipe->writing = ipc::UniqueFd(ends[1]);
        if (::fcntl(ends[1], F_SETPIPE_SZ, bytes) >= 0) return pipe;
        if (bytes > usual_bytes && ::fcntl(ends[1], F_SETPIPE_SZ, usual_bytes) >= 0) return pipe;
        return ::fcntl(ends[1], F_GETPIPE_SZ) >= least_bytes ? pipe : Ref<Pipe>();
    }

    [[nodiscard]] bool empty() const noexcept {
        int bytes = 0;
        return ::ioctl(reading.get(), FIONREAD, &bytes) == 0 && bytes == 0;
    }

    ipc::UniqueFd reading, writing;
};

}  // namespace worker::connection
