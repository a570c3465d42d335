// worker/jobs/bell.h: what machines that share a store tell each other, so that none waits until it looks.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "worker/execution/loop.h"

namespace worker::jobs {

/// Words may get lost, and come twice: whoever listens looks by itself from time to time. Loop thread only.
class Bell {
 public:
    struct Heard {
        /// Something may be ready; empty: in all of them.
        std::function<void(const std::string& queue)> queue;
        /// For whoever runs it.
        std::function<void(const std::string& id, std::int64_t fence)> cancel;
    };
    /// What is heard is told on that loop.
    using Open = std::function<std::unique_ptr<Bell>(execution::Loop& loop, Heard heard)>;

    virtual ~Bell() = default;
    /// After the store has what the others are to look for. Said many times soon after another it is said
    /// once.
    virtual void ring(const std::string& queue) = 0;
    virtual void cancel(const std::string& id, std::int64_t fence) = 0;
    /// From now on nothing is told or heard. Does not wait, while its end may.
    virtual void hush() = 0;
};

}  // namespace worker::jobs
