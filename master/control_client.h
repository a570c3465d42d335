// master/control_client.h: the other end of the control socket, for `reeve -s` and `reeve status`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ipc/result.h"
#include "ipc/unique_fd.h"

namespace master {

/// What a master answers.
struct Answer {
    enum class Kind : std::uint8_t { done, failed, refused };  ///< refused: by what its configuration says
    Kind kind = Kind::done;
    std::string text;                          ///< the payload, or the reason without the last line's end
    std::vector<ipc::UniqueFd> descriptors{};  ///< what it hands out
};

/// Sends `command` to the master at `path` and waits for the outcome: for `stop` and `quit` until the master
/// is gone. Fails when there is none, or it ends without an answer.
[[nodiscard]] ipc::Result<Answer> ask(const std::string& path, const std::string& command);

/// The same where only the payload is of interest: whatever is not done is an error with the reason.
[[nodiscard]] ipc::Result<std::string> control(const std::string& path, const std::string& command);

}  // namespace master
