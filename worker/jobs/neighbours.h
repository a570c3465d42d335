// worker/jobs/neighbours.h: other machines that share the store: that we live, what they have for us, and
// what is left of them.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ipc/event.h"
#include "worker/execution/loop.h"
#include "worker/jobs/bell.h"
#include "worker/jobs/keeping.h"
#include "worker/jobs/runners.h"

namespace worker::jobs {

/// Of the keeper that has the store. Loop thread only.
class Neighbours {
 public:
    struct Terms {
        execution::Loop& loop;
        Keeping& keeping;  ///< the store
        Runners& runners;
        std::string owner;                                  ///< as of `Claim`
        std::function<std::vector<std::string>()> with_us;  ///< other owners whose word we carry
        /// Somebody wants that one ended; it may be neither ours nor one of theirs.
        std::function<void(const std::string& id, std::int64_t fence)> cancel;
        std::chrono::milliseconds lease;
        Bell::Open bell;  ///< null: none is told, or tells, anything
    };
    /// All of it outlives this, which outlives the answers of the keeping.
    explicit Neighbours(Terms terms);

    /// From now on, until `end`, and once: leases are extended, and those that are over looked for.
    void begin();
    void end();
    /// Of an operation that is stored, whoever asked for it.
    void note(const Operation& operation);
    [[nodiscard]] std::chrono::milliseconds lease() const noexcept { return terms_.lease; }

 private:
    void on_beat(short what);
    void extend(const std::string& owner);
    void on_extended(bool stored);
    void recover();

    Terms terms_;
    std::unique_ptr<Bell> bell_;
    bool begun_ = false;
    std::uint64_t able_since_ms_ =
        0;  ///< CLOCK_MONOTONIC: each beat since then was stored; 0: the last was not
    ipc::Event beat_;
};

}  // namespace worker::jobs
