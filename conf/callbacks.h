// conf/callbacks.h: whom a queue may tell of the ends of its jobs, and the queues that do the telling.
#pragma once

#include <string>
#include <string_view>

#include <tl/expected.hpp>

#include "conf/queue.h"

namespace conf {

struct Config;

/// `http://HOST[:PORT]/path?query`, taken apart.
struct CallbackUrl {
    std::string authority;  ///< in lower case, without the port that is understood
    std::string target;     ///< begins with a slash; as it was written
    bool operator==(const CallbackUrl&) const = default;

    /// What reads back the same.
    [[nodiscard]] std::string text() const { return "http://" + authority + target; }
};

/// Printable ASCII alone; neither user, fragment nor any segment of the path that is `.` or `..`, in whatever
/// way it is written. Fails with what is wrong with it, for who has sent or written it.
[[nodiscard]] tl::expected<CallbackUrl, std::string> parse_callback_url(std::string_view url);

/// One that may be told: its host and port are those of one of `callbacks`, and its path begins as the path
/// there does, at the bounds of segments. Fails with why not.
[[nodiscard]] tl::expected<CallbackUrl, std::string> callback_url(const QueueCallbacks& callbacks,
                                                                  std::string_view url);

/// The name of the queue that tells of the ends of jobs of that one; no section can have it.
[[nodiscard]] std::string callbacks_queue_of(std::string_view queue);
[[nodiscard]] bool is_callbacks_queue(std::string_view name) noexcept;

/// Adds, behind those of the file, the queue of callbacks for each queue that has some. Once, when all is
/// checked.
void add_callbacks_queues(Config& config);

}  // namespace conf
