// worker/jobs/keeper_client.h: the way from a loop to the keeper, whichever has the store.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "ipc/event.h"
#include "worker/execution/loop.h"
#include "worker/jobs/frame_socket.h"
#include "worker/jobs/keeping.h"
#include "worker/jobs/watchers.h"

namespace worker::jobs {

// idle ──submit──▶ connected ──breaks──▶ away ──a while──▶ connected      away: nothing waits ──▶ idle
/// What has no answer when the connection breaks is said again on the next one, until its time is over: so
/// keepers may crash and be replaced, and nobody notices. Operations must be such that saying them twice does
/// no harm; a job is known by its id. Loop thread only.
/// While a job is watched it stays connected.
class KeeperClient final : public Keeping, public Watching, private FrameReceiver {
 public:
    struct Terms {
        std::string path;                          ///< of the socket, good in this process
        std::string owner;                         ///< of who runs jobs, and stays connected; empty: nobody
        std::chrono::milliseconds timeout{5'000};  ///< until an operation has failed
        std::size_t operations = 16 * 1024;        ///< that may wait for an answer
        std::size_t bytes = 160u << 20;            ///< of them, as `weight` has it: two of the largest
        std::size_t watchers = 1000;               ///< of jobs
    };

    KeeperClient(execution::Loop& loop, Terms terms);
    KeeperClient(const KeeperClient&) = delete;
    KeeperClient& operator=(const KeeperClient&) = delete;
    ~KeeperClient() override;

    void submit(Operation operation, Answered answered) override;
    [[nodiscard]] bool watch(const std::string& id, JobWatcher& watcher) override;
    void unwatch(const std::string& id, JobWatcher& watcher) noexcept override;
    /// Whoever watches is told that this process takes leave of its clients.
    void take_leave();
    [[nodiscard]] bool leaving() const noexcept override { return leaving_; }
    [[nodiscard]] std::size_t pending() const noexcept { return pending_.size(); }

 private:
    struct Pending {
        Operation operation;
        Answered answered;
        std::uint64_t due_ms = 0;
        std::size_t bytes = 0;
    };

    void on_frame(const Frame& frame) override;
    void on_broken(std::string_view why) override;
    void connect();
    void connect_later();
    /// Somebody waits for the keeper, or it waits for us.
    [[nodiscard]] bool wanted() const noexcept {
        return !pending_.empty() || !terms_.owner.empty() || !watchers_.empty();
    }
    void flush_later();
    void send(std::uint32_t number, const Pending& pending);
    void refuse(Operation&& operation, Answered&& answered, const char* why);
    void end(std::map<std::uint32_t, Pending>::iterator which, const ipc::Error* failure);
    void on_again(short what);
    void on_due(short what);

    execution::Loop& loop_;
    Terms terms_;
    std::unique_ptr<FrameSocket> socket_;
    std::map<std::uint32_t, Pending> pending_;  ///< by number: in the order they were submitted
    std::size_t pending_bytes_ = 0;
    Watchers watchers_;
    std::uint32_t next_number_ = 1;
    std::chrono::milliseconds delay_{0};
    bool flushes_ = false;
    bool had_one_ = false;  ///< connection
    bool leaving_ = false;
    ipc::Event again_, due_;
};

}  // namespace worker::jobs
