// worker/jobs/tally.h: what a keeper counts on the scoreboard of the jobs in its store.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "ipc/scoreboard.h"
#include "worker/jobs/operations.h"
#include "worker/jobs/store.h"

namespace worker::jobs {

/// The keeper that has the store is the only one that writes. Loop thread only.
class Tally {
 public:
    explicit Tally(ipc::Scoreboard& board) : board_(board) {}

    [[nodiscard]] ipc::JobsCell& cell() noexcept { return board_.jobs(); }
    /// Another keeper, with another store, counts from now on.
    void mute() noexcept { muted_ = true; }
    /// This one does.
    void speak() noexcept { muted_ = false; }
    /// Of an operation that is stored.
    void note(const Operation& operation);
    void note_batch(std::size_t operations, bool stored, std::uint64_t took_us, const StoreFigures& figures);
    /// It could store something; or could not, and why.
    void note_able();
    void note_unable(std::string_view why);
    /// How long this one took, from when it was asked for to the answer.
    void note_latency(const Operation& operation, std::uint64_t us);

 private:
    /// Null: the scoreboard does not know that queue.
    [[nodiscard]] ipc::JobQueueCell* queue(const std::string& name);
    void note_enqueue(const Enqueue& enqueue);
    void note_claim(const Claim& claim);
    void note_finish(const Finish& finish);
    void note_recover(const Recover& recover);
    void show(const Stats& stats);

    ipc::Scoreboard& board_;
    bool muted_ = false;
    std::unordered_map<std::string, std::uint32_t> queues_;
    std::unordered_map<std::string, std::string> running_;  ///< job: its queue
};

}  // namespace worker::jobs
