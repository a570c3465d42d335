// master/control_client.cpp: one line there, everything until end-of-file back.
#include "master/control_client.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <string_view>
#include <utility>

#include "ipc/descriptors.h"
#include "master/unix_socket.h"

namespace master {
namespace {

/// Until the first line of the answer; the longest a command takes that is not a stop.
constexpr int answer_ms = 60'000;
constexpr std::string_view ok = "ok\n";
constexpr std::string_view error = "error: ";
constexpr std::string_view refusal = "refused: ";

ipc::Result<std::string> read_all(int socket, std::vector<ipc::UniqueFd>& descriptors) {
    std::string answer;
    std::array<char, 16'384> bytes{};
    for (;;) {
        // Once there is an answer, the end comes by itself: the master's own limits bound a stop.
        pollfd waiting{.fd = socket, .events = POLLIN, .revents = 0};
        const int ready = ::poll(&waiting, 1, answer.empty() ? answer_ms : -1);
        if (ready == 0) return ipc::failure("the master does not answer");
        const auto size = ready < 0 ? -1 : ipc::receive_with(socket, bytes, descriptors);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0 && errno == ECONNRESET) return answer;
        if (size < 0) return ipc::system_error("read the master's answer");
        if (size == 0) return answer;
        answer.append(bytes.data(), static_cast<std::size_t>(size));
    }
}

}  // namespace

ipc::Result<Answer> ask(const std::string& path, const std::string& command) {
    auto socket = connect_unix(path, false);
    if (!socket) return tl::make_unexpected(std::move(socket.error()));
    const std::string line = command + "\n";
    if (::send(socket->get(), line.data(), line.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(line.size()))
        if (errno != EPIPE) return ipc::system_error("send the command");  // a refusal is there to be read

    std::vector<ipc::UniqueFd> descriptors;
    const auto answer = read_all(socket->get(), descriptors);
    if (!answer) return tl::make_unexpected(answer.error());
    const std::string_view text = *answer;
    const auto reason_after = [&](std::string_view word) {
        auto reason = text.substr(word.size());
        if (reason.ends_with('\n')) reason.remove_suffix(1);
        return std::string(reason);
    };
    if (text.starts_with(ok))
        return Answer{Answer::Kind::done, std::string(text.substr(ok.size())), std::move(descriptors)};
    if (text.starts_with(error)) return Answer{Answer::Kind::failed, reason_after(error)};
    if (text.starts_with(refusal)) return Answer{Answer::Kind::refused, reason_after(refusal)};
    return ipc::failure("the master ended without an answer");
}

ipc::Result<std::string> control(const std::string& path, const std::string& command) {
    auto answer = ask(path, command);
    if (!answer) return tl::make_unexpected(std::move(answer.error()));
    if (answer->kind != Answer::Kind::done) return ipc::failure(std::move(answer->text));
    return std::move(answer->text);
}

}  // namespace master
