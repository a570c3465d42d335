// master/slot.h: one worker's place: the process in it now, and what is known of those before.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ipc/channel.h"
#include "ipc/event.h"
#include "ipc/scoreboard.h"
#include "master/backoff.h"
#include "master/child.h"

namespace master {

class Slot;

/// Whoever decides about slots. Calls come from the loop, never from within a call to the slot.
class SlotOwner {
 public:
    virtual ~SlotOwner() = default;
    virtual void on_message(Slot& slot, const ipc::Message& message) = 0;
    /// The process is gone and collected; `slot` is free for the next.
    virtual void on_end(Slot& slot, const Ending& ending) = 0;
    /// Of a slot that `expects`: its process is there, and waits for its seat.
    virtual void on_born(Slot& slot);
    /// Or there will be none.
    virtual void on_unborn(Slot& slot, const std::string& why);
};

/// Runs a process at a time and talks to it. Policy (who lives, when) is the owner's.
class Slot {
 public:
    /// `owner` and `loop` outlive this.
    /// `at`: its rows in the scoreboard, the first is that of the loop which hears us. `what`: it is called
    /// in the log; a literal.
    Slot(SlotOwner& owner, event_base& loop, std::uint32_t index, std::vector<std::uint32_t> at,
         std::string_view what = "worker")
        : rows(std::move(at)), owner_(owner), loop_(loop), index_(index), what_(what) {}
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;

    /// Forks. The child keeps `keep` and its end of the channel, which `body` gets.
    [[nodiscard]] ipc::Result<void> spawn(std::vector<int> keep,
                                          const std::function<int(ipc::Channel)>& body);

    /// Another process is to fork it, as a child of ours that gets the returned end of the channel.
    [[nodiscard]] ipc::Result<ipc::Channel> expect();
    /// Neither born nor unborn yet. There is nobody to tell, nor to signal.
    [[nodiscard]] bool expects() const noexcept { return expects_; }

    /// It `expects`, and the channel has something to say, or has ended.
    [[nodiscard]] bool unheard() const noexcept;

    [[nodiscard]] std::uint32_t index() const noexcept { return index_; }
    [[nodiscard]] bool running() const noexcept { return static_cast<bool>(child_); }
    /// Of the process that runs, or that ran last; to show, not to signal.
    [[nodiscard]] pid_t pid() const noexcept { return pid_; }
    /// A worker whose channel is full or broken does not listen to us any more: it is killed.
    void tell(const ipc::Message& message, std::span<const int> descriptors = {});
    void signal(int number) const noexcept { child_.signal(number); }
    /// Kills a worker that breaks the rules, and says which.
    void punish(const std::string& why);

    /// Where it stands among those of the same number.
    enum class Role : std::uint8_t {
        seated,     ///< the one that connections go to
        successor,  ///< starting, to take the seat once it is READY
        leaving     ///< has been replaced, and drains
    };

    // What the owner keeps about the slot.
    std::vector<std::uint32_t> rows;  ///< by number of the executor
    Role role = Role::seated;
    ipc::SlotState state = ipc::SlotState::empty;
    Backoff backoff;
    std::uint64_t started_ms = 0;  ///< when the process was forked; monotonic, as all times here
    std::uint64_t ready_ms = 0;    ///< when it said READY; 0: not yet
    std::uint64_t due_ms = 0;      ///< starting: too late; backing_off: next start; stuck, draining: KILL
    std::uint64_t requests_before = 0;       ///< what the row's counter stood at when the process was forked
    std::uint64_t requests_limit = 0;        ///< recycled after so many; 0: never
    std::uint64_t recycle_ms = 0;            ///< not before this: the last try failed
    std::optional<ipc::RestartCause> cause;  ///< why the process is ended; none: by itself
    ipc::RestartCause replaces_for = ipc::RestartCause::asked;  ///< of a successor: what its seat is due to
    std::uint32_t restarts = 0;                                 ///< processes that ended unasked
    std::uint32_t failed_starts = 0;                            ///< in a row
    std::uint32_t reopen_asked = 0;                             ///< the last `Reopen` sent
    std::uint32_t reopen_done = 0;                              ///< the last `Reopened` received
    std::optional<std::uint32_t> adopter;  ///< the slot that takes what waits in our queues
    std::vector<bool> silent;              ///< by number of the executor, of one whose other loops go on
    bool surplus = false;                  ///< told to leave because there are too many
    bool waits_to_be_forked = false;       ///< starting, but nobody has been asked yet
    bool without_preloader = false;        ///< this once: that one did not do it

 private:
    void listen(ipc::Channel channel);
    void attend(Child child);
    void be_born(const ipc::Message& message);
    void give_up(const std::string& why);
    void on_channel(short what);
    void on_silence(short what);
    void on_exit(short what);
    /// True when there may be more.
    bool hear_one();

    SlotOwner& owner_;
    event_base& loop_;
    std::uint32_t index_;
    std::string_view what_;
    Child child_;
    pid_t pid_ = -1;
    bool expects_ = false;
    ipc::Channel channel_{ipc::UniqueFd()};
    ipc::Event readable_, leaving_, ended_;
};

}  // namespace master
