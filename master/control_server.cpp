// master/control_server.cpp: one small state machine a client.
#include "master/control_server.h"

#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <span>
#include <utility>

#include "ipc/descriptors.h"

namespace master {
namespace {

constexpr std::chrono::milliseconds read_time{5000};
constexpr std::chrono::milliseconds write_time{10'000};

bool may_command(int socket) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) return false;
    return peer.uid == 0 || peer.uid == ::geteuid();
}

}  // namespace

// reading ──line──▶ thinking ──answer──▶ writing ──all out──▶ closed, or held until the process ends
//    any ──too slow, gone──▶ closed
class ControlServer::Client {
 public:
    enum class State : std::uint8_t { reading, thinking, writing, held, closed };

    Client(ControlServer& server, ipc::UniqueFd socket, ClientId id)
        : server_(server),
          socket_(std::move(socket)),
          id_(id),
          readable_(ipc::Event::calling<&Client::on_readable>(this, server.loop_, socket_.get(), EV_READ)),
          writable_(ipc::Event::calling<&Client::on_writable>(this, server.loop_, socket_.get(), EV_WRITE)),
          deadline_(ipc::Event::timer<&Client::on_deadline>(this, server.loop_)) {
        readable_.arm();
        deadline_.arm(read_time);
    }

    [[nodiscard]] ClientId id() const noexcept { return id_; }
    [[nodiscard]] State state() const noexcept { return state_; }

    void answer(std::string text, bool hold, std::vector<ipc::UniqueFd> descriptors = {}) {
        if (state_ != State::thinking && state_ != State::reading) return;
        output_ = std::move(text);
        descriptors_ = std::move(descriptors);
        hold_ = hold;
        state_ = State::writing;
        readable_.disarm();
        deadline_.arm(write_time);
        on_writable(EV_WRITE);  // at once: the loop may be on its last turn
    }

 private:
    void on_readable(short) {
        std::array<char, line_bytes_max> bytes{};
        const auto size = ::recv(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
        if (size < 0 && (errno == EAGAIN || errno == EINTR)) return readable_.arm();
        if (size <= 0) return close();
        input_.append(bytes.data(), static_cast<std::size_t>(size));
        const auto end = input_.find('\n');
        if (end == std::string::npos) {
            if (input_.size() < line_bytes_max) return readable_.arm();
            return answer("error: the command is too long\n", false);
        }
        state_ = State::thinking;
        deadline_.disarm();  // whoever answers has its own
        server_.on_command_(id_, std::string_view(input_).substr(0, end));
    }

    void on_writable(short) {
        const auto size = ipc::send_with(socket_.get(), output_, descriptors_);
        if (size < 0 && errno != EAGAIN && errno != EINTR) return close();
        if (size > 0) descriptors_.clear();
        output_.erase(0, static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
        if (!output_.empty()) return writable_.arm();
        if (!hold_) return close();
        state_ = State::held;
        deadline_.disarm();
    }

    void on_deadline(short) { close(); }

    void close() {
        state_ = State::closed;
        readable_.disarm();
        writable_.disarm();
        deadline_.disarm();
        socket_.reset();
        server_.retire(*this);
    }

    ControlServer& server_;
    ipc::UniqueFd socket_;
    ClientId id_;
    State state_ = State::reading;
    std::string input_, output_;
    std::vector<ipc::UniqueFd> descriptors_;  ///< that have not gone yet
    bool hold_ = false;
    ipc::Event readable_, writable_, deadline_;
};

ipc::Result<UnixSocket> ControlServer::bind(const std::string& path) {
    auto socket = UnixSocket::bind(path, 0600, false);
    if (!socket) return socket;
    if (::listen(socket->fd(), static_cast<int>(clients_max)) < 0)
        return ipc::system_error("listen on " + path);
    return socket;
}

ControlServer::ControlServer(event_base& loop, UnixSocket socket, OnCommand on_command)
    : loop_(loop),
      socket_(std::move(socket)),
      on_command_(std::move(on_command)),
      readable_(
          ipc::Event::calling<&ControlServer::on_connection>(this, loop, socket_.fd(), EV_READ | EV_PERSIST)),
      retire_(ipc::Event::timer<&ControlServer::on_retire>(this, loop)) {
    readable_.arm();
}

ControlServer::~ControlServer() = default;

void ControlServer::on_connection(short) {
    ipc::UniqueFd socket(::accept4(socket_.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket) return;
    const auto refuse = [&](std::string_view why) {  // short enough for any socket's buffer
        [[maybe_unused]] const auto sent =
            ::send(socket.get(), why.data(), why.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    };
    if (!may_command(socket.get())) {
        spdlog::warn("control command refused: neither root nor our own user");
        return refuse("error: permission denied\n");
    }
    if (living() >= clients_max) return refuse("error: too many control clients\n");
    clients_.push_back(std::make_unique<Client>(*this, std::move(socket), ++last_id_));
}

std::size_t ControlServer::living() const {
    return static_cast<std::size_t>(std::count_if(clients_.begin(), clients_.end(), [](const auto& client) {
        return client->state() != Client::State::closed;
    }));
}

void ControlServer::answer(ClientId id, std::string text, bool hold) {
    for (auto& client : clients_)
        if (client->id() == id) return client->answer(std::move(text), hold);
}

void ControlServer::hand_out(ClientId id, std::string text, std::vector<ipc::UniqueFd> descriptors) {
    for (auto& client : clients_)
        if (client->id() == id) return client->answer(std::move(text), false, std::move(descriptors));
}

void ControlServer::retire(Client&) { retire_.arm(std::chrono::milliseconds{0}); }

void ControlServer::on_retire(short) {
    clients_.remove_if([](const auto& client) { return client->state() == Client::State::closed; });
}

}  // namespace master
