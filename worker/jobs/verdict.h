// worker/jobs/verdict.h: what an answer, or the lack of one, makes of an attempt.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "worker/http/status.h"
#include "worker/jobs/job.h"
#include "worker/upstream/call.h"

namespace worker::jobs {

/// How an attempt ended, and why.
struct Verdict {
    Ending ending = Ending::done;
    std::string error;    ///< empty: done
    UnixMs again_at = 0;  ///< when its handler wants it tried again; 0: it does not say
};

/// The exit status of a program by which it says that trying again is of no use: EX_DATAERR of sysexits(3).
constexpr std::uint32_t exit_permanent = 65;
/// Whoever asks for more patience is not believed.
constexpr UnixMs retry_after_max = UnixMs{7} * 24 * 3600 * 1000;

/// 2xx: done. 4xx: permanent, but 408, 425 and 429; all else has failed. `retry_after`: the field's value
/// (RFC 9110 10.2.3), of what failed; empty: none. `now`: to count from.
[[nodiscard]] Verdict judge_status(http::Status status, std::string_view retry_after, UnixMs now);
/// Of a job that is a request: its client is to have any answer but those that say "not now", 5xx, 408, 425
/// and 429, which have failed.
[[nodiscard]] Verdict judge_answer(http::Status status, std::string_view retry_after, UnixMs now);
/// Of who was told of the end of a job: 2xx is done, 410 means never again, all else that it is to be tried
/// again.
[[nodiscard]] Verdict judge_callback(http::Status status, std::string_view retry_after, UnixMs now);
/// Of a program that has ended by itself: 0 is done.
[[nodiscard]] Verdict judge_exit(std::uint32_t status);
/// There is no whole answer. `of_program`: its end without a word for us is that of its process, unless it
/// has said (`exit_said`) that it is over.
[[nodiscard]] Verdict judge_failure(const upstream::Failure& failure, bool of_program, bool exit_said);

}  // namespace worker::jobs
