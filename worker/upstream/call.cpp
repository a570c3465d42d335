#include "worker/upstream/call.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <utility>

namespace worker::upstream {
namespace {

using connection::Io;
using connection::Moved;
using http::Framing;
using http::Parsed;
using ipc::CallFailure;

constexpr std::uint64_t piped_min = 64 * 1024;        // below, a copy costs less than a pipe
constexpr std::size_t first_read_max = 16 * 1024;     // of a response: what follows may go through a pipe
constexpr std::size_t large_read_max = 4 * 1024;      // likewise, where another large one is to be expected
constexpr std::size_t body_kept_max = 64 * 1024;      // of a request's body, for another attempt
constexpr std::size_t flush_bytes_max = 1024 * 1024;  // in one go
constexpr int turn_reads_max = 16;                    // so that one response starves nobody

constexpr Failure no_peer{502, "no peer can be asked"};
constexpr Failure unresolved{502, "no address of the upstream is known"};
constexpr Failure all_full{503, "all peers are at max_conns"};
constexpr Failure cannot_connect{502, "connect failed"};
constexpr Failure connect_late{504, "connect timed out"};
constexpr Failure send_late{504, "the peer takes no request"};
constexpr Failure read_late{504, "no response in time"};
constexpr Failure whole_late{504, "all took too long"};
constexpr Failure client_late{504, "the client took too long"};
constexpr Failure ended{502, "the peer ended the connection"};

std::uint64_t size_of(std::span<const connection::Chunk> chunks) {
    std::uint64_t sum = 0;
    for (const connection::Chunk& chunk : chunks) sum += chunk.size;
    return sum;
}

std::uint64_t milliseconds(conf::Milliseconds time) { return static_cast<std::uint64_t>(time.count()); }

void append_chunk(std::string& out, std::string_view bytes) {
    char size[20];
    const char* end = std::to_chars(size, size + sizeof size, bytes.size(), 16).ptr;
    out.append(size, static_cast<std::size_t>(end - size)).append("\r\n").append(bytes).append("\r\n");
}

}  // namespace

Call::Call(Upstreams& upstreams, Caller& caller) : upstreams_(upstreams), caller_(caller) {}

Call::~Call() { cancel(); }

void Call::start(Upstream& upstream, const Question& question) {
    upstream_ = &upstream;
    question_ = question;
    body_ended_ = !question.body;
    asked_.clear();
    tries_.clear();
    exit_status_.reset();
    begun_us_ = whole_us_ = upstream.loop().clock().now_us();
    hedges_ = upstream.hedging() != nullptr && question.idempotent && !question.upgrade &&
              size_of(question.whole) <= body_kept_max;
    upstream.count_call();
    if (upstream.concurrency() != nullptr) {
        waits_ = true;
        upstream.concurrency()->enter();
    }
    if (const auto whole = milliseconds(question.terms->timeout); whole > 0)
        upstream.loop().arm(whole_, whole);
    phase_ = Phase::connecting;
    if (question.bound != nullptr && upstream.takes(*question.bound)) {
        next_ = question.bound;
        hedges_ = false;  // what it keeps for the client nobody else has
    } else {
        next_ = upstream.choose(question.key, tried_);
    }
    if (next_ == nullptr)
        return fail(upstream.full() ? all_full : upstream.unresolved() ? unresolved : no_peer);
    ask();
}

/// The next attempt.
void Call::ask() {
    while (!connect(*next_)) {
        upstream_->failed(*peer_, epoch_, CallFailure::connect);
        if (fall_back()) return;
        if (!may_ask_again(CallFailure::connect)) return fail(cannot_connect);
    }
}

bool Call::connect(Peer& peer) {
    peer_ = &peer;
    epoch_ = peer.epoch;
    if (!fresh_only_) {
        tried_.emplace_back(peer);
        if (!asked_.empty()) asked_ += ", ";
        asked_ += peer.name;
        nth_ = tries_.size();
        tries_.push_back({.peer = peer.name});
    }
    attempt_us_ = upstream_->loop().clock().now_us();
    peer.use->calls.add();
    if (hedges_) watch_late();
    connection_ = fresh_only_ ? nullptr : upstream_->reuse(peer);
    // What cannot be sent twice is not sent to somebody who has just hung up.
    while (connection_ && !question_.idempotent && connection_->transport.peek() != Io::blocked)
        connection_ = upstream_->reuse(peer);
    reused_ = connection_ != nullptr;
    fresh_only_ = false;
    if (!connection_) connection_ = upstream_->open(peer);
    if (!connection_) {
        peer.use->statuses[0].add();
        note_over(cannot_connect.status);
        return false;
    }
    peer.use->active.add();
    connection_->use(this);
    ++connection_->requests;
    heard_ = false;
    phase_ = Phase::connecting;
    if (connection_->connecting) {
        upstream_->loop().arm(*this, milliseconds(question_.terms->connect_timeout));
    } else {
        begin_request();
    }
    return true;
}

void Call::begin_request() {
    phase_ = Phase::head;
    tries_[nth_].connect_us = upstream_->loop().clock().now_us() - attempt_us_;
    partial_.clear();
    if (question_.wire == Wire::fastcgi) {
        begin_records();
    } else {
        parser_.reset(head_, question_.bodiless, question_.terms->response_header_max);
    }
    connection_->output.append(question_.head);
    connection_->output.append(body_);
    append_whole();
    caller_.on_connected(*peer_);
    if (talking() && flush()) watch_time();
}

void Call::send(std::string_view bytes) {
    if (phase_ == Phase::idle || bytes.empty()) return;
    const std::size_t before = body_.size();
    append_body(bytes);
    if (phase_ == Phase::connecting) return;  // goes with the head
    connection_->output.append(std::string_view(body_).substr(before));
    if (body_lost_ || body_.size() > body_kept_max || phase_ != Phase::head) {
        body_lost_ = true;
        body_.clear();
    }
    if (!receiving_ && flush()) watch_time();
}

/// As its framing wants it.
void Call::append_body(std::string_view bytes) {
    if (question_.wire == Wire::fastcgi) {
        http::fastcgi::append_stream(body_, http::fastcgi::Type::standard_in, fastcgi_request, bytes);
    } else if (phase_ != Phase::tunnel && question_.chunked) {
        append_chunk(body_, bytes);
    } else {
        body_.append(bytes);
    }
}

void Call::end_body() {
    if (phase_ == Phase::idle) return;
    body_ended_ = true;
    whole_us_ = upstream_->loop().clock().now_us();
    if (hedges_) watch_late();
    const std::size_t before = body_.size();
    if (question_.wire == Wire::fastcgi) {
        http::fastcgi::append_end_of_stream(body_, http::fastcgi::Type::standard_in, fastcgi_request);
    } else if (question_.chunked) {
        body_.append("0\r\n\r\n");
    }
    if (phase_ != Phase::connecting) connection_->output.append(std::string_view(body_).substr(before));
    if (phase_ != Phase::connecting && !receiving_ && flush()) watch_time();
}

std::uint64_t Call::unsent() const noexcept {
    if (phase_ == Phase::idle) return 0;
    if (phase_ == Phase::connecting) return body_.size();
    return connection_->output.pending();
}

void Call::pause() noexcept {
    paused_ = true;
    if (talking() && !receiving_) watch_time();
}

void Call::resume() {
    if (!std::exchange(paused_, false) || phase_ == Phase::idle || receiving_) return;
    if (phase_ == Phase::connecting) return;
    receive();
}

bool Call::ask_to_abort() {
    if (phase_ == Phase::idle || phase_ == Phase::connecting) return false;
    std::string record;
    http::fastcgi::append_header(record, http::fastcgi::Type::abort_request, fastcgi_request, 0);
    connection_->output.append(record);
    if (!receiving_ && flush()) watch_time();
    return true;
}

void Call::cancel() noexcept {
    if (phase_ == Phase::idle) return;
    upstream_->record(question_.ticket, ipc::Outcome::neutral);
    leave_peer(false);
    reset();
}

void Call::on_io() noexcept { advance(); }

void Call::advance() {
    if (phase_ == Phase::connecting) {
        const int error = connection_->connected();
        if (error == EINPROGRESS) return;
        if (error != 0) return fail_attempt(CallFailure::connect, cannot_connect);
        return begin_request();
    }
    // What the peer has said comes first: it may have answered before it stopped listening.
    receive();
    if (phase_ == Phase::idle || phase_ == Phase::connecting) return;
    if (flush()) watch_time();
}

/// Sends what there is. False: the attempt is over.
bool Call::flush() {
    if (connection_->output.empty()) return true;
    if (!connection_->writable) return true;
    switch (connection_->output.send(connection_->transport, flush_bytes_max, false, connection_->sent)) {
        case connection::Sent::all:
            connection_->unwatch_writable();
            // Of a request with a body: how long its peer takes to read that is not how long it thinks.
            if (phase_ == Phase::head && body_ended_ && (question_.body || !question_.whole.empty()))
                whole_us_ = upstream_->loop().clock().now_us();
            if (!body_ended_ || phase_ == Phase::tunnel) caller_.on_drained();
            return talking();
        case connection::Sent::blocked:
            connection_->writable = false;
            connection_->watch_writable();
            return true;
        case connection::Sent::yielded: connection_->yield(); return true;
        case connection::Sent::failed: break;
    }
    // It may have answered before it closed: what it said is worth more than what we could not say.
    connection_->output.clear();
    connection_->readable = connection_->ending = true;
    if (!receiving_) receive();
    return talking();
}

void Call::receive() {
    receiving_ = true;
    int reads = 0;
    while (phase_ != Phase::idle && phase_ != Phase::connecting && !paused_) {
        if (!connection_->readable) break;
        if (++reads > turn_reads_max) {
            connection_->yield();  // the rest when others had their turn
            break;
        }
        if (!receive_some()) break;
    }
    receiving_ = false;
    if (phase_ == Phase::idle || phase_ == Phase::connecting) return;
    watch_time();
}

/// False: nothing more for now.
bool Call::receive_some() {
    if (phase_ == Phase::body && piped_) return receive_piped();
    std::vector<char>& input = upstreams_.input();
    const std::size_t kept = partial_.size();
    std::copy(partial_.begin(), partial_.end(), input.begin());
    std::size_t room = input.size() - kept;
    if (phase_ == Phase::head && question_.pipe)
        room = std::min(room, peer_->large && kept == 0 ? large_read_max : first_read_max);
    const Moved moved = connection_->transport.receive(input.data() + kept, room);
    switch (moved.io) {
        case Io::blocked: connection_->readable = false; return false;
        case Io::ended: on_peer_end(moved.error); return false;
        case Io::moved: break;
    }
    heard_ = true;
    if (moved.bytes < room && !connection_->ending) connection_->readable = false;
    consume({input.data(), kept + moved.bytes});
    // It is waiting for more: ask, for a reset behind these bytes is told only once.
    if (connection_) connection_->readable = true;
    return true;
}

bool Call::receive_piped() {
    if (!pipe_) pipe_ = upstreams_.borrow_pipe();
    if (!pipe_) {  // none to be had: copy
        piped_ = false;
        return true;
    }
    const std::uint64_t wanted = std::min<std::uint64_t>(remaining_, connection::Pipe::wide_bytes);
    const Moved moved =
        connection_->transport.receive_pipe(pipe_->writing.get(), static_cast<std::size_t>(wanted));
    switch (moved.io) {
        case Io::blocked: connection_->readable = false; return false;
        case Io::ended: on_peer_end(moved.error); return false;
        case Io::moved: break;
    }
    remaining_ -= moved.bytes;
    paused_ = true;
    const auto pipe = pipe_;
    caller_.on_pipe(pipe, moved.bytes);
    if (phase_ != Phase::idle && remaining_ == 0) {
        pipe_ = {};  // its bytes are still on their way
        finish(false);
    }
    return true;  // it may have been resumed already
}

void Call::consume(std::span<const char> bytes) {
    if (question_.wire == Wire::fastcgi) return consume_records({bytes.data(), bytes.size()});
    while (!bytes.empty()) {
        switch (phase_) {
            case Phase::head: bytes = consume_head(bytes); break;
            case Phase::body: bytes = consume_body(bytes); break;
            case Phase::tunnel: caller_.on_payload({bytes.data(), bytes.size()}); return;
            case Phase::idle:
            case Phase::connecting: return;
        }
    }
}

std::span<const char> Call::consume_head(std::span<const char> bytes) {
    switch (parser_.head(bytes)) {
        case Parsed::more: partial_.assign(bytes.data(), bytes.size()); return {};
        case Parsed::refused: fail_attempt(CallFailure::malformed, {502, parser_.complaint()}); return {};
        case Parsed::head:
        case Parsed::complete: break;
    }
    partial_.clear();
    const std::span<const char> rest = bytes.subspan(head_.head_size);
    const bool bodiless_end = head_.status >= 200 && parser_.framing() == Framing::none;
    if (head_.status >= 100 && head_.status < 200 && head_.status != 101) {
        if (head_.status != 100) caller_.on_interim(head_);
        if (phase_ == Phase::head)
            parser_.reset(head_, question_.bodiless, question_.terms->response_header_max);
        return rest;
    }
    note_head();
    if (hedged() && hold_back(bytes)) return {};
    on_head(parser_.framing(), parser_.content_length());
    if (bodiless_end && phase_ == Phase::body) {
        finish(!rest.empty());
        return {};
    }
    return phase_ == Phase::body || phase_ == Phase::tunnel ? rest : std::span<const char>();
}

void Call::on_head(Framing framing, std::uint64_t length) {
    const auto& again = question_.terms->retry_statuses;
    if (head_.status == 101) {
        if (!question_.upgrade)
            return fail_attempt(CallFailure::malformed, {502, "it upgrades, and nobody asked"});
        if (!head_.has(http::Known::upgrade))  // RFC 9110 15.2.2
            return fail_attempt(CallFailure::malformed, {502, "it upgrades, and does not say to what"});
        phase_ = Phase::tunnel;
        body_lost_ = true;
        stop_waiting();
        return caller_.on_response(head_, Framing::until_end, 0);
    }
    if (std::find(again.begin(), again.end(), head_.status) != again.end() &&
        may_ask_again(CallFailure::status)) {
        peer_->use->statuses[head_.status / 100].add();
        upstream_->failed(*peer_, epoch_, CallFailure::status);
        leave_peer(false);
        phase_ = Phase::connecting;
        return ask();
    }
    if (upstream_->hedging() != nullptr) decide();
    if (head_.status < 500) note_wait();  // errors may be quick because nothing was done
    stop_waiting();
    phase_ = Phase::body;
    framing_ = framing;
    remaining_ = length;
    piped_ = question_.pipe && framing_ == Framing::length && remaining_ >= piped_min;
    peer_->large = piped_;
    caller_.on_response(head_, framing_, remaining_);
}

std::span<const char> Call::consume_body(std::span<const char> bytes) {
    switch (framing_) {
        case Framing::none: finish(true); return {};
        case Framing::chunked: return consume_chunks(bytes);
        case Framing::until_end: caller_.on_payload({bytes.data(), bytes.size()}); return {};
        case Framing::length: break;
    }
    const std::size_t size = static_cast<std::size_t>(std::min<std::uint64_t>(remaining_, bytes.size()));
    remaining_ -= size;
    caller_.on_payload({bytes.data(), size});
    if (phase_ != Phase::body) return {};
    if (remaining_ == 0) {
        finish(bytes.size() > size);
        return {};
    }
    return {};
}

std::span<const char> Call::consume_chunks(std::span<const char> bytes) {
    std::size_t taken = 0;
    const Parsed parsed = parser_.body(bytes, taken);
    if (parsed == Parsed::refused) {
        fail_attempt(CallFailure::malformed, {502, parser_.complaint()});
        return {};
    }
    for (const std::string_view payload : parser_.payload())
        if (phase_ == Phase::body) caller_.on_payload(payload);
    if (phase_ == Phase::body && parsed == Parsed::complete) finish(taken < bytes.size());
    return {};
}

void Call::on_peer_end(int error) {
    connection_->readable = false;
    // A reset is no end: something may be missing. Of FastCGI records say what the end is.
    const bool whole = (phase_ == Phase::body && framing_ == Framing::until_end && error == 0 &&
                        question_.wire == Wire::http) ||
                       phase_ == Phase::tunnel;
    if (whole) return finish(true);
    fail_attempt(CallFailure::reset, ended, stale());
}

/// A connection that was kept may end just when it is used again: the peer never saw the request.
bool Call::stale() const noexcept { return phase_ == Phase::head && reused_ && !heard_; }

/// Only one of them can be overdue: the peer takes what we send, or it answers.
void Call::watch_time() {
    execution::Loop& loop = upstream_->loop();
    if (!connection_->output.empty()) {
        return loop.arm(*this, milliseconds(question_.terms->send_timeout));
    }
    if (paused_ || (!body_ended_ && phase_ == Phase::head)) return disarm();
    loop.arm(*this, milliseconds(question_.terms->read_timeout));
}

void Call::on_deadline() noexcept {
    upstream_->loop().enter();
    if (phase_ == Phase::connecting) return fail_attempt(CallFailure::connect_timeout, connect_late);
    if (!connection_->output.empty()) return fail_attempt(CallFailure::send_timeout, send_late);
    if (phase_ == Phase::tunnel) return finish(true);  // it was quiet for long
    fail_attempt(CallFailure::read_timeout, read_late);
}

void Call::on_whole() noexcept {
    upstream_->loop().enter();
    if (phase_ == Phase::tunnel) return;  // a tunnel lasts as long as it is used
    if (!armed()) {                       // nothing is due by the peer: the client holds it up
        peer_->use->statuses[phase_ == Phase::body ? head_.status / 100 : 0].add();
        return fail(client_late);
    }
    retries_ = question_.terms->retries;  // there is no time for another attempt
    if (hedged() && other_->held != 0 && fall_back() && phase_ == Phase::idle) return;
    if (hedged()) drop_other();
    fail_attempt(phase_ == Phase::connecting ? CallFailure::connect_timeout : CallFailure::read_timeout,
                 whole_late);
}

void Call::finish(bool surplus) {
    peer_->use->statuses[head_.status / 100].add();
    peer_->use->latency.add(upstream_->loop().clock().now_us() - attempt_us_);
    upstream_->succeeded(*peer_, epoch_, attempt_us_);
    upstream_->record(question_.ticket, outcome());
    const bool left_open = question_.wire == Wire::fastcgi
                               ? question_.keep
                               : framing_ != Framing::until_end && parser_.keep_alive();
    const bool keep =
        !surplus && phase_ == Phase::body && body_ended_ && connection_->output.empty() && left_open;
    leave_peer(keep);
    const std::string_view trailers =
        framing_ == Framing::chunked ? std::string_view(parser_.trailers()) : "";
    reset();
    caller_.on_end(trailers);
}

void Call::fail_attempt(CallFailure kind, const Failure& failure, bool stale) {
    if (has_all()) return finish(true);
    const bool answered = phase_ == Phase::body || phase_ == Phase::tunnel;
    const bool lost = phase_ != Phase::connecting && body_lost_;
    if (kind == CallFailure::read_timeout && phase_ == Phase::head) note_wait();
    if (!stale) {
        peer_->use->statuses[answered ? head_.status / 100 : 0].add();
        upstream_->failed(*peer_, epoch_, kind);
        note_over(failure.status);
    }
    const bool unseen = stale && !lost && question_.idempotent;
    if (unseen && !peer_left()) {
        fresh_only_ = true;
        next_ = peer_;  // that its kept connection had ended says nothing of the peer
    } else if (unseen && (next_ = upstream_->choose(question_.key, tried_)) != nullptr) {
        // its address has gone too: whoever is here now, at no cost either
    } else if (fall_back()) {
        return;
    } else if (answered || lost || !may_ask_again(kind, failure.untouched)) {
        return fail(
            {.status = failure.status, .reason = failure.reason, .kind = kind, .silent = failure.silent});
    }
    leave_peer(false);
    phase_ = Phase::connecting;
    ask();
}

/// Of a response that is whole.
ipc::Outcome Call::outcome() const noexcept {
    if (upstream_->is_failure(head_.status)) return ipc::Outcome::failure;
    if (phase_ == Phase::tunnel) return ipc::Outcome::success;  // how long it lasts is not the peer's doing
    const std::uint64_t took = upstream_->loop().clock().now_us() - begun_us_;
    return upstream_->is_slow(took) ? ipc::Outcome::slow : ipc::Outcome::success;
}

/// Where nothing was sent, or where asking twice does no harm; and within the budget.
bool Call::may_ask_again(CallFailure kind, bool untouched) {
    const bool unsent = untouched || kind == CallFailure::connect || kind == CallFailure::connect_timeout;
    if (retries_ >= question_.terms->retries || body_lost_) return false;
    if (!unsent && !question_.idempotent) return false;
    next_ = upstream_->choose(question_.key, tried_);
    if (next_ == nullptr || !upstream_->may_retry()) return false;
    ++retries_;
    second_ = false;
    return true;
}

void Call::fail(const Failure& failure) {
    const bool ours = failure.reason == all_full.reason || failure.reason == client_late.reason;
    const bool counts = !ours && (failure.status != 504 || upstream_->config().breaker.on.timeout);
    upstream_->record(question_.ticket, counts ? ipc::Outcome::failure : ipc::Outcome::neutral);
    leave_peer(false);
    reset();
    caller_.on_failure(failure);
}

void Call::leave_peer(bool keep) {
    disarm();
    if (!connection_) return;
    note_over(0);
    peer_->use->active.subtract();
    if (keep) {
        upstream_->keep(std::move(connection_));
    } else {
        connection_.reset();
    }
    if (pipe_) pipe_ = {};
}

void Call::note_head() noexcept {
    http::Try& one = tries_[nth_];
    if (one.header_us != http::Try::never) return;  // it was held
    one.status = head_.status;
    one.header_us = upstream_->loop().clock().now_us() - attempt_us_;
}

/// For the limit of concurrency: how long the attempt that is read has waited, or waited in vain. Not when
/// the client was slower.
void Call::note_wait() noexcept {
    if (waits_ && body_ended_ && connection_->output.empty())
        upstream_->concurrency()->answered(std::max(attempt_us_, whole_us_));
}

void Call::stop_waiting() noexcept {
    if (std::exchange(waits_, false)) upstream_->concurrency()->leave();
}

void Call::note_over(http::Status otherwise) noexcept {
    http::Try& one = tries_[nth_];
    if (one.status == 0) one.status = otherwise;
    one.response_us = upstream_->loop().clock().now_us() - attempt_us_;
}

void Call::reset() noexcept {
    if (hedged()) drop_other();
    leave();
    stop_waiting();
    whole_.disarm();
    phase_ = Phase::idle;
    tried_.clear();
    body_.clear();
    partial_.clear();
    retries_ = 0;
    paused_ = body_lost_ = fresh_only_ = piped_ = second_ = false;
}

}  // namespace worker::upstream
