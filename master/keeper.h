// master/keeper.h: keeps alive the one process of a generation that keeps its jobs, and runs them.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "master/companion.h"
#include "master/keeper_socket.h"
#include "master/pools.h"

namespace master {

// getting ready ──serve──▶ keeping ──drain──▶ draining ──its calls are over, and its store has gone on──▶
// gone
//                                                └──alone──▶ leaving ──▶ gone, or killed
/// It is replaced until it is alone, has left by itself, or another one has its store: workers that drain
/// have jobs for it yet.
class Keeper final : private CompanionTrade {
 public:
    /// What it works with; all of it outlives the keeper.
    struct Surroundings {
        Companion::Surroundings process;
        const KeeperSocket& socket;
        std::chrono::milliseconds kill_grace;  ///< the longest of its pools
        Pools* pools;                          ///< of its generation; null: it has none
    };

    /// Takes a row of the scoreboard; fails when there is none. Nothing is forked yet.
    [[nodiscard]] static ipc::Result<std::unique_ptr<Keeper>> make(const Surroundings& around,
                                                                   std::function<void()> on_change);
    Keeper(const Keeper&) = delete;
    Keeper& operator=(const Keeper&) = delete;
    ~Keeper() override;

    void start() { process_.start(); }
    [[nodiscard]] bool started() const noexcept { return served_ || process_.ready(); }
    /// Why the first start cannot succeed: it says so, or dies again and again.
    [[nodiscard]] std::optional<std::string> start_failure() const;
    /// Its generation serves.
    void serve();
    /// Another keeper serves from now on, and is to have the store; or it has another one.
    void succeed(bool other_store);
    /// Jobs of its generation and of older ones come to it: it has the store, or will have it.
    [[nodiscard]] bool keeps() const noexcept { return served_ && !succeeded_; }
    /// Begins no more jobs; those that run may go on for `limit`.
    void drain(std::chrono::milliseconds limit);
    /// No worker of its generation is left, and no older keeper where it `keeps`: it leaves when nothing runs
    /// any more. `hurried`: its pools are, too. Again: sooner.
    void alone(bool hurried);

    void tell(const ipc::Message& message) { process_.tell(message); }
    void reopen(std::uint32_t request) { process_.reopen(request); }
    [[nodiscard]] bool confirmed(std::uint32_t request) const noexcept { return process_.confirmed(request); }
    [[nodiscard]] bool wanted() const noexcept { return process_.wanted(); }
    [[nodiscard]] bool running() const noexcept { return process_.running(); }
    [[nodiscard]] pid_t pid() const noexcept { return process_.pid(); }
    [[nodiscard]] std::uint32_t restarts() const noexcept { return process_.restarts(); }

 private:
    Keeper(const Surroundings& around, std::uint32_t row, std::function<void()> on_change);

    [[nodiscard]] const char* work() const noexcept override { return "keep jobs"; }
    [[nodiscard]] std::vector<int> descriptors() const override;
    void furnish(ipc::Seat& seat) override;
    void on_begun() override;
    void on_ended() override;

    Surroundings around_;
    std::uint32_t row_;
    bool served_ = false, succeeded_ = false;
    std::optional<std::chrono::milliseconds> limit_;  ///< of a drain that has begun
    Companion process_;
};

}  // namespace master
