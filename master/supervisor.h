// master/supervisor.h: keeps a worker in every slot of one generation, and looks after each.
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
#include "master/adoption.h"
#include "master/listeners.h"
#include "master/logs.h"
#include "master/plan.h"
#include "master/poison.h"
#include "master/pools.h"
#include "master/preloader.h"
#include "master/slot.h"
#include "master/title.h"
#include "master/watchdog.h"

namespace master {

/// What supervision works with; all of it outlives the supervisor.
struct Surroundings {
    event_base& loop;
    Listeners& listeners;
    const Logs& logs;
    const Plan& plan;
    int config;  ///< the configuration's text, for workers
    ipc::Scoreboard& board;
    Poison& poison;
    ProcessTitle& title;
    const WorkerMain& run;
    std::uint32_t generation = 1;
    std::uint64_t started_ms = 0;    ///< when the first master started
    int keeper_address = -1;         ///< see `ipc::Seat`; -1: there are no jobs
    Pools* pools = nullptr;          ///< null: the generation has none
    Preloader* preloader = nullptr;  ///< forks the workers; null: we do
};

/// The workers of one generation.
// A slot:  empty ──▶ starting ──READY──▶ ready ◀──heartbeat── silent──▶ stuck ──ABRT, KILL──▶ dies
//   dies, unasked ──▶ backing_off ──delay──▶ starting        told to leave ──▶ draining ──dies──▶ empty
// A worker that is recycled keeps its seat until its successor is READY, and drains then.
// With `processes_max` there are as many as it takes: one that is surplus is told to leave, and its slot is
// empty until the next is needed.
class Supervisor final : public SlotOwner {
 public:
    /// `on_change` is called whenever an answer to one of the questions below may have changed.
    Supervisor(Surroundings around, std::function<void()> on_change);
    ~Supervisor() override;

    /// As `Surroundings::keeper_address`, before the start.
    void send_jobs_to(int keeper_address) noexcept { around_.keeper_address = keeper_address; }
    [[nodiscard]] int keeper_address() const noexcept { return around_.keeper_address; }
    /// Before the start: its workers have these pools, which outlive it.
    void use(Pools* pools) noexcept { around_.pools = pools; }
    /// Likewise, and it forks them.
    void use(Preloader* preloader) noexcept { around_.preloader = preloader; }
    /// Forks. Workers get ready, and wait.
    void start();
    /// What the preloader says of itself may have changed.
    void on_preloader();
    /// What a process does that the preloader forked. In that process.
    int sit(ipc::Channel channel, const WorkerMain& run);
    /// Connections go to the workers from now on, and so does what waits in queues of generations before.
    [[nodiscard]] ipc::Result<void> serve();
    /// `ready` answers 503 from now on; connections are still accepted.
    void unready();
    /// No worker is replaced any more; all finish what they hold and leave within `limit`.
    void drain(std::chrono::milliseconds limit);
    /// No worker is replaced any more; all leave at once.
    void stop();
    /// To all that are still there.
    void signal(int number);
    void tell_all(const ipc::Message& message);
    /// All write to the files of `logs` from now on. Returns the number of this request.
    std::uint32_t reopen();
    /// Another process takes the seat, once it is READY. Fails when that cannot begin now. `more`: what else
    /// the log says of why.
    [[nodiscard]] ipc::Result<void> recycle(std::uint32_t index, ipc::RestartCause cause,
                                            const std::string& more = {});
    /// While another master may still use them, sockets that no slot has stay open.
    void hold_sockets(bool held) noexcept { adoption_.hold(held); }
    /// A generation that was to follow us did not, and left sockets that listen.
    void take_over_leftovers();
    /// As `Adoption` and steering see fit: after another master has changed what we share.
    void settle();

    /// Whether all workers have been READY at once, some time.
    [[nodiscard]] bool started() const noexcept { return started_; }
    /// Why the first start cannot succeed.
    [[nodiscard]] const std::optional<std::string>& start_failure() const noexcept { return start_failure_; }
    [[nodiscard]] std::uint32_t running() const noexcept;
    /// Whether somebody serves: READY, and its loop turns.
    [[nodiscard]] bool healthy() const noexcept;
    /// Slots whose worker has not confirmed that request, nor died.
    [[nodiscard]] std::vector<std::uint32_t> unconfirmed(std::uint32_t request) const;
    /// All that there are: seated, then successors, then those that leave.
    [[nodiscard]] std::vector<const Slot*> slots() const;
    [[nodiscard]] std::uint32_t generation() const noexcept { return around_.generation; }

 private:
    enum class Mode : std::uint8_t { getting_ready, running, unready, leaving };

    void on_message(Slot& slot, const ipc::Message& message) override;
    void on_end(Slot& slot, const Ending& ending) override;
    void on_born(Slot& slot) override;
    void on_unborn(Slot& slot, const std::string& why) override;
    void on_look(short what);

    template <class Visit>
    void for_each(const Visit& visit) const {
        for (const auto& slot : slots_) visit(*slot);
        for (const auto& slot : successors_) visit(*slot);
        for (const auto& slot : leaving_) visit(*slot);
    }
    [[nodiscard]] std::unique_ptr<Slot> make_slot(std::uint32_t index);
    void spawn(Slot& slot);
    void begin(Slot& slot);
    void fork(Slot& slot);
    void settle_in(const Slot& slot, std::string_view forked_by);
    void furnish(ipc::Seat& seat);
    [[nodiscard]] std::uint32_t accepting_loops() const noexcept;
    [[nodiscard]] std::vector<int> access_log_descriptors() const;
    int run(Slot& slot, ipc::Channel channel);
    [[nodiscard]] std::vector<int> kept_descriptors(const Slot& slot) const;
    void on_ready(Slot& slot, const ipc::Ready& ready);
    void on_failed(Slot& slot, const std::string& why);
    void admit(Slot& slot);
    void take_seat(Slot& successor);
    void report_death(Slot& slot, const Ending& ending);
    void suspect(const std::string& request, std::uint64_t now);
    void replace(Slot& slot);
    void look_after(Slot& slot, std::uint64_t now);
    void check_pulse(Slot& slot, std::uint64_t now);
    void on_pulse(Slot& slot, std::uint32_t executor, Pulse pulse, std::uint64_t silent_ms);
    void fall_silent(Slot& slot, std::uint32_t executor, bool silent);
    void abort(Slot& slot, std::uint32_t executor);
    [[nodiscard]] ipc::WorkerCell& cell_of(const Slot& slot, std::uint32_t executor = 0) const;
    [[nodiscard]] std::string name_of(std::uint32_t executor) const;
    [[nodiscard]] std::string in_flight(const Slot& slot, bool& alone) const;
    [[nodiscard]] std::string doing(const Slot& slot, std::uint32_t executor) const;
    [[nodiscard]] std::string only_module(const Slot& slot) const;
    void collect_unborn();
    [[nodiscard]] std::uint64_t requests_of(const Slot& slot) const;
    [[nodiscard]] std::uint64_t connections_of(const Slot& slot) const;
    void give_back_rows(const Slot& slot);
    void fit_number(std::uint64_t now);
    void add_workers(std::uint32_t wanted);
    void end_surplus(std::uint64_t now);
    void tell_crowded(bool on);
    void recycle_if_due(Slot& slot, std::uint64_t now);
    void leave(const ipc::Message& message);
    void publish();
    void publish(const Slot& slot);
    void plan_look();

    Surroundings around_;
    std::function<void()> on_change_;
    std::uint64_t begun_ms_;
    Watchdog watchdog_;
    Adoption adoption_;
    Mode mode_ = Mode::getting_ready;
    bool started_ = false;
    std::optional<std::string> start_failure_;
    std::uint32_t reopens_ = 0;
    std::uint64_t memory_looked_ms_ = 0;
    std::uint64_t surplus_ended_ms_ = 0;
    bool crowded_ = false;
    std::vector<std::unique_ptr<Slot>> slots_;       ///< the seats
    std::vector<std::unique_ptr<Slot>> successors_;  ///< one a seat, at most
    std::vector<std::unique_ptr<Slot>> leaving_;
    std::vector<std::unique_ptr<Slot>> gone_;  ///< ended in a call that is not over yet
    ipc::Event look_;
};

}  // namespace master
