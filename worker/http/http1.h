// worker/http/http1.h: HTTP/1.0 and 1.1 on one connection (RFC 9112).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "worker/connection/connections.h"
#include "worker/connection/session.h"
#include "worker/http/exchange.h"
#include "worker/http/parser.h"

namespace worker::http {

/// A request being read or answered, and its parser.
struct Turn {
    Exchange exchange;
    Parser parser;
};

struct Service;

/// Exchanges whose client left while another thread was at work on them: they stay until it is done.
class Orphans final : private Carrier {
 public:
    explicit Orphans(Service& service) noexcept : service_(service) {}
    void take(std::unique_ptr<Turn> turn);

 private:
    void on_finished(Exchange& exchange) override;
    void on_informed(Exchange&, Status, std::string_view) override {}
    void on_begun(Exchange&) override {}
    void on_piece(Exchange&, const connection::Chunk&) override {}
    void on_given_up(Exchange&) override {}
    void on_go_ahead(Exchange&) override {}
    void on_body_wanted(Exchange&) override {}
    [[nodiscard]] std::uint64_t unsent() const override { return 0; }
    [[nodiscard]] connection::Peer local() const override { return {}; }

    Service& service_;
    std::vector<std::unique_ptr<Turn>> turns_;
};

/// What all HTTP sessions of a loop share.
struct Service {
    Service(execution::Loop& of, Application& by) noexcept : loop(of), application(by) {}

    execution::Loop& loop;
    Application& application;
    bool draining = false;                     ///< every response is its connection's last
    std::vector<std::unique_ptr<Turn>> spare;  ///< exchanges that nobody uses
    Orphans orphans{*this};

    [[nodiscard]] std::unique_ptr<Turn> borrow();
    void give_back(std::unique_ptr<Turn> turn);
};

/// One request after another; several that came in one read are answered in one write.
class Http1 final : public connection::Session, private Carrier {
 public:
    /// `service` and `connection` must outlive it.
    Http1(Service& service, connection::Connection& connection, const connection::Memory& memory = {});
    ~Http1() override;

    [[nodiscard]] std::size_t on_input(std::span<char> input) override;
    void on_park() override;
    void on_end_of_input() override;
    void on_sent() override;
    void on_slow_send(std::uint64_t ticks) override;
    void on_wake() override;
    void on_too_slow() override;
    void on_drain() override;
    void on_broken() override;
    [[nodiscard]] connection::Wants wants() const override;
    [[nodiscard]] bool serves() const override;
    [[nodiscard]] connection::Memory memory() const override { return {requests_, keepalive_ms_}; }
    [[nodiscard]] bool reads() const override;
    [[nodiscard]] bool ends_after_output() const override;
    [[nodiscard]] std::uint64_t patience_ms() override;
    [[nodiscard]] std::uint64_t send_patience_ms() const override;

 private:
    // idle ──first byte──▶ head ──no body──────────▶ handling ──finish──▶ sending ──sent──▶ idle
    //                       │ └──streaming handler──▶ streaming ──finish──▶ │
    //                       │ └──body──▶ body ──all─▶ │                     │ └──answered before its body──▶
    //                       rest └──malformed, too slow──────────refuse────────▶ │ └──last──▶ closing,
    //                       lingering
    enum class State : std::uint8_t {
        idle,       ///< no request begun; holds no exchange
        head,       ///< part of a head is here
        body,       ///< the body is being read, the handler waits
        handling,   ///< the handler has the exchange
        lent,       ///< another thread has it
        streaming,  ///< the handler gets the body and makes the response piece by piece
        sending,    ///< the response is in the output
        rest,       ///< answered; what is left of the body is read and dropped
        closing,    ///< done
        lingering,  ///< done, but the client may not know yet
    };

    [[nodiscard]] std::size_t read_head(std::span<char> input);
    [[nodiscard]] std::size_t read_body(std::span<char> input);
    void begin_request();
    void on_head(bool complete);
    void handle();
    void refuse(Status status);
    void on_finished(Exchange& exchange) override;
    void on_informed(Exchange& exchange, Status status, std::string_view fields) override;
    void on_begun(Exchange& exchange) override;
    void on_piece(Exchange& exchange, const connection::Chunk& piece) override;
    void on_given_up(Exchange& exchange) override;
    void on_go_ahead(Exchange& exchange) override;
    void on_body_wanted(Exchange& exchange) override;
    [[nodiscard]] std::uint64_t unsent() const override { return produced_ - connection_.bytes_sent(); }
    [[nodiscard]] connection::Peer local() const override { return connection_.local(); }
    void stream(bool complete);
    [[nodiscard]] std::size_t read_stream(std::span<char> input);
    void settle();
    void settle_stream();
    void end_stream();
    void tell_gone();
    void wake();
    void produce(std::string_view text);
    void respond();
    void write_response();
    void write_head();
    void end_exchange();
    void enter(State next) noexcept;
    [[nodiscard]] bool keeps_alive() const;
    [[nodiscard]] bool may_drop_body() const;
    [[nodiscard]] bool may_go_on() const;

    Service& service_;
    connection::Connection& connection_;
    const conf::Limits& limits_;  ///< until a request's own are known
    std::unique_ptr<Turn> turn_;
    std::uint64_t requests_ = 0;
    std::uint64_t produced_ = 0;        ///< bytes ever given to the output
    std::uint64_t response_start_ = 0;  ///< `produced_` before this response
    std::uint64_t response_head_ = 0;   ///< bytes of its head
    std::uint64_t keepalive_ms_ = 0;    ///< of the last exchange
    State state_ = State::idle;
    bool fresh_ = true;              ///< the patience of this state has not been told yet
    bool body_pending_ = false;      ///< the request's body has not been read to its end
    bool expects_continue_ = false;  ///< and the client waits for our word to send it
    bool malformed_ = false;         ///< what follows cannot be told from this request
    bool chunked_ = false;           ///< the response is
    bool given_up_ = false;          ///< the handler cannot complete its response
    bool bodiless_ = false;          ///< the response has none, whatever its handler sends
    bool in_call_ = false;           ///< inside the application: `finish` need not wake the connection
};

/// HTTP/1 for every connection.
class Http1Factory final : public connection::SessionFactory {
 public:
    explicit Http1Factory(Service& service) noexcept : service_(service) {}
    [[nodiscard]] std::unique_ptr<connection::Session> make(connection::Connection& connection,
                                                            const connection::Memory& memory) override {
        return std::make_unique<Http1>(service_, connection, memory);
    }

 private:
    Service& service_;
};

}  // namespace worker::http
