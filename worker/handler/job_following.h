// worker/handler/job_following.h: a client follows a job: until it is over or for a while, or from event to
// event.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "worker/handler/jobs.h"
#include "worker/jobs/operations.h"

namespace worker::handler {

constexpr std::string_view event_stream = "text/event-stream";

// looking ──shown──▶ resting ──it changed, or a while──▶ looking;  it is over, or the client's time is ──▶
// ended
/// Whoever has the store tells of changes; it looks by itself now and then, for what nobody tells. Events are
/// those of HTML 9.2: what changes faster than a client takes it is told together, so at most one waits.
class JobsRoute::Following final : public KeeperRoute::Part, private jobs::JobWatcher {
 public:
    /// One answer, once it is over, after `time` at the latest. `visit` has the job's name; all must outlive
    /// it.
    static void wait(JobsRoute& route, Visit& visit, std::chrono::milliseconds time);
    /// An event for each change of its state, its attempts and its progress, and the end of the stream with
    /// it.
    static void stream(JobsRoute& route, Visit& visit);

    ~Following() override;

 private:
    /// What a client was told last.
    struct Told {
        jobs::State state = jobs::State::ready;
        std::uint32_t attempts = 0;
        std::string progress;
        bool cancelling = false;
        bool operator==(const Told&) const = default;
    };

    Following(JobsRoute& route, Visit& visit, bool streams, std::chrono::milliseconds time);

    void on_room() override;
    void on_time() override;
    void on_end() noexcept override;
    void on_changed() override;
    void on_leaving() override;

    void look();
    void on_shown(const jobs::Get& get);
    void on_failed(const ipc::Error& why);
    void show_once(const jobs::Get& get);
    void show_event(const jobs::Get& get);
    void tell(const jobs::View& job, Told now);
    void begin_stream();
    void end_stream();
    void rest();
    void say(std::string_view text);

    JobsRoute& route_;
    Visit& visit_;
    const bool streams_;
    std::uint64_t until_ms_;                ///< of one answer; CLOCK_MONOTONIC
    std::uint64_t said_ms_ = 0;             ///< when the client heard something last; likewise
    std::chrono::milliseconds delay_{0};    ///< from one look to the next
    std::optional<Told> told_;              ///< none: nothing yet
    bool watches_ = false, asked_ = false;  ///< to watch
    bool looking_ = false, again_ = false;  ///< and it has changed meanwhile
    bool stale_ = false;                    ///< there is something to tell, once the client takes it
    bool begun_ = false, ended_ = false;
};

}  // namespace worker::handler
