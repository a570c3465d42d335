// master/preloader.cpp: forked as a sentinel is, replaced with growing delays, and cleared away with its
// group.
#include "master/preloader.h"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>
#include <utility>

#include "ipc/clock.h"
#include "master/preloading.h"

namespace master {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kill_delay{1000};  ///< from Stop to KILL
constexpr milliseconds clear_again{10};   ///< until who was killed may be collected

}  // namespace

Preloader::Preloader(const Surroundings& around, Seating seating, std::function<void()> on_change)
    : around_(around),
      seating_(std::move(seating)),
      on_change_(std::move(on_change)),
      slot_(*this, around_.loop, 0, {}, "preloader"),  // it has no row
      timer_(ipc::Event::timer<&Preloader::on_time>(this, around_.loop)),
      clearing_(ipc::Event::timer<&Preloader::on_clear>(this, around_.loop)) {}

void Preloader::start(std::vector<int> keep) {
    if (wanted_) return;
    wanted_ = true;
    keep_ = std::move(keep);
    spawn();
}

void Preloader::stop() {
    wanted_ = false;
    timer_.disarm();
    if (!slot_.running()) return;
    slot_.state = ipc::SlotState::draining;
    slot_.tell(ipc::Stop{});
    timer_.arm(kill_delay);
}

void Preloader::fork(int channel) { slot_.tell(ipc::Fork{}, std::array{channel}); }

void Preloader::give_up() {
    if (!slot_.running() || slot_.state == ipc::SlotState::stuck) return;
    spdlog::error("preloader does not fork in time and is killed pid={}", slot_.pid());
    slot_.state = ipc::SlotState::stuck;
    slot_.signal(SIGKILL);
}

void Preloader::spawn() {
    slot_.state = ipc::SlotState::starting;
    slot_.started_ms = ipc::monotonic_ms();
    slot_.ready_ms = 0;
    auto keep = keep_;
    keep.insert(keep.end(), {around_.logs.error_descriptor(), around_.config});
    const auto spawned =
        slot_.spawn(std::move(keep), [this](ipc::Channel channel) { return run(std::move(channel)); });
    if (!spawned) {
        spdlog::error("preloader cannot be started why={:?}", spawned.error().text());
        settled_ = true;
        respawn_later();
        return on_change_();
    }
    ::setpgid(slot_.pid(), slot_.pid());  // it does so too; whoever is later finds it done
    spdlog::info("preloader started generation={} pid={}", around_.generation, slot_.pid());
    timer_.arm(around_.start_timeout / 2);  // workers, which wait for it, have the other half
}

/// The child's whole life; see `Supervisor::run`.
int Preloader::run(ipc::Channel channel) {
    const pid_t master = ::getppid();
    ::setpgid(0, 0);
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != master) return EXIT_FAILURE;
    around_.title.set("reeve: preloader");
    if (!ipc::open_log(around_.logs.error_log(), "preloader", around_.logs.error_descriptor()))
        return EXIT_FAILURE;
    return preload({.load = around_.load,
                    .config = around_.config,
                    .error_log = around_.logs.error_descriptor(),
                    .keep = keep_,
                    .seating = seating_},
                   std::move(channel));
}

void Preloader::on_time(short) {
    if (!slot_.running()) return spawn();
    if (wanted_)
        spdlog::error("preloader does not get ready in time and is killed pid={}", slot_.pid());
    else
        spdlog::error("preloader does not leave and is killed pid={}", slot_.pid());
    slot_.signal(SIGKILL);
}

void Preloader::on_message(Slot&, const ipc::Message& message) {
    if (std::holds_alternative<ipc::Ready>(message) && slot_.ready_ms == 0) {
        slot_.ready_ms = ipc::monotonic_ms();
        if (!wanted_) return;
        slot_.state = ipc::SlotState::ready;
        settled_ = true;
        timer_.disarm();
        spdlog::info("preloader ready generation={} pid={} loading_ms={}", around_.generation, slot_.pid(),
                     slot_.ready_ms - slot_.started_ms);
        return on_change_();
    }
    if (const auto* failed = std::get_if<ipc::Failed>(&message)) {
        spdlog::error("preloader failed pid={} why={:?}", slot_.pid(), failed->why);
        return;
    }
    slot_.punish("a message that nobody asked for");
}

void Preloader::on_end(Slot&, const Ending& ending) {
    spdlog::log(wanted_ ? spdlog::level::err : spdlog::level::info,
                "preloader {} generation={} pid={} ending={:?}",
                wanted_ ? "died, the master forks meanwhile" : "left", around_.generation, slot_.pid(),
                ending.text());
    timer_.disarm();
    settled_ = true;
    slot_.state = ipc::SlotState::empty;
    group_ = slot_.pid();
    if (wanted_) ++slot_.restarts;
    on_clear(0);
}

/// Who is left in the group was not known to anybody: what is known has been moved out of it.
void Preloader::on_clear(short) {
    ::kill(-group_, SIGKILL);
    for (;;) {
        siginfo_t info{};
        if (::waitid(P_PGID, static_cast<id_t>(group_), &info, WEXITED | WNOHANG) < 0) {
            if (errno == EINTR) continue;
            break;  // there is none
        }
        if (info.si_pid == 0) return clearing_.arm(clear_again);
        spdlog::warn("a process that the preloader forked last is gone with it pid={}", info.si_pid);
    }
    group_ = 0;
    if (wanted_) respawn_later();
    on_change_();
}

pid_t Preloader::dead_child() const {
    siginfo_t info{};
    if (!slot_.running() ||
        ::waitid(P_PGID, static_cast<id_t>(slot_.pid()), &info, WEXITED | WNOHANG | WNOWAIT) < 0)
        return 0;
    return info.si_pid == slot_.pid() ? 0 : info.si_pid;
}

void Preloader::collect(pid_t lost) const {
    siginfo_t info{};
    if (::waitid(P_PID, static_cast<id_t>(lost), &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0) return;
    const bool exited = info.si_code == CLD_EXITED;
    const Ending ending{.signal = exited ? 0 : info.si_status,
                        .status = exited ? info.si_status : 0,
                        .core = info.si_code == CLD_DUMPED};
    spdlog::warn("a process that the preloader forked ended before it was known pid={} ending={:?}", lost,
                 ending.text());
}

/// It is never missed so much that there were no time for a breath.
void Preloader::respawn_later() {
    std::optional<milliseconds> served;
    if (slot_.ready_ms != 0) served = milliseconds(ipc::monotonic_ms() - slot_.ready_ms);
    slot_.state = ipc::SlotState::backing_off;
    timer_.arm(std::max(slot_.backoff.died(served), Backoff::first_delay));
}

}  // namespace master
