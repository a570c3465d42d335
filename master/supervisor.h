// master/supervisor.h: keeps a worker in every slot, and connections away from slots that have none.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ipc/event.h"
#include "ipc/scoreboard.h"
#include "ipc/seat.h"
#include "master/listeners.h"
#include "master/logs.h"
#include "master/slot.h"
#include "master/title.h"
#include "master/watchdog.h"

namespace master {

/// What a worker runs: serves in its seat until told to leave, and returns the exit status.
using WorkerMain = std::function<int(ipc::Seat)>;

/// What supervision works with; all of it outlives the supervisor.
struct Surroundings {
    event_base& loop;
    Listeners& listeners;
    const Logs& logs;
    ipc::Scoreboard& board;
    ProcessTitle& title;
    WorkerMain run;
    std::chrono::milliseconds watchdog{10'000};
    std::chrono::milliseconds start_timeout{30'000};
    std::uint32_t generation = 1;
    std::uint64_t started_ms = 0;  ///< when the master started
};

/// The workers of one generation.
// A slot:  empty ──▶ starting ──READY──▶ ready ◀──heartbeat── silent──▶ stuck ──ABRT, KILL──▶ dies
//   dies, unasked ──▶ backing_off ──delay──▶ starting        told to leave ──▶ draining ──dies──▶ empty
class Supervisor final : public SlotOwner {
 public:
    /// `on_change` is called whenever an answer to one of the questions below may have changed.
    Supervisor(Surroundings around, std::uint32_t workers, std::function<void()> on_change);
    ~Supervisor() override = default;

    void start();
    /// `ready` answers 503 from now on; connections are still accepted.
    void unready();
    /// No worker is replaced any more; all finish what they hold and leave within `limit`.
    void drain(std::chrono::milliseconds limit);
    /// No worker is replaced any more; all leave at once.
    void stop();
    /// To all that are still there.
    void signal(int number);
    /// All write to the files of `logs` from now on. Returns the number of this request.
    std::uint32_t reopen();

    /// Whether all workers have been READY at once, some time.
    [[nodiscard]] bool started() const noexcept { return started_; }
    /// Why the first start cannot succeed.
    [[nodiscard]] const std::optional<std::string>& start_failure() const noexcept { return start_failure_; }
    [[nodiscard]] std::uint32_t running() const noexcept;
    /// Slots whose worker has not confirmed that request, nor died.
    [[nodiscard]] std::vector<std::uint32_t> unconfirmed(std::uint32_t request) const;
    [[nodiscard]] const std::vector<std::unique_ptr<Slot>>& slots() const noexcept { return slots_; }
    [[nodiscard]] std::uint32_t generation() const noexcept { return around_.generation; }

 private:
    enum class Mode : std::uint8_t { running, unready, leaving };

    void on_message(Slot& slot, const ipc::Message& message) override;
    void on_end(Slot& slot, const Ending& ending) override;
    void on_look(short what);

    void spawn(Slot& slot);
    int serve(Slot& slot, ipc::Channel channel);
    [[nodiscard]] std::vector<int> kept_descriptors(const Slot& slot) const;
    void on_ready(Slot& slot, const ipc::Ready& ready);
    void on_failed(Slot& slot, const std::string& why);
    void report_death(const Slot& slot, const Ending& ending);
    void replace(Slot& slot);
    void look_after(Slot& slot, std::uint64_t now);
    void check_pulse(Slot& slot, std::uint64_t now);
    void settle();
    void settle_queue(Slot& slot, std::uint64_t now);
    [[nodiscard]] bool needs_adopter(const Slot& slot, std::uint64_t now) const;
    [[nodiscard]] std::optional<std::uint32_t> least_loaded(const Slot& except) const;
    void leave(const ipc::Message& message);
    void plan_look();

    Surroundings around_;
    std::function<void()> on_change_;
    Watchdog watchdog_;
    Mode mode_ = Mode::running;
    bool started_ = false;
    std::optional<std::string> start_failure_;
    std::uint32_t reopens_ = 0;
    std::vector<std::unique_ptr<Slot>> slots_;
    ipc::Event look_;
};

}  // namespace master
