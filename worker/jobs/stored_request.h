// worker/jobs/stored_request.h: a client's request that became a job, as it is kept until it is asked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace worker::jobs {

/// As it would have been sent at once, by the configuration of that moment; the body is the job's. It knows
/// nothing yet of its framing, nor which job it is.
struct StoredRequest {
    enum class Wire : std::uint8_t {
        http,    ///< `head` is a request line and lines of fields
        fastcgi  ///< `head` is the content of PARAMS
    };
    Wire wire = Wire::http;
    std::string head;
    std::string hidden;  ///< names of fields that no client is to see of its answer, with commas between
};

/// As bytes that only `unpack` knows.
[[nodiscard]] std::string pack(const StoredRequest& request);
/// nullopt: that is none, or of another version.
[[nodiscard]] std::optional<StoredRequest> unpack(std::string_view bytes);

}  // namespace worker::jobs
