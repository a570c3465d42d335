// worker/pool/fastcgi_server.h: serves FastCGI on a socket of its own, one request after the other: the loop
// of a member of a pool that is our own code.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ipc/unique_fd.h"
#include "worker/http/fastcgi.h"

namespace worker::pool {

/// One request, while its handler runs. Whoever asked is gone, or wants no more, once `gone`.
class FastcgiRequest {
 public:
    using Params = std::vector<std::pair<std::string, std::string>>;

    FastcgiRequest(int connection, int leave) noexcept : connection_(connection), leave_(leave) {}

    [[nodiscard]] const Params& params() const noexcept { return params_; }
    /// Empty when there is none.
    [[nodiscard]] std::string_view param(std::string_view name) const noexcept;
    /// Becomes readable when more of the body can be taken by `receive`, or the other side is gone.
    [[nodiscard]] int fd() const noexcept { return connection_; }
    /// Takes what has come, without waiting; at most 64 KiB.
    void receive();
    /// What has come of the body and was not taken yet: whoever takes erases it.
    [[nodiscard]] std::string& body() noexcept { return body_; }
    [[nodiscard]] bool body_ended() const noexcept { return body_ended_; }
    /// Wait as long as the other side is slow; nothing once it is gone.
    void write(std::string_view out) { send_stream(http::fastcgi::Type::standard_out, out); }
    void complain(std::string_view text) { send_stream(http::fastcgi::Type::standard_error, text); }
    /// There will be no whole answer: the connection is closed without the end of the request.
    void give_up() noexcept { gone_ = true; }
    /// The connection broke, was aborted, or we are to leave.
    [[nodiscard]] bool gone() const noexcept { return gone_; }

 private:
    friend class FastcgiServer;
    enum class Step : std::uint8_t { begin, params, body };

    void take(std::string_view bytes);
    void on_piece(const http::fastcgi::Piece& piece);
    void on_begin(const http::fastcgi::Piece& piece);
    void read_params();
    void answer_values(std::string_view asked);
    void refuse(std::uint16_t request, http::fastcgi::ProtocolStatus status);
    void send_stream(http::fastcgi::Type type, std::string_view bytes);
    void send(std::string_view bytes);
    void end(std::uint32_t app_status);
    void end_aborted(std::uint32_t app_status);
    void next();

    int connection_, leave_;
    http::fastcgi::RecordReader reader_;
    Step step_ = Step::begin;
    std::uint16_t id_ = 0;
    std::string raw_params_, body_, out_;
    Params params_;
    bool keep_ = false;
    bool body_ended_ = false;
    bool gone_ = false;
    bool aborted_ = false;  ///< by who asked, who waits for its end
};

class FastcgiServer {
 public:
    /// Answers by `write`, and returns the application's status.
    using Handle = std::function<std::uint32_t(FastcgiRequest&)>;

    /// `leave` becomes readable when the loop is to end; it stays the caller's. What the listener's
    /// descriptors in other processes are like is left alone.
    FastcgiServer(ipc::UniqueFd listener, int leave, Handle handle)
        : listener_(std::move(listener)), leave_(leave), handle_(std::move(handle)) {}

    /// Until told to leave. False: the socket is no good.
    [[nodiscard]] bool run();

 private:
    void serve(int connection);

    ipc::UniqueFd listener_;
    int leave_;
    Handle handle_;
};

}  // namespace worker::pool
