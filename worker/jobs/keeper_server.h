// worker/jobs/keeper_server.h: takes operations from workers, and from keepers that have no store any more.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ipc/event.h"
#include "worker/execution/loop.h"
#include "worker/jobs/keeping.h"
#include "worker/jobs/tally.h"
#include "worker/jobs/watched_jobs.h"

namespace worker::jobs {

/// Loop thread only. Bounds: clients, what each may have under way, and what it may leave untaken; a client
/// that takes nothing for a while is dropped.
class KeeperServer {
 public:
    struct Bounds {
        std::size_t clients = 4096;
        std::size_t client_operations = 4096;     ///< under way; beyond, nothing more is read
        std::size_t client_unsent = 4u << 20;     ///< bytes of answers; likewise
        std::size_t client_expected = 16u << 20;  ///< bytes that answers to come may have; likewise
        std::size_t client_watches = 4096;        ///< jobs; changes of others are not told
        std::size_t unsent = 256u << 20;          ///< of all, with those to come; beyond, reads are refused
        std::chrono::milliseconds client_stall{10'000};  ///< then it is dropped
    };

    /// All must outlive it. `socket` listens and does not block; it stays the caller's.
    KeeperServer(execution::Loop& loop, Keeping& keeping, Tally& tally, int socket, const Bounds& bounds);
    KeeperServer(const KeeperServer&) = delete;
    KeeperServer& operator=(const KeeperServer&) = delete;
    ~KeeperServer();

    void begin();
    /// Takes no more clients, and nothing more from those it has; they get their answers.
    void pause();
    /// After `pause`: lets those go that run no jobs; the others go on.
    void end_askers();
    /// Lets all of them go: they find their way to whoever listens there now.
    void end();

    /// What those said who are connected and run jobs; see `Claim::owner`. Each once.
    [[nodiscard]] std::vector<std::string> owners() const;
    /// Of that owner: the job is to be ended. It may not be connected, then it asks when it is.
    void cancel(std::string_view owner, std::string_view id, std::int64_t fence);
    /// `told` is called when one is gone.
    void when_one_leaves(std::function<void()> told) { one_left_ = std::move(told); }
    /// `told` is called when one that runs jobs is gone; it may be back in a moment.
    void when_owner_leaves(std::function<void()> told) { owner_left_ = std::move(told); }
    /// It is stored: clients hear of it that watch the jobs it changed.
    void note(const Operation& stored) { watched_.note(stored); }
    [[nodiscard]] std::size_t clients() const noexcept { return clients_.size(); }

 private:
    class Client;

    void on_connection(short what);
    void on_look(short what);
    void on_again(short what);
    void drop(Client& client);
    [[nodiscard]] std::size_t unsent() const noexcept;

    execution::Loop& loop_;
    Keeping& keeping_;
    Tally& tally_;
    int socket_;
    Bounds bounds_;
    bool paused_ = false;
    WatchedJobs watched_;
    std::vector<std::shared_ptr<Client>> clients_;
    /// Queue and idempotency key of jobs that are being stored, and the job's id.
    std::map<std::pair<std::string, std::string>, std::string> in_flight_;
    std::function<void()> owner_left_, one_left_;
    ipc::Event connection_, look_, again_;
};

}  // namespace worker::jobs
