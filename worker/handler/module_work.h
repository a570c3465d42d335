// worker/handler/module_work.h: what coroutines of modules wait for, on the server's side.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "conf/config.h"
#include "ipc/event.h"
#include "worker/execution/pool_queue.h"
#include "worker/execution/thread_pools.h"
#include "worker/module/reeve.h"
#include "worker/upstream/call.h"
#include "worker/upstream/upstream.h"

namespace worker::handler {

class ModuleVisit;

/// Owned by the wait in the coroutine's frame until it is over, or given up.
class ModuleWork {
 public:
    ModuleWork(ModuleVisit& visit, reeve::detail::Wait& wait) noexcept : visit_(visit), wait_(&wait) {}
    ModuleWork(const ModuleWork&) = delete;
    ModuleWork& operator=(const ModuleWork&) = delete;
    virtual ~ModuleWork() = default;

    /// False: it is over already.
    [[nodiscard]] virtual bool start() { return true; }
    /// Nobody wants it any more.
    virtual void stop() noexcept {}
    [[nodiscard]] reeve::detail::Wait& wait() const noexcept { return *wait_; }
    void finish();

 protected:
    ModuleVisit& visit_;

 private:
    reeve::detail::Wait* wait_;
};

class ModuleSleep final : public ModuleWork {
 public:
    ModuleSleep(ModuleVisit& visit, reeve::detail::Wait& wait, std::chrono::milliseconds time);
    [[nodiscard]] bool start() override;
    void stop() noexcept override { timer_.disarm(); }

 private:
    void on_time(short what);

    std::chrono::milliseconds time_;
    ipc::Event timer_;
};

/// Work in a thread of a pool.
class ModuleBlocking final : public ModuleWork, private execution::ThreadPool::Errand {
 public:
    ModuleBlocking(ModuleVisit& visit, reeve::detail::Wait& wait, execution::ThreadPool& pool,
                   std::shared_ptr<reeve::detail::Job> job, reeve::detail::Outcome& outcome);
    [[nodiscard]] bool start() override;
    void stop() noexcept override { cancel(); }

 private:
    void on_over(execution::ThreadOutcome outcome) override;

    execution::ThreadPool& pool_;
    std::shared_ptr<reeve::detail::Job> job_;
    reeve::detail::Outcome& outcome_;
};

/// A call to an upstream; of its answer all is collected.
class ModuleFetch final : public ModuleWork, private upstream::Caller {
 public:
    ModuleFetch(ModuleVisit& visit, reeve::detail::Wait& wait, std::string_view upstream,
                const reeve::Question& question, reeve::Answer& answer, reeve::detail::Outcome& outcome);
    [[nodiscard]] bool start() override;
    void stop() noexcept override { call_.cancel(); }

 private:
    void on_connected(const upstream::Peer&) override {}
    void on_interim(const http::ResponseHead&) override {}
    void on_response(const http::ResponseHead& head, http::Framing framing, std::uint64_t length) override;
    void on_payload(std::string_view bytes) override;
    void on_pipe(const connection::Ref<connection::Pipe>&, std::uint64_t) override {}  // never asked for
    void on_end(std::string_view trailers) override;
    void on_drained() override {}
    void on_failure(const upstream::Failure& failure) override;

    [[nodiscard]] bool write_head();
    void fail(int status, std::string_view why);
    void over();

    std::string upstream_;
    const reeve::Question& question_;
    reeve::Answer& answer_;
    reeve::detail::Outcome& outcome_;
    upstream::Call call_;
    std::string head_;
    bool starting_ = false, over_ = false;
};

/// Members of a pool that compute, as a loop asks them.
struct ComputePool {
    ComputePool(const conf::Pool& its_config, execution::PoolQueue& its_queue, const conf::Proxy& its_terms,
                execution::Loop& loop);

    const conf::Pool& config;
    execution::PoolQueue& queue;
    const conf::Proxy terms;
    const conf::Upstream members;
    upstream::Upstream upstream;
};

/// A function's call in a process of a pool.
//  queued ──late, full──▶ over      at work ──whole answer──▶ over, member idle
//    └──member given──▶ at work        ├──too long──▶ over, member overdue   └──it broke, given up──▶
//    doubtful
class ModuleCompute final : public ModuleWork, private upstream::Caller, private execution::PoolWaiter {
 public:
    ModuleCompute(ModuleVisit& visit, reeve::detail::Wait& wait, ComputePool& pool, std::string_view function,
                  std::string_view bytes, std::string& result, reeve::detail::Outcome& outcome);
    ~ModuleCompute() override;
    [[nodiscard]] bool start() override;
    void stop() noexcept override;

 private:
    enum class End : std::uint8_t { whole, overdue, broken };

    void on_member(const ipc::PoolTask& task) override;
    void on_late() override;
    void on_limit(short what);
    void on_connected(const upstream::Peer&) override {}
    void on_interim(const http::ResponseHead&) override {}
    void on_response(const http::ResponseHead& head, http::Framing framing, std::uint64_t length) override;
    void on_payload(std::string_view bytes) override;
    void on_pipe(const connection::Ref<connection::Pipe>&, std::uint64_t) override {}  // never asked for
    void on_end(std::string_view trailers) override;
    void on_drained() override {}
    void on_stderr(std::string_view text) override;
    void on_failure(const upstream::Failure& failure) override;

    void work();
    void give_back(End how) noexcept;
    void over(int status, std::string_view why);
    [[nodiscard]] ipc::PoolTable::Counters& counters() noexcept;

    ComputePool& pool_;
    std::string_view function_, bytes_;  ///< in the frame of who waits
    std::string& result_;
    reeve::detail::Outcome& outcome_;
    upstream::Call call_;
    ipc::PoolTask task_;
    ipc::Event limit_;
    std::string head_;
    std::uint64_t begun_us_ = 0;
    int status_ = 0;
    bool at_work_ = false, starting_ = false, over_ = false;
};

}  // namespace worker::handler
