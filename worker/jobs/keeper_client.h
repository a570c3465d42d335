// worker/jobs/keeper_client.h: the way from a loop to the keeper, whichever has the store.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "ipc/event.h"
#include "worker/execution/loop.h"
#include "worker/jobs/body_room.h"
#include "worker/jobs/frame_socket.h"
#include "worker/jobs/keeping.h"
#include "worker/jobs/watchers.h"

namespace worker::jobs {

// connected ──breaks──▶ away ──a while, or submit──▶ connected
/// Connected also while nothing is asked: so a keeper knows whether anybody is there who may ask. What has no
/// answer when the connection breaks is said again on the next one, until its time is over: so keepers may
/// crash and be replaced, and nobody notices. Operations must be such that saying them twice does no harm; a
/// job is known by its id. What is late is not begun any more, by any keeper, but for what one has taken
/// already. What only reads has bounds of its own, and little of it is said at a time: what changes something
/// waits behind no more than that. Loop thread only.
class KeeperClient final : public Keeping, public Watching, private FrameReceiver {
 public:
    struct Terms {
        std::string path;                          ///< of the socket, good in this process
        std::string owner;                         ///< of who runs jobs; empty: nobody
        std::chrono::milliseconds timeout{5'000};  ///< until an operation has failed
        std::size_t operations = 16 * 1024;        ///< of each kind that may wait for an answer
        std::size_t bytes = 160u << 20;            ///< of those that change something, as `weight` has it
        std::size_t reading_bytes = 160u << 20;    ///< of those that only read: two of the largest
        std::size_t said_bytes = 8u << 20;         ///< of them that are said at once: others wait their turn
        std::size_t watchers = 1000;               ///< of jobs
        std::uint64_t bodies = 160u << 20;         ///< bytes of bodies that are on their way to it
        /// Of who runs jobs: somebody wants that one ended.
        std::function<void(const std::string& id, std::int64_t fence)> cancel{};
        /// Likewise: there is another connection; what was wished meanwhile, nobody has heard. After the
        /// turn.
        std::function<void()> connected{};
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
    /// For those who are about to ask for jobs.
    [[nodiscard]] BodyRoom& bodies() noexcept { return bodies_; }

 private:
    /// What waits for an answer.
    struct Load {
        std::size_t operations = 0, bytes = 0;
    };
    struct Pending {
        Operation operation;
        Answered answered;
        std::uint64_t due_ms = 0;
        std::size_t bytes = 0;
        bool reads = false;
        bool said = false;      ///< on this connection
        std::uint64_t end = 0;  ///< of its frame, as `FrameSocket::went` counts
    };

    void on_frame(const Frame& frame) override;
    void on_broken(std::string_view why) override;
    void connect();
    void connect_later();
    void flush_later();
    [[nodiscard]] bool may_say(const Pending& pending) const noexcept;
    void write(std::uint32_t number, Pending& pending);
    void say_more();
    void drop_socket();
    void refuse(Operation&& operation, Answered&& answered, const char* why);
    void end(std::map<std::uint32_t, Pending>::iterator which, const ipc::Error* failure);
    void on_again(short what);
    void on_due(short what);

    execution::Loop& loop_;
    Terms terms_;
    std::unique_ptr<FrameSocket> socket_;
    std::map<std::uint32_t, Pending> pending_;  ///< by number: in the order they were submitted
    Load changing_, reading_;
    std::size_t said_bytes_ = 0;      ///< of what only reads
    std::set<std::uint32_t> unsaid_;  ///< likewise: not said on this connection
    Watchers watchers_;
    BodyRoom bodies_;
    std::uint32_t next_number_ = 1;
    std::chrono::milliseconds delay_{0};
    bool flushes_ = false;
    bool had_one_ = false;  ///< connection
    bool leaving_ = false;
    ipc::Event again_, due_;
};

}  // namespace worker::jobs
