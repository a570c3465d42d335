#include "worker/handler/proxy.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <string>
#include <utility>

#include "worker/connection/body_buffer.h"
#include "worker/handler/buffering.h"
#include "worker/http/host.h"
#include "worker/http/list.h"
#include "worker/upstream/call.h"

namespace worker::handler {
namespace {

using http::Known;

constexpr std::size_t spare_max = 256;
constexpr std::uint64_t told_every_us = 100'000;  // lines about failures, at most

}  // namespace

/// One request on its way to a peer and back.
//   client ──on_body──▶ Call::send ──▶ peer ──on_payload──▶ Exchange::send ──▶ client
// Whoever is slower stops the other: more than `buffer` waiting pauses its source until all of it has gone.
// Unless the route buffers: then the request's body is here before anybody is asked, and what a slow client
// leaves of the response waits in a buffer, whose end alone stops the peer.
class Passing final : public http::Streamer, private upstream::Caller {
 public:
    explicit Passing(Proxy& proxy)
        : proxy_(proxy), call_(proxy.upstreams(), *this), body_(proxy.buffers()), answer_(proxy.buffers()) {}

    /// The body of the request first, and then what `begin` does.
    void collect(http::Exchange& exchange);
    void begin(http::Exchange& exchange, const ipc::Ticket& ticket);
    /// It is over: nothing of its bodies is kept but what is on its way.
    void forget() noexcept;

 private:
    void on_body(std::string_view payload) override;
    void on_body_end() override;
    void on_room() override;
    void on_gone() override;

    void on_connected(const upstream::Peer&) override { exchange_->go_ahead(); }
    void on_interim(const http::ResponseHead& head) override;
    void on_response(const http::ResponseHead& head, http::Framing framing, std::uint64_t length) override;
    void on_payload(std::string_view bytes) override;
    void on_pipe(const connection::Ref<connection::Pipe>& pipe, std::uint64_t size) override;
    void on_end(std::string_view trailers) override;
    void on_drained() override;
    void on_failure(const upstream::Failure& failure) override;

    [[nodiscard]] upstream::Peer* bound_peer(const http::Request& request) const;
    void note_end();
    void refuse_body(ipc::BufferRefusal refusal);
    void buffer_answer(std::string_view bytes);
    void pass_answer_on();

    Proxy& proxy_;
    upstream::Call call_;
    http::Exchange* exchange_ = nullptr;
    std::string head_, room_;
    const upstream::Peer* bound_ = nullptr;  ///< by the client's cookie
    std::uint32_t bound_epoch_ = 0;          ///< likewise
    bool takes_trailers_ = false;
    bool page_ = false;  ///< an error page: a GET of our own, and the client's body was for somebody else
    connection::BodyBuffer body_, answer_;
    bool collecting_ = false, collected_ = false;  ///< the request's body, into `body_`
    bool buffers_answer_ = false;
};

void Passing::collect(http::Exchange& exchange) {
    exchange_ = &exchange;
    exchange.streamer = this;
    const conf::Proxy& terms = proxy_.route().proxy;
    const auto bounds = bounds_of(terms, terms.buffer_request);
    body_.begin(ipc::BufferedBody::request, bounds);
    collecting_ = true;
    if (exchange.body_length.value_or(0) > bounds.memory + bounds.file) {
        proxy_.buffers().count(ipc::BufferedBody::request, ipc::BufferRefusal::size);
        return refuse_body(ipc::BufferRefusal::size);
    }
    exchange.go_ahead();
}

void Passing::begin(http::Exchange& exchange, const ipc::Ticket& ticket) {
    exchange_ = &exchange;
    const http::Request& request = exchange.request;
    const conf::Proxy& terms = proxy_.route().proxy;
    page_ = exchange.error != 0;
    const bool upgrade = !page_ && request.minor >= 1 && request.has(Known::upgrade) &&
                         http::has_token(request.joined(Known::connection, room_), "upgrade") &&
                         // HTTP/2 over our framing would be requests that we never see.
                         !http::has_token(request.value(Known::upgrade), "h2c");
    takes_trailers_ = request.minor >= 1 && request.has(Known::te) &&
                      http::has_token(request.joined(Known::te, room_), "trailers");
    head_.clear();
    room_.clear();
    if (collected_) room_.append("Content-Length: ").append(std::to_string(body_.size())).append("\r\n");
    proxy_.request().append(
        head_, exchange, {.upgrade = upgrade, .more = room_, .host = terms.upstream, .framed = collected_});
    upstream::Question question;
    question.head = head_;
    question.body = exchange.body_follows && !page_ && !collected_;
    question.whole = body_.chunks();
    question.chunked = question.body && !exchange.body_length;
    question.idempotent = page_ || request.is_idempotent();
    question.bodiless = !page_ && request.is_head();
    question.upgrade = upgrade;
    // What is not sent on would stay in the pipe.
    question.pipe = !exchange.secure && !request.is_head() && terms.buffer_response == conf::Buffering::off;
    question.key = proxy_.key(exchange);
    question.terms = &terms;
    question.ticket = ticket;
    if (proxy_.upstream().sticky() != nullptr) {
        bound_ = question.bound = bound_peer(request);
        bound_epoch_ = bound_ != nullptr ? bound_->epoch : 0;
    }
    exchange.streamer = this;
    if (page_) exchange.pause_body(true);
    call_.start(proxy_.upstream(), question);
}

upstream::Peer* Passing::bound_peer(const http::Request& request) const {
    for (const http::Field& field : request.fields) {
        if (field.known != Known::other || !http::equals_ignore_case(request.view(field.name), "cookie"))
            continue;
        if (upstream::Peer* peer = proxy_.upstream().bound(request.view(field.value))) return peer;
    }
    return nullptr;
}

void Passing::on_body(std::string_view payload) {
    if (page_) return;
    if (collecting_) {
        if (!body_.append(payload).empty()) refuse_body(body_.refusal());
        return;
    }
    call_.send(payload);
    if (exchange_ != nullptr && call_.unsent() >= proxy_.route().proxy.buffer) exchange_->pause_body(true);
}

void Passing::on_body_end() {
    if (page_) return;
    if (!std::exchange(collecting_, false)) return call_.end_body();
    collected_ = true;
    http::Exchange& exchange = *exchange_;
    if (const auto ticket = proxy_.admit(exchange)) return begin(exchange, *ticket);
    exchange_ = nullptr;
    proxy_.take_back(*this);
}

/// Nobody has been asked. The rest of the body is not worth reading.
void Passing::refuse_body(ipc::BufferRefusal refusal) {
    http::Exchange& exchange = *std::exchange(exchange_, nullptr);
    const NoRoom why = no_room(refusal);
    proxy_.log_no_room(exchange, why.reason);
    exchange.response.close = true;
    proxy_.refuse(exchange, why.status, why.reason);
    proxy_.take_back(*this);
}

void Passing::on_drained() { exchange_->pause_body(false); }

/// What the client was given before has left.
void Passing::on_room() {
    if (buffers_answer_) {
        answer_.sent();
        pass_answer_on();
        if (answer_.full()) return;  // until the client has taken that
    }
    call_.resume();
}

/// The client left, and nobody else wants to know.
void Passing::on_gone() {
    if (!collecting_) note_end();
    exchange_->upstream_failure = "the client left";
    call_.cancel();
    exchange_ = nullptr;
    proxy_.take_back(*this);
}

void Passing::on_interim(const http::ResponseHead& head) {
    room_.clear();
    proxy_.response().append_fields(room_, head, call_.asked_now());
    exchange_->inform(head.status, room_);
    if (exchange_->unsent() >= proxy_.route().proxy.buffer) call_.pause();
}

void Passing::on_response(const http::ResponseHead& head, http::Framing framing, std::uint64_t length) {
    http::Response& response = exchange_->response;
    response.status = head.status;
    exchange_->upstream_status = head.status;
    proxy_.response().append_fields(response.more_fields, head, call_.asked_now());
    if (const auto* sticky = proxy_.upstream().sticky(); sticky != nullptr && !call_.peer_left()) {
        const upstream::Peer& peer = call_.peer();
        if (&peer != bound_ || peer.epoch != bound_epoch_) response.more_fields.append(sticky->field(peer));
    }
    if (collected_) body_.clear();  // nobody else is asked
    if (head.status == 101) {
        response.add_field("Upgrade", head.value(Known::upgrade));
        exchange_->tunnel = true;
        return exchange_->begin_response(false);
    }
    const conf::Proxy& terms = proxy_.route().proxy;
    buffers_answer_ = terms.buffer_response != conf::Buffering::off && !is_event_stream(head);
    if (buffers_answer_) answer_.begin(ipc::BufferedBody::response, bounds_of(terms, terms.buffer_response));
    // An error page has no status of its own, so none that goes without a body either.
    response.body_size = page_ && framing == http::Framing::none ? 0 : length;
    // An answer to HEAD may keep its length to itself.
    const bool known = framing == http::Framing::length || framing == http::Framing::none;
    exchange_->begin_response(known && (framing != http::Framing::none || head.has(Known::content_length) ||
                                        !exchange_->request.is_head()));
}

void Passing::on_payload(std::string_view bytes) {
    if (buffers_answer_) return buffer_answer(bytes);
    exchange_->send(bytes);
    if (exchange_->unsent() >= proxy_.route().proxy.buffer) call_.pause();
}

/// At once where the client keeps up. What finds no room stops the peer, as without a buffer.
void Passing::buffer_answer(std::string_view bytes) {
    if (answer_.empty() && exchange_->unsent() < proxy_.route().proxy.buffer) return exchange_->send(bytes);
    const std::string_view rest = answer_.append(bytes);
    if (rest.empty()) return;
    answer_.hold(rest);
    call_.pause();
}

void Passing::pass_answer_on() {
    for (const connection::Chunk& chunk : answer_.chunks()) exchange_->send(chunk);
    answer_.passed_on();
}

void Passing::on_pipe(const connection::Ref<connection::Pipe>& pipe, std::uint64_t size) {
    connection::Chunk chunk;
    chunk.keeper = pipe;
    chunk.file = pipe->reading.get();
    chunk.size = size;
    chunk.pipe = true;
    exchange_->send(chunk);
}

void Passing::on_end(std::string_view trailers) {
    note_end();
    if (buffers_answer_) pass_answer_on();
    if (takes_trailers_) proxy_.response().append_trailers(exchange_->response.trailers, trailers);
    std::exchange(exchange_, nullptr)->finish();
    proxy_.take_back(*this);
}

void Passing::on_failure(const upstream::Failure& failure) {
    note_end();
    http::Exchange& exchange = *std::exchange(exchange_, nullptr);
    proxy_.log_failure(exchange, failure.reason, call_.asked());
    if (exchange.begun) {
        exchange.upstream_failure = failure.reason;
        exchange.give_up();
    } else {
        proxy_.refuse(exchange, failure.status, failure.reason);
    }
    proxy_.take_back(*this);
}

void Passing::note_end() {
    http::append_tries(exchange_->upstream_tries, call_.tries());
    exchange_->upstream_us = proxy_.upstream().loop().clock().now_us() - call_.begun_us();
}

void Passing::forget() noexcept {
    if (!collecting_ && !collected_ && !buffers_answer_) return;
    body_.clear();
    answer_.clear();
    collecting_ = collected_ = buffers_answer_ = false;
}

Proxy::Proxy(const conf::Route& route, upstream::Upstreams& upstreams, connection::Buffers& buffers,
             const Facts& facts, execution::Loop& loop)
    : route_(route),
      upstreams_(upstreams),
      buffers_(buffers),
      upstream_(upstreams.find(route.proxy.upstream)),
      facts_(facts),
      loop_(loop),
      request_(route, facts, loop.clock()),
      response_(route),
      key_(upstream_.config().balance.key, Escape::none) {}

Proxy::~Proxy() = default;

/// What is borrowed here comes back by `take_back`.
void Proxy::handle(http::Exchange& exchange) {
    const bool collects = route_.proxy.buffer_request != conf::Buffering::off && exchange.body_follows;
    if (collects && exchange.error == 0) return borrow().release()->collect(exchange);
    if (const auto ticket = admit(exchange)) borrow().release()->begin(exchange, *ticket);
}

std::optional<jobs::StoredRequest> Proxy::as_job(const http::Exchange& exchange) {
    constexpr std::size_t end_bytes = 2;  // of the head, which goes on
    jobs::StoredRequest request;
    request_.append(request.head, exchange, {.host = route_.proxy.upstream, .framed = true, .of_job = true});
    request.head.resize(request.head.size() - end_bytes);
    request.hidden = fmt::format("{}", fmt::join(route_.proxy.hide_header, ","));
    return request;
}

std::optional<ipc::Ticket> Proxy::admit(http::Exchange& exchange) {
    const upstream::Admission admission = upstream_.admit();
    if (admission.admitted()) return admission.ticket;
    if (exchange.error != 0 && !exchange.fallback) {  // the refusal that the page is for has said when
        refuse(exchange, 503, admission.refusal);
        return std::nullopt;
    }
    char line[64];
    const auto end =
        fmt::format_to_n(line, sizeof line, "Retry-After: {}\r\n", admission.retry_after_seconds);
    exchange.response.more_fields.append(line, end.size);
    refuse(exchange, 503, admission.refusal);
    return std::nullopt;
}

std::unique_ptr<Passing> Proxy::borrow() {
    if (spare_.empty()) return std::make_unique<Passing>(*this);
    std::unique_ptr<Passing> passing = std::move(spare_.back());
    spare_.pop_back();
    return passing;
}

void Proxy::refuse(http::Exchange& exchange, http::Status status, std::string_view reason) {
    exchange.streamer = nullptr;
    exchange.upstream_failure = reason;
    exchange.refuse(status);
}

std::uint64_t Proxy::key(const http::Exchange& exchange) {
    if (upstream_.config().balance.how != conf::Balance::How::hash) return 0;
    key_room_.clear();
    key_.append(key_room_, exchange, facts_, loop_.clock());
    return upstream::hash_of(key_room_);
}

void Proxy::log_failure(const http::Exchange& exchange, std::string_view reason, std::string_view asked) {
    if (!may_tell()) return;
    spdlog::error("upstream failed route={} upstream={} why={:?} peers={:?} request={:?} more_untold={}",
                  route_.name, upstream_.name(), reason, asked, exchange.request.begin_of_line(),
                  std::exchange(untold_, 0));
}

void Proxy::log_no_room(const http::Exchange& exchange, std::string_view reason) {
    if (!may_tell()) return;
    spdlog::warn("request refused route={} why={:?} request={:?} more_untold={}", route_.name, reason,
                 exchange.request.begin_of_line(), std::exchange(untold_, 0));
}

bool Proxy::may_tell() {
    const std::uint64_t now = loop_.clock().now_us();
    const bool may = told_us_ == 0 || now - told_us_ >= told_every_us;
    if (may) {
        told_us_ = now;
    } else {
        ++untold_;
    }
    return may;
}

void Proxy::take_back(Passing& passing) {
    std::unique_ptr<Passing> over(&passing);
    over->forget();
    if (spare_.size() < spare_max) return spare_.push_back(std::move(over));
    if (leaving_.empty()) loop_.after_turn([this] { leaving_.clear(); });
    leaving_.push_back(std::move(over));
}

}  // namespace worker::handler
