// The part of a call that speaks FastCGI.
#include <utility>

#include "worker/upstream/call.h"

#include <algorithm>

namespace worker::upstream {

using http::Framing;
using http::Parsed;
using http::fastcgi::ProtocolStatus;
using http::fastcgi::RecordReader;
using http::fastcgi::Type;
using ipc::CallFailure;

namespace {

constexpr Failure overloaded{503, "the peer takes no further request", CallFailure::status, true};
constexpr Failure no_fastcgi{502, "it does not speak FastCGI"};
constexpr Failure no_such_request{502, "it answers another request"};
constexpr Failure malformed_end{502, "its end is malformed"};
constexpr Failure wrong_role{502, "it is no responder"};
constexpr Failure no_response{.reason = "it ended without a response", .silent = true};
constexpr Failure cut_head{502, "its header is cut off"};
constexpr Failure too_short{502, "the response is shorter than its length"};

}  // namespace

void append_question(std::string& out, const ProgramQuestion& question) {
    http::fastcgi::append_begin_request(out, fastcgi_request, {.keep_connection = question.keep});
    http::fastcgi::append_stream(out, Type::params, fastcgi_request, question.params);
    http::fastcgi::append_end_of_stream(out, Type::params, fastcgi_request);
    if (!question.body) http::fastcgi::append_end_of_stream(out, Type::standard_in, fastcgi_request);
}

void Call::begin_records() {
    if (!records_) records_ = std::make_unique<Records>();
    records_->reader.reset();
    records_->head.reset(head_, question_.bodiless, question_.terms->response_header_max);
    records_->out.clear();
    records_->out_ended = records_->surplus = false;
}

void Call::consume_records(std::string_view bytes) {
    for (;;) {
        switch (records_->reader.next(bytes)) {
            case RecordReader::Found::more: return;
            case RecordReader::Found::refused: return fail_attempt(CallFailure::malformed, no_fastcgi);
            case RecordReader::Found::piece: break;
        }
        if (!consume_piece(bytes)) return;
    }
}

/// False: that was all of this attempt, or of what it may say now. `behind`: what came behind the piece.
bool Call::consume_piece(std::string_view behind) {
    const http::fastcgi::Piece& piece = records_->reader.piece();
    if (piece.request == http::fastcgi::management) return true;  // nothing that we would have asked
    if (piece.request != fastcgi_request) {
        fail_attempt(CallFailure::malformed, no_such_request);
        return false;
    }
    switch (piece.type) {
        case Type::standard_out:
            if (piece.ends_stream) {
                records_->out_ended = true;
                return true;
            }
            return consume_out(piece.content, behind);
        case Type::standard_error:
            if (!piece.ends_stream) caller_.on_stderr(piece.content);
            return talking();
        case Type::end_request: return on_end_request(piece.content, behind);
        default: return true;
    }
}

bool Call::consume_out(std::string_view content, std::string_view behind) {
    Records& records = *records_;
    if (phase_ == Phase::head) {
        const bool in_parts = !records.out.empty();
        if (in_parts) records.out.append(content);
        const std::string_view seen = in_parts ? std::string_view(records.out) : content;
        switch (records.head.head(seen)) {
            case Parsed::more:
                if (!in_parts) records.out.assign(seen);
                return true;
            case Parsed::refused:
                fail_attempt(CallFailure::malformed, {502, records.head.complaint()});
                return false;
            case Parsed::head:
            case Parsed::complete: break;
        }
        note_head();
        if (hedged()) {
            if (!in_parts) records.out.assign(seen);  // for the time when it is wanted after all
            if (hold_back({behind.data(), behind.size()})) return false;
        }
        const std::size_t head_size = head_.head_size;
        on_head(records.head.framing(), records.head.content_length());
        if (phase_ != Phase::body) return false;
        content = seen.substr(head_size);
    }
    if (framing_ == Framing::none) return true;  // of an answer to HEAD, say: nobody waits for it
    if (framing_ == Framing::length) {
        records.surplus = records.surplus || content.size() > remaining_;
        content = content.substr(0, remaining_);
        remaining_ -= content.size();
    }
    if (!content.empty()) caller_.on_payload(content);
    return phase_ == Phase::body;
}

/// False: as it is over.
bool Call::on_end_request(std::string_view content, std::string_view behind) {
    const auto end = http::fastcgi::read_end_request(content);
    const auto fails = [this](CallFailure kind, const Failure& failure) {
        fail_attempt(kind, failure);
        return false;
    };
    if (!end) return fails(CallFailure::malformed, malformed_end);
    exit_status_ = end->app_status;
    switch (end->protocol_status) {
        case ProtocolStatus::complete: break;
        case ProtocolStatus::cannot_multiplex:
        case ProtocolStatus::overloaded: return fails(CallFailure::status, overloaded);
        case ProtocolStatus::unknown_role:
        default: return fails(CallFailure::malformed, wrong_role);
    }
    if (phase_ == Phase::head)
        return fails(CallFailure::malformed, records_->out.empty() ? no_response : cut_head);
    records_->out_ended = true;
    if (!has_all()) return fails(CallFailure::reset, too_short);
    finish(records_->surplus || !behind.empty());
    return false;
}

/// The body that is here, as the wire wants it.
void Call::append_whole() {
    if (question_.whole.empty()) return;
    connection::Output& output = connection_->output;
    if (question_.wire != Wire::fastcgi) {
        for (const connection::Chunk& chunk : question_.whole) output.append(chunk);
        return;
    }
    std::string header;
    for (connection::Chunk rest : question_.whole) {
        while (rest.size > 0) {
            connection::Chunk part = rest;
            part.size = std::min<std::uint64_t>(rest.size, http::fastcgi::content_usual);
            header.clear();
            http::fastcgi::append_header(header, Type::standard_in, fastcgi_request, part.size);
            output.append(header);
            output.append(part);
            rest.size -= part.size;
            if (rest.bytes != nullptr)
                rest.bytes += part.size;
            else
                rest.offset += static_cast<off_t>(part.size);
        }
    }
    header.clear();
    http::fastcgi::append_end_of_stream(header, Type::standard_in, fastcgi_request);
    output.append(header);
}

/// The response is whole, whatever becomes of its end.
bool Call::has_all() const noexcept {
    if (phase_ != Phase::body || question_.wire != Wire::fastcgi) return false;
    switch (framing_) {
        case Framing::none: return true;
        case Framing::length: return remaining_ == 0;
        case Framing::chunked:
        case Framing::until_end: return records_->out_ended;
    }
    return false;
}

}  // namespace worker::upstream
