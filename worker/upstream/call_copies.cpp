// The part of a call that has two copies under way.
#include <algorithm>
#include <utility>

#include "worker/upstream/call.h"

namespace worker::upstream {

using ipc::CallFailure;

/// The delay is that of an attempt, from when all of the request was there.
void Call::watch_late() {
    if (!body_ended_) return;
    whole_us_ = upstream_->loop().clock().now_us();
    if (!body_lost_) upstream_->hedging()->watch(*this);
}

/// No head so far: the same to another peer. One that is ejected would not be quicker.
void Call::on_late() noexcept {
    if (phase_ != Phase::connecting && phase_ != Phase::head) return;
    Peer* peer = upstream_->choose(question_.key, tried_);
    if (peer == nullptr || peer->ejected(upstream_->loop().clock().now_ms())) return;
    hedges_ = false;
    if (!upstream_->hedging()->begin()) return;
    if (!other_) other_ = std::make_unique<Other>(*this);
    switch_copy();
    second_ = true;
    if (connect(*peer)) return;
    upstream_->failed(*peer_, epoch_, CallFailure::connect);
    if (!fall_back()) std::abort();  // the first copy is there
}

void Call::on_other_io() noexcept {
    if (other_->held != 0) return;
    switch_copy();
    advance();
}

void Call::on_other_deadline() noexcept {
    switch_copy();
    on_deadline();
}

/// Each keeps its deadline. A head that has come in part is parsed anew.
void Call::switch_copy() noexcept {
    execution::Loop& loop = upstream_->loop();
    Other& other = *other_;
    const std::uint64_t now = loop.clock().now_ms();
    const auto left = [now](const execution::Deadline& of) {
        return of.due_ms() - std::min(of.due_ms(), now);
    };
    const bool due = armed(), other_due = other.armed();
    const std::uint64_t left_ms = left(*this), other_left_ms = left(other);
    disarm();
    other.disarm();
    if (due) loop.arm(other, left_ms);
    if (other_due) loop.arm(*this, other_left_ms);
    std::swap(connection_, other.connection);
    std::swap(peer_, other.peer);
    std::swap(epoch_, other.epoch);
    std::swap(partial_, other.partial);
    std::swap(records_, other.records);
    std::swap(attempt_us_, other.attempt_us);
    std::swap(nth_, other.nth);
    std::swap(phase_, other.phase);
    std::swap(reused_, other.reused);
    std::swap(heard_, other.heard);
    std::swap(second_, other.second);
    if (other.connection) other.connection->use(&other);
    if (!connection_) return;
    connection_->use(this);
    if (phase_ != Phase::head) return;
    if (question_.wire == Wire::fastcgi) {
        records_->head.reset(head_, question_.bodiless, question_.terms->response_header_max);
    } else {
        parser_.reset(head_, question_.bodiless, question_.terms->response_header_max);
    }
}

/// The copy that is read has failed, and was counted: goes on with the other one, instead of asking anew.
/// False: there is none.
bool Call::fall_back() {
    if (!hedged()) return false;
    leave_peer(false);
    switch_copy();
    upstream_->hedging()->end();
    if (std::exchange(other_->held, http::Status{0}) != 0) {
        answer_held();
    } else if (!receiving_ && connection_->readable) {
        advance();
    }
    return true;
}

/// Whether an answer waits for a better one: one after which another peer would be asked, or that says that
/// the peer failed. Two such answers are enough.
bool Call::hold_back(std::span<const char> bytes) {
    const auto& again = question_.terms->retry_statuses;
    const bool bad =
        head_.status >= 500 || std::find(again.begin(), again.end(), head_.status) != again.end();
    if (!bad || other_->held != 0) return false;
    partial_.assign(bytes.data(), bytes.size());
    disarm();
    const http::Status status = head_.status;
    switch_copy();
    other_->held = status;
    return true;
}

void Call::answer_held() {
    std::vector<char>& input = upstreams_.input();
    const std::size_t size = partial_.size();
    std::copy(partial_.begin(), partial_.end(), input.begin());
    connection_->readable = true;  // nobody has looked since
    const bool within = std::exchange(receiving_, true);
    if (question_.wire == Wire::fastcgi) {
        partial_.clear();
        if (consume_out({}, {})) consume_records({input.data(), size});
    } else {
        consume({input.data(), size});
    }
    receiving_ = within;
    if (!within && talking()) receive();
}

/// The head of the answer is here.
void Call::decide() {
    leave();
    Hedging& hedging = *upstream_->hedging();
    if (question_.idempotent && !question_.upgrade && head_.status < 500)
        hedging.answered(upstream_->loop().clock().now_us() - std::max(attempt_us_, whole_us_));
    if (second_) hedging.won();
    if (hedged()) drop_other();
}

void Call::drop_other() noexcept {
    Other& other = *other_;
    other.disarm();
    tries_[other.nth].response_us = upstream_->loop().clock().now_us() - other.attempt_us;
    other.peer->use->active.subtract();
    if (other.held != 0) other.peer->use->statuses[std::min<std::size_t>(other.held / 100, 5)].add();
    other.held = 0;
    other.connection.reset();
    upstream_->hedging()->end();
}

}  // namespace worker::upstream
