// master/control_server.h: the Unix socket of `reeve -s` and `reeve status`.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ipc/event.h"
#include "ipc/result.h"
#include "ipc/unique_fd.h"
#include "master/unix_socket.h"

namespace master {

/// One conversation: a line with a command in; `ok` or `error: WHY`, a payload, and the end out.
/// Only root and our own user are heard. Number of clients, length of the line and times are bounded.
class ControlServer {
 public:
    static constexpr std::size_t clients_max = 16;
    static constexpr std::size_t line_bytes_max = 256;

    using ClientId = std::uint64_t;
    using OnCommand = std::function<void(ClientId client, std::string_view command)>;

    /// The socket file, of mode 0600. A second instance is refused.
    [[nodiscard]] static ipc::Result<UnixSocket> bind(const std::string& path);

    /// `loop` outlives this. Each command must be answered some time, by `answer`.
    ControlServer(event_base& loop, UnixSocket socket, OnCommand on_command);
    ~ControlServer();
    ControlServer(const ControlServer&) = delete;
    ControlServer& operator=(const ControlServer&) = delete;

    /// To hand on.
    [[nodiscard]] int fd() const noexcept { return socket_.fd(); }
    /// Nobody new is heard, or again; whoever is being served still is.
    void pause() noexcept { readable_.disarm(); }
    void resume() { readable_.arm(); }
    /// The socket's name is somebody else's from now on.
    void leave_file() noexcept { socket_.leave(); }

    /// Sends `text` and ends the conversation; with `hold` its end is the end of this process.
    /// A client that has left meanwhile is no error.
    void answer(ClientId client, std::string text, bool hold = false);
    /// Likewise; the descriptors, few, go with the first byte.
    void hand_out(ClientId client, std::string text, std::vector<ipc::UniqueFd> descriptors);

 private:
    class Client;

    void on_connection(short what);
    void on_retire(short what);
    void retire(Client& client);
    [[nodiscard]] std::size_t living() const;

    event_base& loop_;
    UnixSocket socket_;
    OnCommand on_command_;
    ClientId last_id_ = 0;
    std::list<std::unique_ptr<Client>> clients_;
    ipc::Event readable_, retire_;
};

}  // namespace master
