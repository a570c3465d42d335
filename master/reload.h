// master/reload.h: from the wish for another configuration to a generation that serves with it, or none.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ipc/event.h"
#include "ipc/result.h"
#include "master/generation.h"
#include "master/reading.h"

namespace master {

/// Whoever has the generations. Calls come from the loop, never from within a call to the reload.
class ReloadHost {
 public:
    virtual ~ReloadHost() = default;
    /// A reload has begun; `commit` or `failed` says how it ends.
    virtual void began() = 0;
    /// Reads the configuration that is wanted; run in a child.
    [[nodiscard]] virtual ReadConfig reader() = 0;
    [[nodiscard]] virtual std::chrono::milliseconds start_timeout() const = 0;
    /// Opens and binds for it.
    [[nodiscard]] virtual ipc::Result<std::unique_ptr<Generation>> prepare(Found found) = 0;
    /// Every worker is READY: from now on this generation serves. When that fails nothing has changed, and
    /// the candidate stays.
    [[nodiscard]] virtual ipc::Result<void> commit(std::unique_ptr<Generation>& candidate) = 0;
    /// A candidate that failed: its processes are to be ended.
    virtual void discard(std::unique_ptr<Generation> candidate) = 0;
    /// A reload came to nothing; said once, however many had wished for it.
    virtual void failed(const std::string& why) = 0;
};

/// How a reload went, for whoever asked for it.
struct ReloadOutcome {
    enum class Kind : std::uint8_t { done, failed, refused };  ///< refused: by what the configuration says
    Kind kind = Kind::done;
    std::string text;  ///< for people, a line each
};

// idle ──wish──▶ reading ──fine──▶ starting ──all READY──▶ committed, idle
//                  └──refused──▶ idle └──failed, too late──▶ discarded, idle
// A wish that comes while one is on its way, or right behind another, waits with all that follow until that
// is done and nobody has wished anything for a moment: one more reload serves them all.
class Reload {
 public:
    using Done = std::function<void(const ReloadOutcome&)>;

    static constexpr std::chrono::milliseconds quiet_time{100};
    static constexpr std::chrono::milliseconds wait_max{2000};

    /// All outlive this.
    Reload(event_base& loop, ReloadHost& host);
    Reload(const Reload&) = delete;
    Reload& operator=(const Reload&) = delete;

    void wish(Done done);
    /// The same without reading. Only when idle; else it fails.
    void begin_with(Found found, Done done);
    /// To be called when the candidate may have changed.
    void check();
    /// No reload any more: all that wait get this answer.
    void cancel(const std::string& why);

    [[nodiscard]] bool idle() const noexcept { return step_ == Step::idle && waiting_.empty(); }
    [[nodiscard]] Generation* candidate() noexcept { return candidate_.get(); }
    [[nodiscard]] const Generation* candidate() const noexcept { return candidate_.get(); }

 private:
    enum class Step : std::uint8_t { idle, reading, starting };

    void begin();
    void on_found(Found found);
    void on_late(short what);
    void on_quiet(short what);
    void fail(ReloadOutcome::Kind kind, const std::string& why);
    void end(const ReloadOutcome& outcome);
    void plan_next();

    event_base& loop_;
    ReloadHost& host_;
    Step step_ = Step::idle;
    std::vector<Done> served_, waiting_;                  ///< by the one on its way; by the next
    std::uint64_t first_wish_ms_ = 0, last_wish_ms_ = 0;  ///< of those that wait
    std::vector<std::string> advice_;
    std::unique_ptr<Reading> reading_;
    std::unique_ptr<Generation> candidate_;
    ipc::Event late_, quiet_;
};

}  // namespace master
