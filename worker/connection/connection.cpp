#include "worker/connection/connection.h"

#include <event2/event.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "worker/connection/connections.h"

namespace worker::connection {
namespace {

constexpr std::uint64_t linger_ms = 5'000;
// Sent in one turn, so that one download starves nobody; and where others are there with short answers, so
// that they hardly notice it. Not always so little: so many turns make a download dearer by a tenth.
constexpr std::uint64_t turn_bytes_max = 8192 * 1024, short_answer_bytes_max = 256 * 1024;
constexpr std::uint64_t shared_turn_bytes_max = 128 * 1024;
constexpr std::uint64_t shared_stream_bytes_max = 64 * 1024;  // what is streamed is copied, too
constexpr std::uint8_t turn_rounds_max = 16;                  // reads and sends in one turn, likewise
constexpr std::size_t produced_text_max = 32 * 1024;

}  // namespace

Connection::Connection(Connections& owner, ipc::UniqueFd socket, const Peer& peer, std::uint32_t address,
                       std::uint64_t id)
    : owner_(owner), transport_(std::move(socket)), id_(id), peer_(peer), address_(address) {
    // One registration for life; edges, so that no request costs an epoll_ctl.
    const short edges = EV_READ | EV_CLOSED | EV_PERSIST | EV_ET;
    if (event_assign(&event_, &owner.loop().base(), transport_.fd(), edges, &Connection::on_event, this) != 0)
        std::abort();
}

Connection::~Connection() {
    if (later_) owner_.loop().forget(event_);
    event_del(&event_);
    if (writable_event_) event_del(writable_event_.get());
}

void Connection::start(std::unique_ptr<Session> session) {
    session_ = std::move(session);
    advance();
}

Output& Connection::output() {
    if (!output_) output_ = owner_.borrow_output();
    return *output_;
}

bool Connection::has_room() const noexcept {
    return !output_ || (output_->text_bytes() < produced_text_max && output_->only_text());
}

/// At once, if it is the first time in this turn: whoever has been woken then has the others before it.
void Connection::wake() noexcept {
    if (std::exchange(woken_, true)) return;
    const std::uint32_t turn = owner_.loop().turn();
    if (!watched_ || std::exchange(woken_in_, turn) == turn) return yield();
    event_active(&event_, EV_TIMEOUT, 0);
}

void Connection::drain() {
    session_->on_drain();
    advance();
}

void Connection::on_event(evutil_socket_t, short what, void* self) noexcept {
    auto& connection = *static_cast<Connection*>(self);
    connection.owner_.loop().enter();
    if ((what & EV_TIMEOUT) != 0 && std::exchange(connection.later_, false))
        connection.owner_.loop().forget(connection.event_);
    if ((what & (EV_READ | EV_CLOSED)) != 0) connection.readable_ = connection.peek_ = true;
    if ((what & EV_CLOSED) != 0) connection.ending_ = true;
    if ((what & EV_WRITE) != 0) connection.writable_ = true;
    connection.advance();
}

void Connection::on_deadline() noexcept {
    late_ = true;
    advance();
}

void Connection::advance() {
    if (state_ == State::closed) return;
    rounds_ = 0;
    sent_before_ = sent_;
    for (State next = step(); next != state_; next = step()) enter(next);
    wait();
}

/// What each state does. Returning the same state means: cannot go on yet.
Connection::State Connection::step() {
    switch (state_) {
        case State::receiving: return receive();
        case State::handling:
            if (!std::exchange(woken_, false)) return State::handling;
            session_->on_wake();
            return proceed();
        case State::streaming: return stream();
        case State::sending: return send();
        case State::lingering: return discard();
        case State::closed: return State::closed;
    }
    std::abort();
}

void Connection::enter(State next) {
    state_ = next;
    switch (next) {
        case State::receiving: return;  // the session says how long, in wait()
        case State::handling:
        case State::streaming: return disarm();
        case State::sending: return owner_.loop().arm(*this, session_->send_patience_ms());
        case State::lingering: transport_.finish(); return owner_.loop().arm(*this, linger_ms);
        case State::closed: return disarm();
    }
}

/// What each state waits for.
void Connection::wait() {
    switch (state_) {
        case State::receiving:
            if (const std::uint64_t patience = session_->patience_ms(); patience > 0)
                owner_.loop().arm(*this, patience);
            break;
        case State::handling:
        case State::streaming:
        case State::sending:
        case State::lingering: break;
        case State::closed: owner_.input().clear(); return owner_.retire(*this);
    }
    park();
    watch();
}

Connection::State Connection::receive() {
    if (std::exchange(late_, false)) {
        session_->on_too_slow();
        return proceed();
    }
    unpark();
    Input& input = owner_.input();
    for (;;) {
        if (!input.empty()) {
            input.begin += session_->on_input(input.bytes());
            const State next = proceed();
            if (next != State::receiving) return next;
            readable_ =
                true;  // it is waiting for more: ask, for a reset behind these bytes is told only once
        }
        if (!fill()) break;
    }
    if (!ended_) return State::receiving;
    session_->on_end_of_input();
    return proceed();
}

/// Reads what there is; false when nothing came.
bool Connection::fill() {
    if (!readable_ || ended_) return false;
    if (++rounds_ > turn_rounds_max) {
        yield();
        return false;
    }
    Input& input = owner_.input();
    if (input.empty()) {
        input.clear();
    } else if (input.begin > 0) {
        std::memmove(input.memory.data(), input.memory.data() + input.begin, input.end - input.begin);
        input.end -= input.begin;
        input.begin = 0;
    }
    const std::size_t room = input.memory.size() - input.end;
    if (room == 0) std::abort();  // the session takes or refuses before that
    const Moved moved = transport_.receive(input.memory.data() + input.end, room);
    switch (moved.io) {
        case Io::blocked: readable_ = false; return false;
        case Io::ended: ended_ = true; return false;
        case Io::moved: break;
    }
    input.end += moved.bytes;
    received_ += moved.bytes;
    // Less than there was room for: the socket is empty, and its next byte will be an event. The end
    // of the stream would have been told with this one.
    if (moved.bytes < room && !ending_) readable_ = peek_ = false;
    return true;
}

Connection::State Connection::send() {
    if (std::exchange(late_, false)) {
        break_off();
        return State::closed;
    }
    if (!writable_) return State::sending;
    if (++rounds_ > turn_rounds_max) {
        long_ = true;
        yield();
        return State::sending;
    }
    const std::uint64_t before = sent_;
    switch (send_output()) {
        case Sent::all:
            note_answered();
            owner_.give_back(std::move(output_));
            session_->on_sent();
            return proceed();
        case Sent::blocked:
            writable_ = false;
            long_ = true;
            watch_writable();
            break;
        case Sent::yielded:
            long_ = true;
            yield();
            break;
        case Sent::failed: break_off(); return State::closed;
    }
    if (sent_ != before) owner_.loop().arm(*this, session_->send_patience_ms());
    return State::sending;
}

/// Whether there is somebody whom others' turns keep waiting.
void Connection::note_answered() noexcept {
    if (!std::exchange(long_, false) && sent_ - sent_before_ <= short_answer_bytes_max)
        owner_.note_short_answer();
}

/// What is left of this connection's share of the turn. What is streamed has `turn_rounds_max` pieces at
/// most.
std::size_t Connection::turn_bytes_left() const noexcept {
    const std::uint64_t share = !owner_.has_short_answers()  ? turn_bytes_max
                                : state_ == State::streaming ? shared_stream_bytes_max
                                                             : shared_turn_bytes_max;
    return share - std::min(sent_ - sent_before_, share);
}

/// Only a file can hold up the loop: on the disk.
Sent Connection::send_output() {
    const bool last = session_->ends_after_output();
    const std::size_t budget = turn_bytes_left();
    if (output_->only_text()) return output_->send(transport_, budget, last, sent_);
    const execution::Stopwatch stopwatch;
    const Sent sent = output_->send(transport_, budget, last, sent_);
    if (const auto ticks = stopwatch.ticks(); ticks >= execution::Stopwatch::long_ticks)
        session_->on_slow_send(ticks);
    return sent;
}

/// Both ways, as long as anything moves.
Connection::State Connection::stream() {
    if (std::exchange(late_, false)) return stream_late();
    const std::uint64_t before = sent_;
    bool moved = false;
    for (bool moving = true; moving;) {
        moving = std::exchange(woken_, false);
        if (moving) session_->on_wake();
        moving = stream_output() || moving;
        if (failed_) {
            break_off();
            return State::closed;
        }
        if (session_->wants() != Wants::stream) return end_stream();
        if (session_->reads()) {
            moving = stream_input() || moving;
        } else if (peer_left()) {
            break_off();
            return State::closed;
        }
        if (session_->wants() != Wants::stream) return end_stream();
        moved = moved || moving;
    }
    time_stream(moved || sent_ != before);
    return State::streaming;
}

Connection::State Connection::end_stream() {
    const State next = proceed();
    if (next != State::sending) note_answered();
    return next;
}

Connection::State Connection::stream_late() {
    if (!all_sent()) {
        break_off();
        return State::closed;
    }
    session_->on_too_slow();
    return session_->wants() == Wants::stream ? State::streaming : proceed();
}

/// Whether the session could go on because of it.
bool Connection::stream_output() {
    if (!output_ || !writable_) return false;
    if (++rounds_ > turn_rounds_max || turn_bytes_left() == 0) {
        long_ = true;
        yield();
        return false;
    }
    switch (send_output()) {
        case Sent::all:
            owner_.give_back(std::move(output_));
            disarm();  // the time that this took is over; `time_stream` begins another
            session_->on_sent();
            return true;
        case Sent::blocked:
            writable_ = false;
            long_ = true;
            watch_writable();
            return false;
        case Sent::yielded:
            long_ = true;
            yield();
            return false;
        case Sent::failed: failed_ = true; return false;
    }
    std::abort();
}

bool Connection::stream_input() {
    unpark();
    Input& input = owner_.input();
    bool took = false;
    while (session_->wants() == Wants::stream && session_->reads()) {
        if (!input.empty()) {
            const std::size_t size = session_->on_input(input.bytes());
            input.begin += size;
            if (size > 0) {
                took = readable_ = true;
                continue;
            }
        }
        if (!fill()) break;
    }
    if (!ended_ || !input.empty() || session_->wants() != Wants::stream || !session_->reads()) return took;
    session_->on_end_of_input();
    return true;
}

/// Nobody reads, so the end would go unnoticed: a handler would work on for nobody.
bool Connection::peer_left() {
    if (ending_ || ended_) return true;
    return std::exchange(peek_, false) && transport_.peek() == Io::ended;
}

/// What is overdue first: the peer takes our output, or it sends what we want.
void Connection::time_stream(bool moved) {
    if (!all_sent()) {
        if (moved || !armed()) owner_.loop().arm(*this, session_->send_patience_ms());
    } else if (!session_->reads()) {
        disarm();
    } else if (const std::uint64_t patience = session_->patience_ms(); patience > 0) {
        owner_.loop().arm(*this, patience);
    }
}

Connection::State Connection::discard() {
    if (std::exchange(late_, false) || ended_) return State::closed;
    Input& input = owner_.input();
    for (;;) {
        input.clear();
        if (!fill()) break;
        readable_ = true;
    }
    input.clear();
    return ended_ ? State::closed : State::lingering;
}

Connection::State Connection::proceed() {
    if (session_->wants() == Wants::stream) return State::streaming;
    if (output_) {
        if (!output_->empty()) return State::sending;
        owner_.give_back(std::move(output_));
    }
    switch (session_->wants()) {
        case Wants::input: return State::receiving;
        case Wants::nothing: return State::handling;
        case Wants::stream: return State::streaming;
        // Closing with unread input would reset what we just sent (RFC 9112 9.6).
        case Wants::close: return readable_ && !ended_ ? State::lingering : State::closed;
        case Wants::linger: return ended_ ? State::closed : State::lingering;
        case Wants::leave:  // what came behind the last request is for us: nobody else could read it again
            if (!owner_.input().empty() || parked_) return State::receiving;
            owner_.depart(*this);
            return State::closed;
    }
    std::abort();
}

Traveller Connection::leave() {
    event_del(&event_);  // before anyone else can close the descriptor
    if (writable_event_) event_del(writable_event_.get());
    return {transport_.leave(), peer_, address_, id_, session_->memory()};
}

void Connection::break_off() {
    session_->on_broken();
    if (output_) {
        output_->clear();
        owner_.give_back(std::move(output_));
    }
}

void Connection::unpark() {
    if (!parked_) return;
    Input& input = owner_.input();
    std::memcpy(input.memory.data(), parked_.get(), parked_size_);
    input.begin = 0;
    input.end = parked_size_;
    parked_.reset();
    parked_size_ = 0;
}

/// The loop's buffer serves the next connection: take along, in exactly the room it needs, what is left in
/// it.
void Connection::park() {
    session_->on_park();
    Input& input = owner_.input();
    if (!input.empty() && state_ != State::lingering) {
        const std::span<char> left = input.bytes();
        parked_size_ = static_cast<std::uint32_t>(left.size());
        parked_ = std::make_unique_for_overwrite<char[]>(left.size());
        std::memcpy(parked_.get(), left.data(), left.size());
    }
    input.clear();
}

/// Go on in the next turn, after everyone else had theirs. Not before the event is added: libevent does not
/// add one that is active.
void Connection::yield() noexcept {
    if (!watched_) {
        yields_ = true;
    } else if (!std::exchange(later_, true)) {
        owner_.loop().next_turn(event_);
    }
}

void Connection::watch() {
    if (std::exchange(watched_, true)) return;
    if (event_add(&event_, nullptr) == 0) {
        if (std::exchange(yields_, false)) yield();
    } else {  // no memory or no place in epoll: this client alone suffers
        break_off();
        state_ = State::closed;
        disarm();
        owner_.retire(*this);
    }
}

/// Most connections never need it, and a watch from the start would wake each of them once for nothing.
void Connection::watch_writable() {
    if (writable_event_) return;
    writable_event_ = std::make_unique<event>();
    const short edges = EV_WRITE | EV_PERSIST | EV_ET;
    event_base& base = owner_.loop().base();
    if (event_assign(writable_event_.get(), &base, transport_.fd(), edges, &Connection::on_event, this) != 0)
        std::abort();
    event_add(writable_event_.get(), nullptr);  // should it fail, the deadline ends the connection
}

}  // namespace worker::connection
