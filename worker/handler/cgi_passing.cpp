#include "worker/handler/cgi_passing.h"

#include <algorithm>
#include <utility>

#include "worker/handler/buffering.h"
#include "worker/handler/peer_request.h"
#include "worker/http/host.h"

namespace worker::handler {
namespace {

using http::Known;
namespace fastcgi = http::fastcgi;

constexpr std::size_t id_words = 2;

}  // namespace

CgiRoute::CgiRoute(const conf::Route& of, upstream::Upstreams& all, connection::Buffers& room,
                   const Facts& facts, execution::Loop& on)
    : route(of),
      upstreams(all),
      buffers(room),
      loop(on),
      scripts(of),
      params(of, facts, on.clock()),
      internal(of.cgi.internal_files, on.clock()),
      log("route", of.name, on.clock()) {}

void CgiPassing::begin(http::Exchange& exchange) {
    exchange_ = &exchange;
    upstream_ = nullptr;
    bound_ = nullptr;
    peer_ = {};
    script_.clear();
    id_.clear();
    internal_.clear();
    page_ = exchange.error != 0;
    whole_ = collects_ = collected_ = buffers_answer_ = has_body_ = false;
    shared_.scripts.find(exchange.request.target.path, script_);
    if (script_.refusal == 301) return redirect_to_folder();
    if (script_.refusal != 0) return refuse(script_.refusal, {});
    if (shared_.route.proxy.request_id && !exchange.request.has(Known::x_request_id))
        shared_.ids.append_hex(id_, id_words);
    exchange.streamer = this;
    collects_ = exchange.body_follows && !page_ &&
                (shared_.route.proxy.buffer_request != conf::Buffering::off || !exchange.body_length);
    if (collects_) return collect();
    if (page_) exchange.pause_body(true);
    peers_.on_ready(*this);
    // Until somebody is asked nothing of the body is read.
    if (exchange_ != nullptr && upstream_ == nullptr && exchange.body_follows) exchange.pause_body(true);
}

void CgiPassing::collect() {
    const conf::Proxy& terms = shared_.route.proxy;
    const auto bounds = terms.buffer_request == conf::Buffering::off
                            ? connection::BufferBounds{.memory = shared_.route.cgi.chunked_max, .file = 0}
                            : bounds_of(terms, terms.buffer_request);
    body_.begin(ipc::BufferedBody::request, bounds);
    if (exchange_->body_length.value_or(0) > bounds.memory + bounds.file) {
        shared_.buffers.count(ipc::BufferedBody::request, ipc::BufferRefusal::size);
        return refuse_body(ipc::BufferRefusal::size);
    }
    exchange_->go_ahead();
}

/// Nobody has been asked. The rest of the body is not worth reading.
void CgiPassing::refuse_body(ipc::BufferRefusal refusal) {
    const NoRoom why = no_room(refusal);
    const bool of_chunks =
        refusal == ipc::BufferRefusal::size && shared_.route.proxy.buffer_request == conf::Buffering::off;
    exchange_->response.close = true;
    refuse(why.status, of_chunks ? "the body of unknown length is larger than chunked_max" : why.reason);
}

/// As `files` does; an error page is nowhere to go to.
void CgiPassing::redirect_to_folder() {
    if (page_) return refuse(404, {});
    const http::Target& target = exchange_->request.target;
    std::string location;
    append_escaped(location, target.path, Escape::uri);
    location += '/';
    if (target.has_query) location.append("?").append(target.query);
    exchange_->response.add_field("Location", location);
    refuse(301, {});
}

void CgiPassing::refuse(http::Status status, std::string_view reason) {
    http::Exchange& exchange = *std::exchange(exchange_, nullptr);
    exchange.streamer = nullptr;
    if (!reason.empty()) exchange.upstream_failure = reason;
    exchange.refuse(status);
    leave();
}

void CgiPassing::ask(const Way& way) {
    http::Exchange& exchange = *exchange_;
    const http::Request& request = exchange.request;
    upstream_ = &way.upstream;
    bound_ = way.bound;
    bound_epoch_ = way.bound != nullptr ? way.bound->epoch : 0;
    write_head(way);
    upstream::Question question;
    question.head = head_;
    question.wire = upstream::Wire::fastcgi;
    question.keep = way.keep;
    question.body = exchange.body_follows && !page_ && !collected_;
    if (collected_) question.whole = body_.chunks();
    question.idempotent = page_ || request.is_idempotent();
    question.bodiless = !page_ && request.is_head();
    question.key = way.key;
    question.bound = way.bound;
    question.terms = &shared_.route.proxy;
    question.ticket = way.ticket;
    const bool body = question.body;
    call_.start(way.upstream, question);
    if (!body || exchange_ == nullptr) return;  // it may be over
    if (exchange.body_paused) exchange.pause_body(false);
}

/// BEGIN_REQUEST, PARAMS, and for a request without a body the end of STDIN.
void CgiPassing::write_head(const Way& way) {
    const http::Exchange& exchange = *exchange_;
    const bool body = collected_ ? !body_.empty() : exchange.body_follows && !page_;
    std::optional<std::uint64_t> bytes;
    if (!page_ && !exchange.body_follows && exchange.request.has(Known::content_length))
        bytes = 0;
    else if (!page_)
        bytes = collected_ ? std::optional<std::uint64_t>(body_.size()) : exchange.body_length;
    params_.clear();
    shared_.params.append(params_, exchange,
                          {.script = script_,
                           .document_root = shared_.scripts.peer_root(),
                           .local = exchange.local(),
                           .body_bytes = bytes,
                           .request_id = id_});
    head_.clear();
    upstream::append_question(head_, {.params = params_, .keep = way.keep, .body = body});
}

void CgiPassing::on_body(std::string_view payload) {
    if (page_) return;
    if (collects_) {
        if (!body_.append(payload).empty()) refuse_body(body_.refusal());
        return;
    }
    call_.send(payload);
    if (exchange_ != nullptr && call_.unsent() >= shared_.route.proxy.buffer) exchange_->pause_body(true);
}

void CgiPassing::on_body_end() {
    if (page_) return;
    if (!collects_) return call_.end_body();
    collects_ = false;
    collected_ = true;
    peers_.on_ready(*this);
}

void CgiPassing::on_drained() {
    if (exchange_ != nullptr) exchange_->pause_body(false);
}

/// What the client was given before has left.
void CgiPassing::on_room() {
    if (buffers_answer_) {
        answer_.sent();
        pass_answer_on();
        if (answer_.full()) return;  // until the client has taken that
    }
    call_.resume();
}

/// The client left, and nobody else wants to know. But a program whose whole answer is here is about to say
/// that it is done, and need not end for that.
void CgiPassing::on_gone() {
    note_end();
    exchange_->upstream_failure = "the client left";
    exchange_ = nullptr;
    if (has_body_ && call_.has_all()) return call_.resume();  // which may be the end
    call_.cancel();
    leave();
}

void CgiPassing::on_connected(const upstream::Peer& peer) {
    peer_ = peer.name;
    exchange_->go_ahead();
}

void CgiPassing::on_response(const http::ResponseHead& head, http::Framing framing, std::uint64_t length) {
    http::Response& response = exchange_->response;
    exchange_->upstream_status = head.status;
    if (head.status < 300) internal_ = shared_.internal.wanted(head);
    append_fields(response.more_fields, head);
    add_sticky();
    if (!internal_.empty()) {  // when the program has ended
        internal_type_.assign(head.value(Known::content_type));
        return call_.skip_body();  // its length may be the file's
    }
    if (collected_) body_.clear();  // nobody else is asked
    has_body_ = framing != http::Framing::none;
    const conf::Proxy& terms = shared_.route.proxy;
    buffers_answer_ = terms.buffer_response != conf::Buffering::off && !is_event_stream(head);
    if (buffers_answer_) answer_.begin(ipc::BufferedBody::response, bounds_of(terms, terms.buffer_response));
    response.status = head.status;
    // An error page has no status of its own, so none that goes without a body either.
    response.body_size = page_ && framing == http::Framing::none ? 0 : length;
    // An answer to HEAD may keep its length to itself.
    const bool known = framing == http::Framing::length || framing == http::Framing::none;
    exchange_->begin_response(known && (framing != http::Framing::none || head.has(Known::content_length) ||
                                        !exchange_->request.is_head()));
}

/// Without those that are ours to write, or to read, or that are to be hidden.
void CgiPassing::append_fields(std::string& out, const http::ResponseHead& head) const {
    const auto& hidden = shared_.route.proxy.hide_header;
    const auto is_of_file = [](const http::Field& field, std::string_view name) {
        return field.known == Known::content_type || http::equals_ignore_case(name, "etag") ||
               http::equals_ignore_case(name, "last-modified") ||
               http::equals_ignore_case(name, "accept-ranges") ||
               http::equals_ignore_case(name, "content-range") ||
               http::equals_ignore_case(name, "content-encoding");
    };
    for (const http::Field& field : head.fields) {
        if (is_hop_by_hop(field.known) || field.known == Known::date || field.known == Known::server)
            continue;
        const std::string_view name = head.view(field.name);
        if (field.known == Known::other && is_for_server(name)) continue;
        if (!internal_.empty() && is_of_file(field, name)) continue;
        if (std::any_of(hidden.begin(), hidden.end(),
                        [name](const std::string& other) { return http::equals_ignore_case(other, name); }))
            continue;
        head.append_line(out, field);
    }
}

/// Whom the client is to come back to, unless it knows already.
void CgiPassing::add_sticky() {
    const auto* sticky = upstream_->sticky();
    if (sticky == nullptr || call_.peer_left()) return;
    const upstream::Peer& peer = call_.peer();
    if (&peer != bound_ || peer.epoch != bound_epoch_)
        exchange_->response.more_fields.append(sticky->field(peer));
}

void CgiPassing::on_payload(std::string_view bytes) {
    if (exchange_ == nullptr || !internal_.empty()) return;
    if (buffers_answer_) return buffer_answer(bytes);
    exchange_->send(bytes);
    if (exchange_->unsent() >= shared_.route.proxy.buffer) call_.pause();
}

/// At once where the client keeps up. What finds no room stops the program, as without a buffer.
void CgiPassing::buffer_answer(std::string_view bytes) {
    if (answer_.empty() && exchange_->unsent() < shared_.route.proxy.buffer) return exchange_->send(bytes);
    const std::string_view rest = answer_.append(bytes);
    if (rest.empty()) return;
    answer_.hold(rest);
    call_.pause();
}

void CgiPassing::pass_answer_on() {
    for (const connection::Chunk& chunk : answer_.chunks()) exchange_->send(chunk);
    answer_.passed_on();
}

/// Never asked for.
void CgiPassing::on_pipe(const connection::Ref<connection::Pipe>&, std::uint64_t) { std::abort(); }

void CgiPassing::on_end(std::string_view) {
    whole_ = true;
    note_end();
    if (exchange_ == nullptr) return leave();
    if (!internal_.empty()) return send_internal();
    if (buffers_answer_) pass_answer_on();
    std::exchange(exchange_, nullptr)->finish();
    leave();
}

void CgiPassing::send_internal() {
    http::Exchange& exchange = *std::exchange(exchange_, nullptr);
    exchange.streamer = nullptr;
    http::Status status = 0;
    if (!shared_.internal.answer(exchange, internal_, internal_type_, status)) {
        exchange.response.more_fields.clear();  // they were of an answer that there is not
        exchange.upstream_failure = "the file that it names is not there";
        exchange.refuse(status);
    }
    leave();
}

void CgiPassing::on_stderr(std::string_view bytes) { shared_.log.add(lines_, bytes, about()); }

void CgiPassing::give_up(const upstream::Failure& failure) {
    call_.cancel();
    on_failure(failure);
}

void CgiPassing::on_failure(const upstream::Failure& failure) {
    note_end();
    if (exchange_ == nullptr) return leave();
    http::Exchange& exchange = *exchange_;
    exchange.upstream_failure = failure.reason;
    peers_.on_failure(*this, failure);
    exchange_ = nullptr;
    if (exchange.begun) {
        exchange.give_up();
    } else {
        exchange.streamer = nullptr;
        exchange.response.more_fields.clear();
        exchange.refuse(failure.status);
    }
    leave();
}

std::string_view CgiPassing::request_id() const noexcept {
    return id_.empty() ? exchange_->request.value(Known::x_request_id) : std::string_view(id_);
}

observe::ProgramLog::About CgiPassing::about() const noexcept {
    if (exchange_ == nullptr) return {.peer = peer_, .request = {}, .id = id_};
    return {.peer = peer_, .request = exchange_->request.begin_of_line(), .id = request_id()};
}

void CgiPassing::note_end() {
    shared_.log.end(lines_, about());
    if (upstream_ == nullptr || exchange_ == nullptr) return;
    http::append_tries(exchange_->upstream_tries, call_.tries());
    exchange_->upstream_us = shared_.loop.clock().now_us() - call_.begun_us();
}

/// Last of all, for whoever takes this back may use it again.
void CgiPassing::leave() {
    body_.clear();
    answer_.clear();
    peers_.on_over(*this);
}

}  // namespace worker::handler
