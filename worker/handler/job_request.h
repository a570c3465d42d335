// worker/handler/job_request.h: what a request's header says of the job that is to be made of it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <tl/expected.hpp>

#include "conf/config.h"
#include "worker/http/request.h"
#include "worker/jobs/job.h"
#include "worker/jobs/job_json.h"

namespace worker::handler {

/// 1 to `bytes_max` printable characters of ASCII: what keys and callbacks of jobs are.
[[nodiscard]] bool is_job_text(std::string_view text, std::size_t bytes_max) noexcept;
constexpr std::size_t job_key_max = 255, job_callback_max = 2048, job_type_max = 255;  ///< bytes
constexpr std::uint32_t job_attempts_max = 1000;
/// A job is asked for no longer ahead.
constexpr std::chrono::milliseconds job_delay_max = std::chrono::hours(24 * 3650);

/// All but its id, queue, body and idempotency; what the header does not say is the queue's. Fails with a
/// sentence for the client (400). `now`: to count from.
[[nodiscard]] tl::expected<jobs::NewJob, std::string> read_job_fields(const http::Request& request,
                                                                      const conf::Queue& queue,
                                                                      jobs::UnixMs now);

/// The Idempotency-Key (draft-ietf-httpapi-idempotency-key-header, a string of RFC 8941 3.3.3); empty where
/// there is none, and none is required.
[[nodiscard]] tl::expected<std::string, std::string> read_idempotency_key(const http::Request& request,
                                                                          const conf::Queue& queue);

/// Of what the job is: whether a key came with the same request again.
[[nodiscard]] std::string fingerprint_of(const jobs::NewJob& job);
/// Likewise, of a job that is that request.
[[nodiscard]] std::string fingerprint_of(const jobs::NewJob& job, const http::Request& request);

/// Milliseconds since 1970: an HTTP date, RFC 3339, or digits; nullopt: neither.
[[nodiscard]] std::optional<jobs::UnixMs> parse_moment(std::string_view text);
/// Why the store is unable, as far as it is anybody's business.
[[nodiscard]] std::string_view public_reason(std::string_view why) noexcept;
using jobs::print_moment;

}  // namespace worker::handler
