// worker/jobs/place.h: one of a queue's places: a job from its claim until its end is stored.
#pragma once

#include <cstdint>
#include <string>

#include "ipc/event.h"
#include "worker/jobs/backoff.h"
#include "worker/jobs/job_run.h"
#include "worker/jobs/keeping.h"

namespace worker::jobs {

/// The end of an attempt is told to the store until that has it, however long it takes: the place is taken
/// for so long, which bounds how many wait. Progress is told once a second at most. Loop thread only.
class Place final : private JobRun::Owner {
 public:
    class Owner {
     public:
        virtual ~Owner() = default;
        /// Who has the store now.
        virtual Keeping& keeping() = 0;
        [[nodiscard]] virtual std::uint64_t random() = 0;
        /// The run is over, and its end about to be told.
        virtual void on_run_over(Place& place) = 0;
        /// It is stored, or the store knows of a later claim. Nothing is under way any more.
        virtual void on_stored(Place& place, const Finish& finish) = 0;
    };

    /// All must outlive it; it must outlive the answers of the keeping it has asked.
    Place(Target& target, Claimed job, Owner& owner);
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    [[nodiscard]] JobRun& run() noexcept { return run_; }
    [[nodiscard]] const Claimed& job() const noexcept { return job_; }
    /// Whether somebody wants it cancelled: whoever has the store knows, and may not have been able to say
    /// so.
    void ask_for_wishes();
    /// So often its end could not be stored.
    [[nodiscard]] std::uint32_t refusals() const noexcept { return refusals_; }

 private:
    void on_progress(std::string text) override;
    void on_run_over() override;

    void on_time(short what);
    void tell_progress();
    void tell_end();
    void on_answer(Operation&& operation, const ipc::Error* failure);
    void leave_if_told();

    Target& target_;
    const Claimed job_;
    Owner& owner_;
    JobRun run_;
    std::string text_;  ///< of progress that is not told yet
    bool news_ = false;
    bool asks_ = false;        ///< for wishes; under way
    bool asks_again_ = false;  ///< nobody has answered
    std::uint64_t told_ms_ = 0;
    Finish finish_;
    bool told_ = false;            ///< the end is stored
    std::uint32_t under_way_ = 0;  ///< operations
    std::uint32_t refusals_ = 0;
    ipc::Event timer_;  ///< for the next progress or question; then for telling the end again
};

}  // namespace worker::jobs
