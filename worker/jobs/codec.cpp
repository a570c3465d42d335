// worker/jobs/codec.cpp: each struct lists its fields once, and both directions use the list.
#include "worker/jobs/codec.h"

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstring>
#include <optional>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "conf/queue.h"

namespace worker::jobs {
namespace {

constexpr std::size_t other_fields_max = 8u << 20;  ///< beside a body or a result, or the jobs of a list
static_assert(frame_bytes_max >= conf::job_bytes_max + other_fields_max);

static_assert(std::endian::native == std::endian::little);

template <class Self, class Type>
concept Of = std::same_as<std::remove_const_t<Self>, Type>;

// ---- fields -----------------------------------------------------------------------------------------

template <Of<Attempt> S>
auto fields(S& s) {
    return std::tie(s.number, s.started, s.ended, s.ending, s.error);
}
template <Of<NewJob> S>
auto fields(S& s) {
    return std::tie(s.id, s.queue, s.content_type, s.body, s.run_at, s.priority, s.attempts, s.key, s.unique,
                    s.idempotency_key, s.fingerprint, s.idempotency_until, s.callback, s.trace, s.request);
}
template <Of<Claimed> S>
auto fields(S& s) {
    return std::tie(s.id, s.queue, s.content_type, s.body, s.key, s.callback, s.trace, s.request, s.fence,
                    s.attempt, s.attempts, s.crashes, s.created, s.run_at);
}
template <Of<View> S>
auto fields(S& s) {
    return std::tie(s.id, s.queue, s.key, s.callback, s.state, s.priority, s.attempts_made, s.attempts,
                    s.crashes, s.created, s.run_at, s.started, s.ended, s.reason, s.progress, s.cancelling,
                    s.history, s.body_size, s.result, s.result_type, s.result_size, s.result_cut,
                    s.result_status, s.result_fields);
}
template <Of<Room> S>
auto fields(S& s) {
    return std::tie(s.jobs, s.bytes);
}
template <Of<Expire::Keep> S>
auto fields(S& s) {
    return std::tie(s.queue, s.ended_before, s.dead_before);
}
template <Of<Stats::Queue> S>
auto fields(S& s) {
    return std::tie(s.name, s.paused, s.scheduled, s.ready, s.running, s.done, s.dead, s.cancelled, s.bytes,
                    s.oldest_ready, s.next_scheduled);
}
template <Of<Enqueue::Answer> S>
auto fields(S& s) {
    return std::tie(s.what, s.id, s.state);
}
template <Of<Claim::Answer> S>
auto fields(S& s) {
    return std::tie(s.jobs, s.held, s.next);
}
template <Of<Finish::Answer> S>
auto fields(S& s) {
    return std::tie(s.accepted, s.state);
}
template <Of<Progress::Answer> S>
auto fields(S& s) {
    return std::tie(s.accepted, s.cancelling);
}
template <Of<Cancel::Answer> S>
auto fields(S& s) {
    return std::tie(s.what, s.fence, s.owner);
}
template <Of<Retry::Answer> S>
auto fields(S& s) {
    return std::tie(s.what, s.queue);
}
template <Of<Get::Answer> S>
auto fields(S& s) {
    return std::tie(s.found, s.job);
}
template <Of<List::Answer> S>
auto fields(S& s) {
    return std::tie(s.jobs, s.next);
}
template <Of<Purge::Answer> S>
auto fields(S& s) {
    return std::tie(s.purged, s.more);
}
template <Of<Expire::Answer> S>
auto fields(S& s) {
    return std::tie(s.expired, s.more);
}
template <Of<Recover::Lost> S>
auto fields(S& s) {
    return std::tie(s.queue, s.jobs);
}
template <Of<Recover::Answer> S>
auto fields(S& s) {
    return std::tie(s.recovered, s.more, s.queues);
}
template <Of<Stats::Answer> S>
auto fields(S& s) {
    return std::tie(s.queues);
}
template <Of<LastFired::Answer> S>
auto fields(S& s) {
    return std::tie(s.due);
}

// ---- what is asked ------------------------------------------------------------------------------------

template <Of<Enqueue> S>
auto asked(S& s) {
    return std::tie(s.job, s.room);
}
template <Of<Claim> S>
auto asked(S& s) {
    return std::tie(s.queue, s.owner, s.count, s.key_concurrency, s.running_max, s.lease_until);
}
template <Of<Extend> S>
auto asked(S& s) {
    return std::tie(s.owner, s.lease_until);
}
template <Of<Finish> S>
auto asked(S& s) {
    return std::tie(s.id, s.fence, s.ending, s.error, s.result_type, s.result, s.result_cut, s.again_at,
                    s.crashes_max, s.result_status, s.result_fields);
}
template <Of<Progress> S>
auto asked(S& s) {
    return std::tie(s.id, s.fence, s.text);
}
template <Of<Cancel> S>
auto asked(S& s) {
    return std::tie(s.id);
}
template <Of<Retry> S>
auto asked(S& s) {
    return std::tie(s.id);
}
template <Of<Get> S>
auto asked(S& s) {
    return std::tie(s.id, s.with_result, s.room);
}
template <Of<List> S>
auto asked(S& s) {
    return std::tie(s.queue, s.states, s.after, s.limit);
}
template <Of<Pause> S>
auto asked(S& s) {
    return std::tie(s.queue, s.paused);
}
template <Of<Purge> S>
auto asked(S& s) {
    return std::tie(s.queue, s.states, s.before);
}
template <Of<Expire> S>
auto asked(S& s) {
    return std::tie(s.queues);
}
template <Of<Recover> S>
auto asked(S& s) {
    return std::tie(s.alive, s.by_lease);
}
template <Of<Stats> S>
auto asked(S&) {
    return std::tie();
}
template <Of<Fire> S>
auto asked(S& s) {
    return std::tie(s.schedule, s.due, s.enqueue.job, s.enqueue.room);
}
template <Of<LastFired> S>
auto asked(S& s) {
    return std::tie(s.schedule);
}

template <class S>
auto answered(S& s) {
    if constexpr (Of<S, Fire>)
        return std::tie(s.enqueue.answer);
    else if constexpr (requires { s.answer; })
        return std::tie(s.answer);
    else
        return std::tie();
}

constexpr State last(State) { return State::cancelled; }
constexpr Ending last(Ending) { return Ending::lost; }
constexpr Enqueue::Answer::What last(Enqueue::Answer::What) { return Enqueue::Answer::What::in_flight; }
constexpr Cancel::Answer::What last(Cancel::Answer::What) { return Cancel::Answer::What::unknown; }
constexpr Retry::Answer::What last(Retry::Answer::What) { return Retry::Answer::What::unknown; }

// ---- both directions ------------------------------------------------------------------------------------

class FieldWriter {
 public:
    explicit FieldWriter(std::string& out) : out_(out) {}

    template <class Number>
    void raw(Number number) {
        char bytes[sizeof number];
        std::memcpy(bytes, &number, sizeof number);
        out_.append(bytes, sizeof number);
    }
    void put(const std::string& text) { put_text(text); }
    void put_text(std::string_view text) {
        raw(static_cast<std::uint32_t>(text.size()));
        out_ += text;
    }
    void put(const std::optional<std::string>& text) {
        put(text.has_value());
        if (text) put(*text);
    }
    template <class T>
    void put(const std::vector<T>& list) {
        raw(static_cast<std::uint32_t>(list.size()));
        for (const auto& one : list) put(one);
    }
    template <class T>
    void put(const T& value) {
        if constexpr (std::is_same_v<T, bool>)
            raw(static_cast<std::uint8_t>(value ? 1 : 0));
        else if constexpr (std::is_enum_v<T> || std::is_integral_v<T>)
            raw(value);
        else
            put_struct(value);
    }
    template <class T>
    void put_struct(const T& value) {
        const auto begin = out_.size();
        raw(std::uint32_t{0});
        put_all(fields(value));
        const auto size = static_cast<std::uint32_t>(out_.size() - begin - sizeof(std::uint32_t));
        std::memcpy(out_.data() + begin, &size, sizeof size);
    }
    template <class Tuple>
    void put_all(const Tuple& all) {
        std::apply([&](const auto&... one) { (put(one), ...); }, all);
    }

 private:
    std::string& out_;
};

class FieldReader {
 public:
    explicit FieldReader(std::string_view bytes) : rest_(bytes) {}

    template <class Number>
    void raw(Number& number) {
        if (rest_.size() < sizeof number) return fail();
        std::memcpy(&number, rest_.data(), sizeof number);
        rest_.remove_prefix(sizeof number);
    }
    void get(std::string& text) {
        std::uint32_t size = 0;
        raw(size);
        if (size > rest_.size()) return fail();
        text.assign(rest_.substr(0, size));
        rest_.remove_prefix(size);
    }
    void get(std::optional<std::string>& text) {
        bool there = false;
        get(there);
        text.reset();
        if (there && good_) get(text.emplace());
    }
    template <class T>
    void get(std::vector<T>& list) {
        constexpr std::uint32_t believed = 64;  // more are believed when they are there
        std::uint32_t size = 0;
        raw(size);
        list.clear();
        list.reserve(std::min(size, believed));
        for (std::uint32_t i = 0; i < size && good_; ++i) get(list.emplace_back());
    }
    template <class T>
    void get(T& value) {
        if constexpr (std::is_same_v<T, bool>) {
            std::uint8_t byte = 0;
            raw(byte);
            if (byte > 1) fail();
            value = byte == 1;
        } else if constexpr (std::is_enum_v<T>) {
            std::underlying_type_t<T> number{};
            raw(number);
            if (number > static_cast<std::underlying_type_t<T>>(last(T{}))) return fail();
            value = static_cast<T>(number);
        } else if constexpr (std::is_integral_v<T>) {
            raw(value);
        } else {
            get_struct(value);
        }
    }
    template <class T>
    void get_struct(T& value) {
        std::uint32_t size = 0;
        raw(size);
        if (size > rest_.size()) return fail();
        FieldReader inside(rest_.substr(0, size));
        inside.get_all(fields(value));
        rest_.remove_prefix(size);
        if (!inside.good()) fail();
    }
    /// Of another version there may be fewer, which leaves the others as they are, or more.
    template <class Tuple>
    void get_all(Tuple all) {
        std::apply([&](auto&... one) { (get_if_there(one), ...); }, all);
    }
    /// All of them have to be there.
    template <class Tuple>
    void get_each(Tuple all) {
        std::apply([&](auto&... one) { (get(one), ...); }, all);
    }
    [[nodiscard]] bool good() const noexcept { return good_; }

 private:
    template <class T>
    void get_if_there(T& value) {
        if (!rest_.empty()) get(value);
    }
    void fail() noexcept {
        good_ = false;
        rest_ = {};
    }

    std::string_view rest_;
    bool good_ = true;
};

/// Writes a frame around what `fill` writes.
template <class Fill>
void append_frame(std::string& out, std::uint32_t number, FrameKind kind, Fill fill) {
    const auto begin = out.size();
    FieldWriter writer(out);
    writer.raw(std::uint32_t{0});
    writer.raw(number);
    writer.raw(static_cast<std::uint8_t>(kind));
    fill(writer);
    const auto length = static_cast<std::uint32_t>(out.size() - begin - frame_length_bytes);
    std::memcpy(out.data() + begin, &length, sizeof length);
}

template <std::size_t Index = 0>
bool read_ask(std::size_t index, FieldReader& in, Operation& operation) {
    if constexpr (Index == std::variant_size_v<Operation>) {
        return false;
    } else {
        if (index != Index) return read_ask<Index + 1>(index, in, operation);
        in.get_all(asked(operation.emplace<Index>()));
        return in.good();
    }
}

tl::unexpected<ipc::Error> unknown(const char* what) {
    return tl::make_unexpected(ipc::Error{what, std::make_error_code(std::errc::function_not_supported)});
}

}  // namespace

std::uint32_t frame_length(std::string_view bytes) noexcept {
    std::uint32_t length = 0;
    if (bytes.size() >= sizeof length) std::memcpy(&length, bytes.data(), sizeof length);
    return length;
}

void append_hello(std::string& out, std::string_view owner) {
    append_frame(out, 0, FrameKind::hello, [&](FieldWriter& writer) { writer.put_text(owner); });
}

void append_ask(std::string& out, std::uint32_t number, const Operation& operation, std::uint64_t until_ms) {
    append_frame(out, number, FrameKind::ask, [&](FieldWriter& writer) {
        writer.raw(until_ms);
        writer.raw(static_cast<std::uint8_t>(operation.index()));
        std::visit([&](const auto& one) { writer.put_all(asked(one)); }, operation);
    });
}

void append_stored(std::string& out, std::uint32_t number, const Operation& operation) {
    append_frame(out, number, FrameKind::stored, [&](FieldWriter& writer) {
        writer.raw(static_cast<std::uint8_t>(operation.index()));
        std::visit([&](const auto& one) { writer.put_all(answered(one)); }, operation);
    });
}

void append_failed(std::string& out, std::uint32_t number, std::string_view why) {
    append_frame(out, number, FrameKind::failed, [&](FieldWriter& writer) { writer.put_text(why); });
}

void append_watch(std::string& out, std::string_view id) {
    append_frame(out, 0, FrameKind::watch, [&](FieldWriter& writer) { writer.put_text(id); });
}

void append_unwatch(std::string& out, std::string_view id) {
    append_frame(out, 0, FrameKind::unwatch, [&](FieldWriter& writer) { writer.put_text(id); });
}

void append_changed(std::string& out, std::string_view id) {
    append_frame(out, 0, FrameKind::changed, [&](FieldWriter& writer) { writer.put_text(id); });
}

void append_cancel(std::string& out, std::string_view id, std::int64_t fence) {
    append_frame(out, 0, FrameKind::cancel, [&](FieldWriter& writer) {
        writer.raw(fence);
        writer.put_text(id);
    });
}

ipc::Result<Frame> parse_frame(std::string_view bytes) {
    Frame frame;
    if (bytes.size() < frame_head_bytes - frame_length_bytes) return ipc::failure("a frame without a head");
    std::uint8_t kind = 0;
    std::memcpy(&frame.head.number, bytes.data(), sizeof frame.head.number);
    std::memcpy(&kind, bytes.data() + sizeof frame.head.number, sizeof kind);
    if (kind > static_cast<std::uint8_t>(FrameKind::cancel)) return unknown("a frame of no known kind");
    frame.head.kind = static_cast<FrameKind>(kind);
    frame.fields = bytes.substr(frame_head_bytes - frame_length_bytes);
    return frame;
}

ipc::Result<Ask> decode_ask(std::string_view fields) {
    Ask ask;
    if (fields.size() <= sizeof ask.until_ms) return ipc::failure("an operation without a kind");
    std::memcpy(&ask.until_ms, fields.data(), sizeof ask.until_ms);
    fields.remove_prefix(sizeof ask.until_ms);
    const auto index = static_cast<unsigned char>(fields.front());
    if (index >= std::variant_size_v<Operation>)
        return unknown("an operation that this version does not know");
    FieldReader in(fields.substr(1));
    if (!read_ask(index, in, ask.operation)) return ipc::failure("an operation that makes no sense");
    return ask;
}

ipc::Result<CancelWish> decode_cancel(std::string_view fields) {
    FieldReader in(fields);
    CancelWish wish;
    in.raw(wish.fence);
    in.get(wish.id);
    if (!in.good()) return ipc::failure("a wish that makes no sense");
    return wish;
}

ipc::Result<void> decode_stored(std::string_view fields, Operation& operation) {
    if (fields.empty() || static_cast<unsigned char>(fields.front()) != operation.index())
        return ipc::failure("the answer to something else");
    FieldReader in(fields.substr(1));
    std::visit([&](auto& one) { in.get_each(answered(one)); }, operation);
    if (!in.good()) return ipc::failure("an answer that makes no sense");
    return {};
}

ipc::Result<std::string> decode_text(std::string_view fields) {
    FieldReader in(fields);
    std::string text;
    in.get(text);
    if (!in.good()) return ipc::failure("a text that makes no sense");
    return text;
}

std::size_t weight(const Operation& operation) noexcept {
    // What an answer may have, but for the rare ones: a job with its texts; its history; bodies of a claim.
    constexpr std::size_t view_bytes = 2048, history_bytes = 8192, claim_bytes = 1u << 20;
    std::size_t bytes = sizeof operation;
    if (const auto* enqueue = std::get_if<Enqueue>(&operation)) {
        const auto& job = enqueue->job;
        bytes += job.body.size() + job.content_type.size() + job.callback.size() +
                 job.idempotency_key.size() + job.key.size() + job.unique.size() + job.trace.size() +
                 job.request.size();
    } else if (const auto* finish = std::get_if<Finish>(&operation)) {
        bytes += finish->result.size() + finish->error.size() + finish->result_fields.size();
    } else if (const auto* fire = std::get_if<Fire>(&operation)) {
        bytes += fire->enqueue.job.body.size() + fire->enqueue.job.request.size();
    } else if (const auto* progress = std::get_if<Progress>(&operation)) {
        bytes += progress->text.size();
    } else if (const auto* get = std::get_if<Get>(&operation)) {
        const auto room = std::min<std::uint64_t>(get->room, frame_bytes_max);
        bytes += history_bytes + (get->with_result ? static_cast<std::size_t>(room) : 0);
    } else if (const auto* list = std::get_if<List>(&operation)) {
        bytes += view_bytes * std::min(list->limit, listed_max);
    } else if (std::holds_alternative<Claim>(operation)) {
        bytes += claim_bytes;
    }
    return bytes;
}

}  // namespace worker::jobs
