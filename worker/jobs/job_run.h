// worker/jobs/job_run.h: one attempt at a job: asks who does it, and says what has come of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ipc/event.h"
#include "worker/jobs/job.h"
#include "worker/jobs/progress_lines.h"
#include "worker/jobs/stored_request.h"
#include "worker/jobs/target.h"
#include "worker/jobs/verdict.h"
#include "worker/upstream/call.h"

namespace worker::jobs {

// waiting ──begin──▶ working ──answer, failure──▶ over
//    │                  └──too long, cancelled, given back──▶ ending ──its process is gone──▶ over
//    └──cancelled, given back──▶ over                           └──its thread is done──▶ over
/// Its process is gone when an attempt is over that was ended by us, within bounds: else it could run beside
/// the next attempt. Loop thread only.
/// Where threads share a process it is asked to end first; if it does not within `kill_grace`, all of the
/// process is ended, and who shares it is given back.
class JobRun final : private upstream::Caller, private PoolDoor::Sharer {
 public:
    class Owner {
     public:
        virtual ~Owner() = default;
        /// Its handler has said how far it is.
        virtual void on_progress(std::string text) = 0;
        /// See `verdict`. May come from within `begin` and `end`; the run must live on for the turn.
        virtual void on_run_over() = 0;
    };

    /// All must outlive it.
    JobRun(Target& target, const Claimed& job, Owner& owner);
    JobRun(const JobRun&) = delete;
    JobRun& operator=(const JobRun&) = delete;
    ~JobRun() override;

    /// Of a pool; none: wait.
    [[nodiscard]] std::optional<ipc::PoolTask> take_member() {
        return target_.door->take(*this, job_.crashes > 0);
    }
    /// On a member of the pool; it is given back by the run.
    void begin(const ipc::PoolTask& member);
    /// Where there is no pool.
    void begin();
    /// Whatever it does, it ends so: `cancelled` or `released`.
    void end(Ending ending, std::string_view why);

    enum class Phase : std::uint8_t { waiting, working, ending, over };
    [[nodiscard]] Phase phase() const noexcept { return phase_; }
    /// Once it is over.
    [[nodiscard]] const Verdict& verdict() const noexcept { return verdict_; }
    /// Likewise, of what is done; may be moved away.
    [[nodiscard]] std::string& result() noexcept { return result_; }
    [[nodiscard]] std::string& result_type() noexcept { return result_type_; }
    /// It was longer than the queue's `result_max`.
    [[nodiscard]] bool result_cut() const noexcept { return cut_; }
    /// Likewise, of a job that is a request: how it was answered; see `Finish`.
    [[nodiscard]] std::uint16_t result_status() const noexcept { return result_status_; }
    [[nodiscard]] std::string& result_fields() noexcept { return result_fields_; }
    /// How long its handler had it.
    [[nodiscard]] std::uint64_t worked_us() const noexcept { return worked_us_; }
    /// It never began: nobody could be asked, and it is no use to try before so many seconds; 0: it did.
    [[nodiscard]] std::uint64_t refused_seconds() const noexcept { return refused_seconds_; }

 private:
    void on_connected(const upstream::Peer& peer) override { peer_ = peer.name; }
    void on_interim(const http::ResponseHead&) override {}
    void on_response(const http::ResponseHead& head, http::Framing framing, std::uint64_t length) override;
    void on_payload(std::string_view bytes) override;
    void on_pipe(const connection::Ref<connection::Pipe>&, std::uint64_t) override {}
    void on_end(std::string_view trailers) override;
    void on_drained() override {}
    void on_stderr(std::string_view bytes) override;
    void on_failure(const upstream::Failure& failure) override;

    void on_condemned() override;
    void on_time(short what);
    [[nodiscard]] bool is_of(StoredRequest::Wire wire);
    void ask(const ipc::Ticket& ticket, upstream::Peer* bound);
    void give_up(Verdict verdict, PoolDoor::End how);
    void give_back(PoolDoor::End how);
    void wait_for_process(Verdict verdict);
    [[nodiscard]] bool asked_to_end() const noexcept { return phase_ == Phase::ending && asked_; }
    void over(Verdict verdict);
    [[nodiscard]] observe::ProgramLog::About about() const noexcept;

    Target& target_;
    const Claimed& job_;
    Owner& owner_;
    upstream::Call call_;
    Phase phase_ = Phase::waiting;
    std::string head_, about_;
    connection::Chunk body_;  ///< the job's
    std::string_view peer_;
    std::optional<ipc::PoolTask> member_;
    std::uint64_t begun_us_ = 0, worked_us_ = 0, patient_until_ms_ = 0;
    std::uint64_t refused_seconds_ = 0;
    Verdict verdict_;                       ///< from the head of an answer on what it is to be
    std::optional<StoredRequest> request_;  ///< none: it is a plain POST
    std::string result_, result_type_, result_fields_;
    std::uint16_t result_status_ = 0;
    bool cut_ = false;
    bool asked_ = false;  ///< ending: its thread was asked, and the process is to live on
    ProgressLines progress_;
    observe::ProgramLog::Lines lines_;
    ipc::Event timer_;
};

}  // namespace worker::jobs
