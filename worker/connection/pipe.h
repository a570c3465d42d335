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
    static constexpr int wanted_bytes = 256 * 1024;

    /// Empty when there are no descriptors left.
    [[nodiscard]] static Ref<Pipe> make() {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) return {};
        Ref<Pipe> pipe(new Pipe);
        pipe->reading = ipc::UniqueFd(ends[0]);
        pipe->writing = ipc::UniqueFd(ends[1]);
        ::fcntl(ends[1], F_SETPIPE_SZ, wanted_bytes);  // as it was when the user has too much of it
        return pipe;
    }

    [[nodiscard]] bool empty() const noexcept {
        int bytes = 0;
        return ::ioctl(reading.get(), FIONREAD, &bytes) == 0 && bytes == 0;
    }

    ipc::UniqueFd reading, writing;
};

}  // namespace worker::connection
