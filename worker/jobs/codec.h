// worker/jobs/codec.h: operations and their answers as frames, between keepers and their clients.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "ipc/result.h"
#include "worker/jobs/operations.h"

namespace worker::jobs {

/// A frame is its length, a request's number, a kind, and fields in order; numbers are little-endian. The
/// length is of what follows it. During an upgrade the two sides are of different versions, so fields come
/// only at the end of a struct or of an operation, which say how long they are: what is missing there is as
/// if nobody had set it, what is more is passed over. Kinds and operations, too, come after those that are
/// there.
enum class FrameKind : std::uint8_t {
    hello,    ///< from a client, first: who it is, as `Claim::owner`; empty: nobody that runs jobs
    ask,      ///< an operation
    stored,   ///< its answer
    failed,   ///< it is not known to be stored, and why
    watch,    ///< from a client: it wants to know of changes of this job
    unwatch,  ///< and not any more
    changed,  ///< to a client: such a job may have changed
    cancel    ///< to a client that runs jobs: one of them is to be ended
};

struct FrameHead {
    std::uint32_t number = 0;
    FrameKind kind = FrameKind::ask;
};

constexpr std::size_t frame_length_bytes = 4;
constexpr std::size_t frame_head_bytes = 9;         ///< with the length
constexpr std::size_t frame_bytes_max = 80u << 20;  ///< a body or a result of 64 MiB, and what belongs to it

/// The length that the first bytes announce, without its own; none before it is there. Too long: nothing that
/// anybody of ours says.
[[nodiscard]] std::uint32_t frame_length(std::string_view bytes) noexcept;

/// Each appends a whole frame.
void append_hello(std::string& out, std::string_view owner);
/// `until_ms`: CLOCK_MONOTONIC; later nobody waits for an answer any more, and it is not to be begun. 0:
/// there is no such time.
void append_ask(std::string& out, std::uint32_t number, const Operation& operation, std::uint64_t until_ms);
void append_stored(std::string& out, std::uint32_t number, const Operation& operation);
void append_failed(std::string& out, std::uint32_t number, std::string_view why);
void append_watch(std::string& out, std::string_view id);
void append_unwatch(std::string& out, std::string_view id);
void append_changed(std::string& out, std::string_view id);
void append_cancel(std::string& out, std::string_view id, std::int64_t fence);

/// What follows the length; `fields` is what is left.
struct Frame {
    FrameHead head;
    std::string_view fields;
};
/// `errc::function_not_supported`: of a kind that a newer version has; to be passed over.
[[nodiscard]] ipc::Result<Frame> parse_frame(std::string_view bytes);

struct Ask {
    std::uint64_t until_ms = 0;
    Operation operation;
};
/// `errc::function_not_supported`: what a newer version asks; it is to be told that.
[[nodiscard]] ipc::Result<Ask> decode_ask(std::string_view fields);
/// Into the operation that was asked for; fails when it is the answer of another kind. On failure its answer
/// is anything.
[[nodiscard]] ipc::Result<void> decode_stored(std::string_view fields, Operation& operation);
/// Which job is to be ended.
struct CancelWish {
    std::string id;
    std::int64_t fence = 0;
};
[[nodiscard]] ipc::Result<CancelWish> decode_cancel(std::string_view fields);
/// Of `hello` and `failed`; of `watch`, `unwatch` and `changed` a job's id.
[[nodiscard]] ipc::Result<std::string> decode_text(std::string_view fields);

/// Bytes of memory that it holds, about, or may with its answer.
[[nodiscard]] std::size_t weight(const Operation& operation) noexcept;

}  // namespace worker::jobs
