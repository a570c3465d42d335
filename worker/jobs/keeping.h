// worker/jobs/keeping.h: who has the store, as those see it who run its jobs.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include "ipc/result.h"
#include "worker/jobs/operations.h"

namespace worker::jobs {

/// The batcher of this process; or, while this keeper drains and another one has the store, the way there.
/// Loop thread only.
class Keeping {
 public:
    /// The operation with its answer, once that is durable (`failure` is null); or as it was given, and why
    /// it is not known to be stored.
    using Answered = std::function<void(Operation&& operation, const ipc::Error* failure)>;

    virtual ~Keeping() = default;
    /// `answered` is called once, on a later turn of the loop, and for operations in the order they were
    /// submitted in; not at all any more when the `Keeping` goes.
    virtual void submit(Operation operation, Answered answered) = 0;
    /// Likewise, for somebody who waits until then, and for who has waited already (CLOCK_MONOTONIC in ms; 0:
    /// it is not said). Later it is not begun any more, where whoever keeps looks at that.
    virtual void submit_until(Operation operation, std::uint64_t until_ms, Answered answered) {
        (void)until_ms;
        submit(std::move(operation), std::move(answered));
    }
};

}  // namespace worker::jobs
