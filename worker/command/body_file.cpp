#include "worker/command/body_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include <fmt/format.h>

#include "conf/units.h"
#include "ipc/unique_fd.h"

namespace worker::command {

ipc::Result<std::string> read_body(const std::string& path, std::uint64_t bytes_max) {
    const bool standard = path == "-";
    const std::string name = standard ? "standard input" : path;
    ipc::UniqueFd opened(standard ? -1 : ::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!standard && !opened) return ipc::system_error("open " + name);
    const int file = standard ? STDIN_FILENO : opened.get();
    std::string body;
    std::array<char, 65'536> piece{};
    for (;;) {
        const auto got = ::read(file, piece.data(), piece.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return ipc::system_error("read " + name);
        if (got == 0) return body;
        if (body.size() + static_cast<std::size_t>(got) > bytes_max)
            return ipc::failure(fmt::format("{} is longer than the queue's job_size_max, {}", name,
                                            conf::print_size(bytes_max)));
        body.append(piece.data(), static_cast<std::size_t>(got));
    }
}

}  // namespace worker::command
