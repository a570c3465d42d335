// worker/http/exchange.h: one request and its response.
#pragma once

#include <cstdint>
#include <string>

#include "conf/config.h"
#include "worker/connection/peer.h"
#include "worker/http/request.h"
#include "worker/http/response.h"

namespace worker::http {

class Exchange;
class Application;

/// Who carries the exchange: the protocol's session.
class Carrier {
 public:
    virtual ~Carrier() = default;
    /// The response is complete. Called once, from `Exchange::finish`.
    virtual void on_finished(Exchange& exchange) = 0;
};

/// What the configuration says of the requests of one route on one server.
struct Terms {
    std::string_view added_fields;  ///< lines of `add_header`, for answers that are no errors
    std::uint64_t body_max = 0;     ///< 0: none
    std::uint64_t body_timeout_ms = 0, send_timeout_ms = 0, keepalive_timeout_ms = 0;
    std::uint64_t keepalive_requests = 0;
};

inline constexpr Terms no_terms;

/// Borrowed from the loop's pool for the time of one request. A handler fills `response` and calls
/// `finish`, at once or on a later turn; afterwards the exchange is no longer the handler's.
class Exchange {
 public:
    /// As new, memory kept.
    void begin(Carrier& carrier, Application& application, const connection::Peer& peer,
               std::uint64_t connection_id);
    void finish() {
        finished = true;
        if (error != 0) response.status = error;  // whatever the page's own route would say
        carrier_->on_finished(*this);
    }
    /// Answers with an error instead: its `error_page`, or a plain one. `response` keeps only `more_fields`.
    void refuse(Status status);

    Request request;
    Response response;

    // What routing found.
    const conf::Server* server = nullptr;
    const conf::Route* route = nullptr;  ///< null: none, or not asked yet
    const Terms* terms = &no_terms;      ///< `no_terms` before routing

    // Where it came from.
    connection::Peer peer;
    std::uint64_t connection_id = 0;
    std::uint64_t connection_requests = 0;  ///< how many requests this connection has had, with this one
    std::uint32_t address = 0;              ///< listener: index into `conf::listen_plan`
    bool secure = false;

    // How it went.
    std::uint64_t begun_us = 0;  ///< monotonic: the first byte of the request
    std::uint64_t bytes_sent = 0, body_bytes_sent = 0, bytes_received = 0;
    bool keep_alive = false;
    bool finished = false;
    Status error = 0;  ///< not 0: an `error_page` is being served under this status

    std::string path_room;  ///< where a path that had to be decoded is
    std::string room;       ///< a handler's scratch

 private:
    Carrier* carrier_ = nullptr;
    Application* application_ = nullptr;
};

/// What answers requests: routing, handlers, logs. One a loop; outlives all exchanges.
class Application {
 public:
    virtual ~Application() = default;

    /// Limits of the server that an address means when no Host is known yet.
    [[nodiscard]] virtual const conf::Limits& limits(std::uint32_t address) const = 0;
    /// The head is complete: finds server, route and limits. False: the exchange has been answered (an
    /// error), and its body, if any, is of no interest.
    [[nodiscard]] virtual bool route(Exchange& exchange) = 0;
    /// The request is complete: runs the handler, which will `finish`.
    virtual void handle(Exchange& exchange) = 0;
    /// Answers with an error: after a malformed request there may be no route, nor even a method.
    virtual void refuse(Exchange& exchange, Status status) = 0;
    /// The exchange is over, sent or broken off (status 0: nothing was answered): log and count it.
    virtual void on_over(const Exchange& exchange) = 0;
};

/// The business logic of a route.
class Handler {
 public:
    virtual ~Handler() = default;
    virtual void handle(Exchange& exchange) = 0;
};

}  // namespace worker::http
