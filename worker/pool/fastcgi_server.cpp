#include "worker/pool/fastcgi_server.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>

namespace worker::pool {
namespace {

using http::fastcgi::Type;

constexpr std::size_t params_max = 1024 * 1024;  ///< bytes of all of them
constexpr std::size_t receive_max = 64 * 1024;
constexpr int head_time_ms = 10'000;  ///< from taking a connection to its last param

/// Waits for either. False: it is time to leave, or (with a limit) nothing came.
bool wait_for(int fd, short events, int leave, int limit_ms) {
    std::array<pollfd, 2> waiting{{{fd, events, 0}, {leave, POLLIN, 0}}};
    for (;;) {
        const int ready = ::poll(waiting.data(), waiting.size(), limit_ms);
        if (ready < 0 && errno == EINTR) continue;
        return ready > 0 && waiting[1].revents == 0;
    }
}

}  // namespace

std::string_view FastcgiRequest::param(std::string_view name) const noexcept {
    for (const auto& [key, value] : params_)
        if (key == name) return value;
    return {};
}

void FastcgiRequest::receive() {
    std::array<char, receive_max> bytes;
    const auto got = ::recv(connection_, bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (got > 0) return take({bytes.data(), static_cast<std::size_t>(got)});
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    gone_ = true;
}

void FastcgiRequest::take(std::string_view bytes) {
    while (!gone_) {
        switch (reader_.next(bytes)) {
            case http::fastcgi::RecordReader::Found::more: return;
            case http::fastcgi::RecordReader::Found::refused: gone_ = true; return;
            case http::fastcgi::RecordReader::Found::piece: on_piece(reader_.piece()); break;
        }
    }
}

void FastcgiRequest::on_piece(const http::fastcgi::Piece& piece) {
    if (piece.type == Type::get_values) return answer_values(piece.content);
    if (piece.type == Type::begin_request) return on_begin(piece);
    if (piece.request != id_ || id_ == http::fastcgi::management) {
        if (piece.request != http::fastcgi::management) return;  // of a request that we refused
        out_.clear();
        http::fastcgi::append_unknown_type(out_, piece.type);
        return send(out_);
    }
    switch (piece.type) {
        case Type::abort_request: gone_ = aborted_ = true; return;
        case Type::params:
            if (step_ != Step::params) return;
            if (piece.ends_stream) return read_params();
            if (raw_params_.size() + piece.content.size() > params_max) {
                gone_ = true;
                return;
            }
            raw_params_.append(piece.content);
            return;
        case Type::standard_in:
            if (step_ != Step::body) return;
            if (piece.ends_stream) body_ended_ = true;
            body_.append(piece.content);
            return;
        default: return;
    }
}

void FastcgiRequest::on_begin(const http::fastcgi::Piece& piece) {
    const auto begin = http::fastcgi::read_begin_request(piece.content);
    if (!begin || piece.request == http::fastcgi::management) {
        gone_ = true;
        return;
    }
    if (id_ != http::fastcgi::management)
        return refuse(piece.request, http::fastcgi::ProtocolStatus::cannot_multiplex);
    if (begin->role != http::fastcgi::Role::responder)
        return refuse(piece.request, http::fastcgi::ProtocolStatus::unknown_role);
    id_ = piece.request;
    keep_ = begin->keep_connection;
    step_ = Step::params;
}

void FastcgiRequest::read_params() {
    std::string_view rest = raw_params_;
    while (const auto param = http::fastcgi::take_param(rest))
        params_.emplace_back(param->name, param->value);
    if (!rest.empty()) gone_ = true;
    step_ = Step::body;
}

/// Section 4.1: what it asks for and we know.
void FastcgiRequest::answer_values(std::string_view asked) {
    std::string values;
    while (const auto param = http::fastcgi::take_param(asked)) {
        if (param->name == "FCGI_MAX_CONNS" || param->name == "FCGI_MAX_REQS")
            http::fastcgi::append_param(values, param->name, "1");
        if (param->name == "FCGI_MPXS_CONNS") http::fastcgi::append_param(values, param->name, "0");
    }
    out_.clear();
    http::fastcgi::append_record(out_, Type::get_values_result, http::fastcgi::management, values);
    send(out_);
}

void FastcgiRequest::refuse(std::uint16_t request, http::fastcgi::ProtocolStatus status) {
    out_.clear();
    http::fastcgi::append_end_request(out_, request, {.app_status = 0, .protocol_status = status});
    send(out_);
}

void FastcgiRequest::send_stream(Type type, std::string_view bytes) {
    out_.clear();
    http::fastcgi::append_stream(out_, type, id_, bytes);
    send(out_);
}

void FastcgiRequest::send(std::string_view bytes) {
    while (!gone_ && !bytes.empty()) {
        const auto sent = ::send(connection_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0) {
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        } else if (errno == EAGAIN) {
            if (!wait_for(connection_, POLLOUT, leave_, -1)) gone_ = true;
        } else if (errno != EINTR) {
            gone_ = true;
        }
    }
}

void FastcgiRequest::end(std::uint32_t app_status) {
    out_.clear();
    http::fastcgi::append_end_of_stream(out_, Type::standard_out, id_);
    http::fastcgi::append_end_request(out_, id_, {.app_status = app_status, .protocol_status = {}});
    send(out_);
}

/// Section 5.4: it ends all the same, if that is why it is gone.
void FastcgiRequest::end_aborted(std::uint32_t app_status) {
    if (!aborted_) return;
    gone_ = false;
    end(app_status);
    gone_ = true;
}

/// For the next one on the same connection.
void FastcgiRequest::next() {
    step_ = Step::begin;
    id_ = http::fastcgi::management;
    raw_params_.clear();
    params_.clear();
    body_.clear();
    body_ended_ = false;
}

bool FastcgiServer::run() {
    while (wait_for(listener_.get(), POLLIN, leave_, -1)) {
        const ipc::UniqueFd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (connection) {
            serve(connection.get());
        } else if (errno == EBADF || errno == EINVAL || errno == ENOTSOCK) {
            return false;
        }
    }
    return true;
}

void FastcgiServer::serve(int connection) {
    FastcgiRequest request(connection, leave_);
    for (;;) {
        while (request.step_ != FastcgiRequest::Step::body && !request.gone_) {
            if (!wait_for(connection, POLLIN, leave_, head_time_ms)) return;
            request.receive();
        }
        if (request.gone_) return request.end_aborted(0);
        const auto status = handle_(request);
        if (request.gone_) return request.end_aborted(status);
        request.end(status);
        if (!request.keep_) return;
        // What is left of a body belongs to nobody.
        while (!request.body_ended_ && !request.gone_) {
            if (!wait_for(connection, POLLIN, leave_, head_time_ms)) return;
            request.receive();
            request.body_.clear();
        }
        request.next();
    }
}

}  // namespace worker::pool
