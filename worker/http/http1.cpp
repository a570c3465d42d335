#include "worker/http/http1.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "worker/http/host.h"

namespace worker::http {
namespace {

constexpr std::size_t spare_turns_max = 64;
constexpr std::uint64_t drain_grace_ms = 1'000;  // an idle client's next request may be on its way
constexpr std::string_view go_ahead = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr std::string_view server_and_date = "Server: reeve\r\nDate: ";
constexpr std::size_t head_room = 256;  // status line, server, date, length, connection

char* put(char* at, std::string_view text) noexcept {
    if (text.empty()) return at;  // its data may be null, and memcpy wants none of that
    std::memcpy(at, text.data(), text.size());
    return at + text.size();
}

char* put_status_line(char* at, Status status) noexcept {
    if (status == 200) return put(at, "HTTP/1.1 200 OK\r\n");
    at = put(at, "HTTP/1.1 ");
    at = std::to_chars(at, at + 5, status).ptr;
    at = put(at, " ");
    at = put(at, reason(status));
    return put(at, "\r\n");
}

/// RFC 9110 6.4.1: these have no body, so they announce none.
bool has_content(Status status) noexcept { return status >= 200 && status != 204 && status != 304; }

}  // namespace

std::unique_ptr<Turn> Service::borrow() {
    if (spare.empty()) return std::make_unique<Turn>();
    std::unique_ptr<Turn> turn = std::move(spare.back());
    spare.pop_back();
    return turn;
}

void Service::give_back(std::unique_ptr<Turn> turn) {
    if (spare.size() < spare_turns_max) spare.push_back(std::move(turn));
}

void Orphans::take(std::unique_ptr<Turn> turn) {
    turn->exchange.leave_to(*this);
    turns_.push_back(std::move(turn));
}

void Orphans::on_finished(Exchange& exchange) {
    const auto found = std::find_if(turns_.begin(), turns_.end(),
                                    [&](const auto& turn) { return &turn->exchange == &exchange; });
    exchange.response.status = 0;
    service_.application.on_over(exchange);
    std::unique_ptr<Turn> turn = std::move(*found);
    turns_.erase(found);
    service_.give_back(std::move(turn));
}

Http1::Http1(Service& service, connection::Connection& connection, const connection::Memory& memory)
    : service_(service),
      connection_(connection),
      limits_(service.application.limits(connection.address())),
      requests_(memory.requests),
      keepalive_ms_(memory.patience_ms) {}

Http1::~Http1() { on_broken(); }

std::size_t Http1::on_input(std::span<char> input) {
    std::size_t taken = 0;
    while (taken < input.size()) {
        const std::span<char> rest = input.subspan(taken);
        switch (state_) {
            case State::idle:
                if (rest.size() >= 2 && rest[0] == '\r' &&
                    rest[1] == '\n') {  // RFC 9112 2.2: clients do that
                    taken += 2;
                    break;
                }
                begin_request();
                break;
            case State::head: {
                const std::size_t head = read_head(rest);
                if (state_ == State::head) return taken;
                taken += head;
                break;
            }
            case State::body:
            case State::rest: taken += read_body(rest); break;
            case State::sending:
                if (!may_go_on()) return taken;
                end_exchange();
                break;
            case State::streaming: {
                if (!reads()) return taken;
                taken += read_stream(rest);
                break;
            }
            case State::handling:
            case State::lent: return taken;
            case State::closing:
            case State::lingering: return input.size();
        }
    }
    return taken;
}

void Http1::begin_request() {
    turn_ = service_.borrow();
    Exchange& exchange = turn_->exchange;
    exchange.begin(*this, service_.application, connection_.peer(), connection_.id());
    exchange.address = connection_.address();
    exchange.secure = connection_.secure();
    exchange.begun_us = service_.loop.clock().now_us();
    turn_->parser.reset(exchange.request, limits_.header_max, limits_.uri_max);
    body_pending_ = expects_continue_ = malformed_ = given_up_ = false;
    enter(State::head);
}

/// Returns the bytes of the head once it is complete or refused, else 0.
std::size_t Http1::read_head(std::span<char> input) {
    Exchange& exchange = turn_->exchange;
    switch (turn_->parser.head(input)) {
        case Parsed::more: return 0;
        case Parsed::refused:
            exchange.request.head_size = static_cast<std::uint32_t>(input.size());
            exchange.bytes_received = input.size();
            malformed_ = true;
            refuse(turn_->parser.refusal());
            return input.size();
        case Parsed::head: on_head(false); return exchange.bytes_received;
        case Parsed::complete: on_head(true); return exchange.bytes_received;
    }
    std::abort();
}

void Http1::on_head(bool complete) {
    Exchange& exchange = turn_->exchange;
    Request& request = exchange.request;
    exchange.bytes_received = request.head_size;
    exchange.connection_requests = ++requests_;
    service_.loop.cell().in_flight.begin(request.begin_of_line());
    body_pending_ = !complete;

    const bool expects = request.minor >= 1 && request.has(Known::expect);
    if (expects && !equals_ignore_case(request.value(Known::expect), "100-continue")) return refuse(417);
    expects_continue_ = expects && body_pending_;

    in_call_ = true;
    const bool routed = service_.application.route(exchange);
    in_call_ = false;
    if (!routed) return settle();
    const bool streams = service_.application.streams(exchange);
    if (complete) return streams ? stream(true) : handle();
    const Parser& parser = turn_->parser;
    if (exchange.terms->body_max > 0 && !parser.chunked() &&
        parser.content_length() > exchange.terms->body_max)
        return refuse(413);
    if (streams) return stream(false);
    on_go_ahead(exchange);
    request.keep();
    enter(State::body);
}

void Http1::on_go_ahead(Exchange&) {
    if (!std::exchange(expects_continue_, false)) return;
    produce(go_ahead);
    wake();
}

/// The handler begins now, and gets the body, if there is one, as it comes.
void Http1::stream(bool complete) {
    Exchange& exchange = turn_->exchange;
    exchange.body_follows = !complete;
    if (!complete) exchange.request.keep();  // the body is read into the same memory
    if (!complete && !turn_->parser.chunked()) exchange.body_length = turn_->parser.content_length();
    enter(State::streaming);
    in_call_ = true;
    service_.application.handle(exchange);
    in_call_ = false;
    settle_stream();
}

/// After its handler had its say.
void Http1::settle_stream() {
    if (std::exchange(given_up_, false)) return on_broken();
    if (turn_->exchange.finished) end_stream();
}

std::size_t Http1::read_stream(std::span<char> input) {
    Exchange& exchange = turn_->exchange;
    fresh_ = true;
    if (malformed_) return input.size();  // refused: nothing behind it can be read
    if (exchange.tunnel) {
        exchange.bytes_received += input.size();
        in_call_ = true;
        exchange.streamer->on_body({input.data(), input.size()});
        in_call_ = false;
        settle_stream();
        return input.size();
    }
    Parser& parser = turn_->parser;
    std::size_t taken = 0;
    const Parsed parsed = parser.body(input, taken);
    exchange.bytes_received += taken;
    const bool too_large = exchange.terms->body_max > 0 && parser.body_bytes() > exchange.terms->body_max;
    if (parsed == Parsed::refused || too_large) {
        malformed_ = true;
        tell_gone();
        if (exchange.begun) {
            on_broken();
        } else {
            refuse(parsed == Parsed::refused ? parser.refusal() : Status{413});
        }
        return input.size();
    }
    in_call_ = true;
    for (const std::string_view payload : parser.payload())
        if (exchange.streamer != nullptr) exchange.streamer->on_body(payload);
    if (parsed == Parsed::complete) {
        body_pending_ = false;
        if (exchange.streamer != nullptr) exchange.streamer->on_body_end();
    }
    in_call_ = false;
    settle_stream();
    return taken;
}

/// The exchange is taken from its handler.
void Http1::tell_gone() {
    if (turn_->exchange.lent != nullptr) turn_->exchange.lent->on_gone(turn_->exchange);
    if (turn_->exchange.lent != nullptr) return;  // whoever has it goes on
    if (Streamer* streamer = std::exchange(turn_->exchange.streamer, nullptr)) streamer->on_gone();
}

void Http1::wake() {
    if (!in_call_) connection_.wake();
}

void Http1::produce(std::string_view text) {
    connection_.output().append(text);
    produced_ += text.size();
}

void Http1::on_informed(Exchange& exchange, Status status, std::string_view fields) {
    if (exchange.request.minor == 0 || exchange.begun) return;  // RFC 9110 15.2
    char line[64];
    const char* end = put_status_line(line, status);
    produce({line, static_cast<std::size_t>(end - line)});
    produce(fields);
    produce("\r\n");
    wake();
}

void Http1::on_begun(Exchange& exchange) {
    chunked_ = !exchange.response.length_known && exchange.request.minor >= 1;
    bodiless_ = !has_content(exchange.response.status) || exchange.request.is_head();
    exchange.keep_alive =
        keeps_alive() && !exchange.tunnel && (exchange.response.length_known || chunked_ || bodiless_);
    write_head();
    wake();
}

void Http1::on_piece(Exchange& exchange, const connection::Chunk& piece) {
    if (piece.size == 0 || (bodiless_ && !exchange.tunnel)) return;
    connection::Output& output = connection_.output();
    const bool framed = chunked_ && !exchange.tunnel;
    if (framed) {
        char size[20];
        char* end = std::to_chars(size, size + 16, piece.size, 16).ptr;
        end = put(end, "\r\n");
        produce({size, static_cast<std::size_t>(end - size)});
    }
    if (piece.bytes != nullptr && !piece.keeper) {
        output.append(std::string_view(piece.bytes, static_cast<std::size_t>(piece.size)));
    } else {
        output.append(piece);
    }
    produced_ += piece.size;
    if (framed) produce("\r\n");
    wake();
}

void Http1::on_given_up(Exchange&) {
    malformed_ = true;  // what the client has is no whole answer: nothing can follow it
    given_up_ = true;
    wake();
}

void Http1::on_body_wanted(Exchange&) {
    fresh_ = true;
    wake();
}

/// Its response is whole. What was never begun is a response like any other.
void Http1::end_stream() {
    Exchange& exchange = turn_->exchange;
    if (!exchange.begun) return respond();
    if (chunked_ && !bodiless_ && !exchange.tunnel) {
        produce("0\r\n");
        produce(exchange.response.trailers);
        produce("\r\n");
    }
    if (!connection_.all_sent()) return enter(State::sending);
    end_exchange();
}

std::size_t Http1::read_body(std::span<char> input) {
    Exchange& exchange = turn_->exchange;
    Parser& parser = turn_->parser;
    std::size_t taken = 0;
    const Parsed parsed = parser.body(input, taken);
    exchange.bytes_received += taken;
    fresh_ = true;  // something came: the next read has its time again
    const bool answered = state_ == State::rest;
    const bool too_large = exchange.terms->body_max > 0 && parser.body_bytes() > exchange.terms->body_max;
    if (parsed == Parsed::refused || (too_large && parsed != Parsed::complete) || (too_large && !answered)) {
        malformed_ = true;
        if (answered) {
            enter(State::lingering);
        } else {
            refuse(parsed == Parsed::refused ? parser.refusal() : Status{413});
        }
        return input.size();
    }
    if (parsed != Parsed::complete) return taken;
    body_pending_ = false;
    if (answered) {
        service_.give_back(std::move(turn_));
        enter(State::idle);
    } else {
        handle();
    }
    return taken;
}

void Http1::handle() {
    enter(State::handling);
    in_call_ = true;
    service_.application.handle(turn_->exchange);
    in_call_ = false;
    settle();
}

/// After whoever answers in one go had the exchange: it is answered, or lent, or an error page is passed on
/// that somebody else writes.
void Http1::settle() {
    const Exchange& exchange = turn_->exchange;
    if (exchange.lent != nullptr) return enter(State::lent);
    if (exchange.finished && !exchange.begun) return respond();
    if (exchange.streamer == nullptr && !exchange.begun) return;
    enter(State::streaming);
    settle_stream();
}

void Http1::refuse(Status status) {
    Exchange& exchange = turn_->exchange;
    exchange.response.clear();
    exchange.response.close = true;
    in_call_ = true;
    service_.application.refuse(exchange, status);
    in_call_ = false;
    exchange.response.close = true;
    enter(State::handling);
    settle();
}

void Http1::on_finished(Exchange&) { wake(); }

void Http1::on_wake() {
    if (state_ == State::lent && turn_->exchange.lent == nullptr) enter(State::handling);
    if (state_ == State::handling) return settle();
    if (state_ == State::streaming) settle_stream();
}

void Http1::respond() {
    turn_->exchange.keep_alive = keeps_alive();
    write_response();
    enter(State::sending);
}

bool Http1::keeps_alive() const {
    const Exchange& exchange = turn_->exchange;
    return !malformed_ && turn_->parser.keep_alive() && !exchange.response.close && !service_.draining &&
           exchange.terms->keepalive_timeout_ms > 0 && requests_ < exchange.terms->keepalive_requests &&
           (!body_pending_ || may_drop_body());
}

/// Whether the body of a request that is answered already is worth reading to keep the connection.
bool Http1::may_drop_body() const {
    const Exchange& exchange = turn_->exchange;
    if (expects_continue_ || exchange.terms->body_max == 0) return false;
    return turn_->parser.chunked() || turn_->parser.content_length() <= exchange.terms->body_max;
}

void Http1::write_response() {
    const Exchange& exchange = turn_->exchange;
    const Response& response = exchange.response;
    write_head();
    if (!has_content(response.status) || exchange.request.is_head()) return;
    for (const connection::Chunk& chunk : response.body) connection_.output().append(chunk);
    produced_ += response.body_size;
}

void Http1::write_head() {
    const Exchange& exchange = turn_->exchange;
    const Response& response = exchange.response;
    connection::Output& output = connection_.output();
    char* const start = output.reserve(response.fields.size() + response.more_fields.size() +
                                       exchange.terms->added_fields.size() + head_room);
    char* at = put_status_line(start, response.status);
    at = put(at, server_and_date);
    at = put(at, service_.loop.clock().date());
    at = put(at, "\r\n");
    at = put(at, response.fields);
    at = put(at, response.more_fields);
    if (response.status < 400) at = put(at, exchange.terms->added_fields);
    if (has_content(response.status)) {
        if (response.length_known) {
            at = put(at, "Content-Length: ");
            at = std::to_chars(at, at + 20, response.body_size).ptr;
            at = put(at, "\r\n");
        } else if (exchange.request.minor >= 1) {
            at = put(at, "Transfer-Encoding: chunked\r\n");
        }
    }
    if (exchange.tunnel) {
        at = put(at, "Connection: upgrade\r\n");
    } else if (!exchange.keep_alive) {
        at = put(at, "Connection: close\r\n");
    } else if (exchange.request.minor == 0) {
        at = put(at, "Connection: keep-alive\r\n");
    }
    at = put(at, "\r\n");
    response_start_ = produced_;
    response_head_ = static_cast<std::uint64_t>(at - start);
    output.commit(static_cast<std::size_t>(response_head_));
    produced_ += response_head_;
}

/// Whether the next request of the same read may be answered in the same write.
bool Http1::may_go_on() const {
    return turn_->exchange.keep_alive && !body_pending_ && connection_.has_room();
}

void Http1::on_sent() {
    if (state_ == State::sending) return end_exchange();
    if (state_ != State::streaming || turn_->exchange.streamer == nullptr) return;
    fresh_ = true;
    in_call_ = true;
    turn_->exchange.streamer->on_room();
    in_call_ = false;
    settle_stream();
}

/// Of several answers in one write the last is blamed: only that one can be a file.
void Http1::on_slow_send(std::uint64_t ticks) {
    if (!turn_) return;
    const Exchange& exchange = turn_->exchange;
    const std::string_view route = exchange.route != nullptr ? exchange.route->name : std::string_view();
    service_.loop.ran(ticks, route, exchange.request.method(), exchange.request.raw_target());
}

void Http1::end_exchange() {
    Exchange& exchange = turn_->exchange;
    exchange.bytes_sent = produced_ - response_start_;
    exchange.body_bytes_sent = exchange.bytes_sent - response_head_;
    service_.application.on_over(exchange);
    service_.loop.cell().in_flight.end();
    keepalive_ms_ = exchange.terms->keepalive_timeout_ms;
    if (!exchange.keep_alive) {
        // A client that did not ask for the end may be sending still: closing now could reset our answer
        // away.
        const bool expected = !malformed_ && !body_pending_ && !turn_->parser.keep_alive();
        service_.give_back(std::move(turn_));
        return enter(expected ? State::closing : State::lingering);
    }
    if (body_pending_) return enter(State::rest);
    service_.give_back(std::move(turn_));
    enter(State::idle);
}

void Http1::on_park() {
    if (turn_ && state_ != State::head) turn_->exchange.request.keep();
}

void Http1::on_end_of_input() {
    switch (state_) {
        case State::idle:
        case State::head:
        case State::body:
        case State::rest: on_broken(); break;
        case State::streaming: return on_broken();  // half a body, or the end of a tunnel
        case State::handling:
        case State::lent:
        case State::sending:
        case State::closing:
        case State::lingering: break;
    }
}

void Http1::on_too_slow() {
    switch (state_) {
        case State::head:
            turn_->exchange.request.clear();  // its bytes are parked, and say nothing whole
            malformed_ = true;
            return refuse(408);
        case State::body: malformed_ = true; return refuse(408);
        case State::streaming:
            malformed_ = true;
            tell_gone();
            return turn_->exchange.begun ? on_broken() : refuse(408);
        case State::idle:
        case State::rest: return on_broken();
        case State::handling:
        case State::lent:
        case State::sending:
        case State::closing:
        case State::lingering: return;
    }
}

void Http1::on_drain() {
    if (state_ == State::idle) fresh_ = true;
}

/// Says of an exchange under way how far it got. Afterwards there is none.
void Http1::on_broken() {
    const bool counts = state_ != State::rest && state_ != State::head;  // half a head is no request
    if (turn_) tell_gone();
    if (turn_ && turn_->exchange.lent != nullptr) {
        service_.loop.cell().in_flight.end();
        service_.orphans.take(std::move(turn_));
    }
    if (turn_ && counts) {
        Exchange& exchange = turn_->exchange;
        if (state_ == State::sending || (state_ == State::streaming && exchange.begun)) {
            const std::uint64_t sent = connection_.bytes_sent();
            exchange.bytes_sent = sent > response_start_ ? sent - response_start_ : 0;
            exchange.body_bytes_sent =
                exchange.bytes_sent > response_head_ ? exchange.bytes_sent - response_head_ : 0;
        } else {
            exchange.response.status = 0;
        }
        service_.application.on_over(exchange);
        service_.loop.cell().in_flight.end();
    }
    if (turn_) service_.give_back(std::move(turn_));
    if (state_ != State::lingering) enter(State::closing);
}

connection::Wants Http1::wants() const {
    switch (state_) {
        case State::idle:
        case State::head:
        case State::body:
        case State::rest: return connection::Wants::input;
        case State::handling:
        case State::sending: return connection::Wants::nothing;
        case State::lent:  // as long as it waits, somebody must see whether the client leaves
            return turn_->exchange.queued ? connection::Wants::stream : connection::Wants::nothing;
        case State::streaming: return connection::Wants::stream;
        case State::closing: return connection::Wants::close;
        case State::lingering: return connection::Wants::linger;
    }
    std::abort();
}

bool Http1::serves() const {
    switch (state_) {
        case State::head:
        case State::body:
        case State::handling:
        case State::lent:
        case State::streaming:
        case State::sending:
        case State::rest: return true;
        case State::idle:
        case State::closing:
        case State::lingering: return false;
    }
    std::abort();
}

bool Http1::reads() const {
    if (state_ != State::streaming) return false;
    const Exchange& exchange = turn_->exchange;
    if (exchange.body_paused || exchange.streamer == nullptr || expects_continue_) return false;
    return body_pending_ || exchange.tunnel;
}

bool Http1::ends_after_output() const { return state_ == State::sending && !turn_->exchange.keep_alive; }

std::uint64_t Http1::patience_ms() {
    if (!std::exchange(fresh_, false)) return 0;
    const auto count = [](conf::Milliseconds time) { return static_cast<std::uint64_t>(time.count()); };
    switch (state_) {
        case State::idle: {
            const std::uint64_t patience = requests_ == 0 ? count(limits_.header_timeout) : keepalive_ms_;
            return service_.draining ? std::min(patience, drain_grace_ms) : patience;
        }
        case State::head: return count(limits_.header_timeout);
        case State::body:
        case State::rest: return turn_->exchange.terms->body_timeout_ms;
        case State::streaming:  // how long a tunnel may be quiet is for its handler to say
            return turn_->exchange.tunnel ? 0 : turn_->exchange.terms->body_timeout_ms;
        case State::handling:
        case State::lent:
        case State::sending:
        case State::closing:
        case State::lingering: return 0;
    }
    std::abort();
}

std::uint64_t Http1::send_patience_ms() const {
    if (turn_ && turn_->exchange.terms->send_timeout_ms > 0) return turn_->exchange.terms->send_timeout_ms;
    return static_cast<std::uint64_t>(limits_.send_timeout.count());
}

void Http1::enter(State next) noexcept {
    state_ = next;
    fresh_ = true;
}

}  // namespace worker::http
