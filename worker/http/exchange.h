// worker/http/exchange.h: one request and its response.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "conf/config.h"
#include "worker/connection/peer.h"
#include "worker/http/request.h"
#include "worker/http/response.h"
#include "worker/http/tries.h"

namespace worker::http {

class Exchange;
class Application;

/// Who carries the exchange: the protocol's session. Called by `Exchange` alone, which says what is meant.
class Carrier {
 public:
    virtual ~Carrier() = default;
    virtual void on_finished(Exchange& exchange) = 0;
    virtual void on_informed(Exchange& exchange, Status status, std::string_view fields) = 0;
    virtual void on_begun(Exchange& exchange) = 0;
    virtual void on_piece(Exchange& exchange, const connection::Chunk& piece) = 0;
    virtual void on_given_up(Exchange& exchange) = 0;
    virtual void on_go_ahead(Exchange& exchange) = 0;
    virtual void on_body_wanted(Exchange& exchange) = 0;
    [[nodiscard]] virtual std::uint64_t unsent() const = 0;
    [[nodiscard]] virtual connection::Peer local() const = 0;
};

/// A handler's end of an exchange that goes piece by piece: the body of the request as it comes, the response
/// as it is made. Told by the carrier until `finish`, `refuse`, `give_up` or `on_gone`, whichever is first;
/// not from within a call to the exchange. Loop thread only.
class Streamer {
 public:
    virtual ~Streamer() = default;
    /// Payload of the request's body; behind a `tunnel`: what the client sends. The bytes live in the call.
    virtual void on_body(std::string_view payload) = 0;
    /// The body was complete. Not called for requests that have none.
    virtual void on_body_end() = 0;
    /// All that was sent is in the kernel's hands.
    virtual void on_room() = 0;
    /// The client left, was too slow, or sent what is no body. The exchange is no longer the handler's.
    virtual void on_gone() = 0;
};

/// Who has given an exchange to another thread. Loop thread only.
class Lender {
 public:
    virtual ~Lender() = default;
    /// The client left. Takes the exchange back unless somebody works on it: `lent` says so.
    virtual void on_gone(Exchange& exchange) = 0;
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
/// `finish`, at once or on a later turn; afterwards the exchange is no longer the handler's. One that works
/// over several turns sets `streamer` first, and may answer piece by piece: `begin_response`, `send`,
/// `finish`.
class Exchange {
 public:
    /// As new, memory kept.
    void begin(Carrier& carrier, Application& application, const connection::Peer& peer,
               std::uint64_t connection_id);
    void finish() {
        finished = true;
        streamer = nullptr;
        if (error != 0 && !fallback) response.status = error;  // whatever the page's own route would say
        carrier_->on_finished(*this);
    }
    /// Sends the head of `response`; the body follows by `send`. `body_size` says how long it will be, unless
    /// `length_known` is false.
    void begin_response(bool length_known) {
        begun = true;
        response.length_known = length_known;
        if (error != 0 && !fallback) response.status = error;
        carrier_->on_begun(*this);
    }
    /// A piece of the body; text is copied. Nothing bounds what waits to be sent but whoever sends: look at
    /// `unsent`, and go on at `on_room`.
    void send(const connection::Chunk& piece) { carrier_->on_piece(*this, piece); }
    void send(std::string_view text) { send(connection::Chunk{{}, text.data(), -1, 0, text.size()}); }
    /// Bytes of the response that the kernel has not taken yet.
    [[nodiscard]] std::uint64_t unsent() const { return carrier_->unsent(); }
    /// Our own end of the connection, asked of the kernel.
    [[nodiscard]] connection::Peer local() const { return carrier_->local(); }
    /// An interim response, 102 to 199 (RFC 9110 15.2); nothing for a client that knows none.
    void inform(Status status, std::string_view fields) { carrier_->on_informed(*this, status, fields); }
    /// The response cannot be completed: the connection ends, so that the client sees that something is
    /// missing.
    void give_up() {
        streamer = nullptr;
        carrier_->on_given_up(*this);
    }
    /// Sends `100 Continue`, if the client waits for it.
    void go_ahead() { carrier_->on_go_ahead(*this); }
    /// While paused, nothing of the body is read, and the client feels it.
    void pause_body(bool on) {
        const bool resumed = body_paused && !on;
        body_paused = on;
        if (resumed) carrier_->on_body_wanted(*this);
    }
    /// Until `come_back` the exchange is not ours, but for `lent`; `carrier` hears what its handler says.
    void lend(Lender& to, Carrier& carrier) {
        lent = &to;
        lent_by_ = carrier_;
        lent_application_ = application_;
        carrier_ = &carrier;
    }
    /// Whoever has it runs it on other handlers.
    void serve_by(Application& application) { application_ = &application; }
    /// While it is lent: its connection is gone, and that one hears of its end.
    void leave_to(Carrier& carrier) {
        lent_by_ = &carrier;
        left_ = true;
    }
    /// It is ours again; tells the carrier if it has been answered meanwhile. False: nobody waits for an
    /// answer, and it is gone.
    bool come_back() {
        lent = nullptr;
        queued = false;
        carrier_ = lent_by_;
        application_ = lent_application_;
        const bool left = std::exchange(left_, false);
        if (finished || left) carrier_->on_finished(*this);
        return !left;
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

    std::optional<std::uint64_t> counted;  ///< the key under which `limit_conn` counts it

    // Of an exchange that goes piece by piece.
    Streamer* streamer = nullptr;  ///< must stay until it is told the end
    bool body_follows = false;     ///< the request has a body, and `streamer` gets it
    bool body_paused = false;
    bool begun = false;   ///< the response's head has been sent
    bool tunnel = false;  ///< set with a 101: from then on both sides are bytes (RFC 9110 7.8)
    /// Of the request's body; none: it is chunked.
    std::optional<std::uint64_t> body_length;

    // Both are as here whenever the exchange is given back, so `begin` need not say so.
    Lender* lent = nullptr;  ///< not null: another thread has it, or will
    bool queued = false;     ///< of a lent one: nobody has begun with it, so its client may still leave

    // Whom it was passed on to, for the log.
    Tries upstream_tries;               ///< all that were asked
    Status upstream_status = 0;         ///< of the last one's response; 0: none
    std::uint64_t upstream_us = 0;      ///< from asking to the last byte
    std::string_view upstream_failure;  ///< why there is no response; a literal

    // How it went.
    std::uint64_t begun_us = 0;  ///< monotonic: the first byte of the request
    std::uint64_t bytes_sent = 0, body_bytes_sent = 0, bytes_received = 0;
    bool keep_alive = false;
    bool finished = false;
    Status error = 0;       ///< not 0: an `error_page` is being served under this status
    bool fallback = false;  ///< or a `fallback`, under its own

    std::string path_room;  ///< where a path that had to be decoded is
    std::string room;       ///< a handler's scratch

 private:
    Carrier* carrier_ = nullptr;
    Application* application_ = nullptr;
    Carrier* lent_by_ = nullptr;
    Application* lent_application_ = nullptr;
    bool left_ = false;  ///< its connection has, while it was lent
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
    /// Whether the handler is to be run as soon as the head is complete, and gets the body itself.
    [[nodiscard]] virtual bool streams(const Exchange& exchange) const = 0;
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
    /// Whether it sets a `streamer` and wants the body of requests: else it is run when all has come.
    [[nodiscard]] virtual bool streams() const { return false; }
};

}  // namespace worker::http
