// worker/pool/module_member.h: what a process of a pool with `run = module` does with a request: it computes,
// does a job, or runs a handler.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "ipc/in_flight.h"
#include "worker/execution/thread_pool.h"
#include "worker/module/loader.h"
#include "worker/pool/fastcgi_server.h"

namespace worker::pool {

/// Runs `run = module` of a pool. Nobody else is served here, so handlers wait where they stand: what they
/// would await is done when the await is over. Who asked may leave: then nothing behind the next await runs.
class ModuleMember {
 public:
    /// `module` must outlive it. `handler`: whom requests go to, as of `module::Module`. `leave`: as of
    /// `FastcgiServer`. `in_flight` is where it says what it runs; null: nobody watches. `note`: likewise, of
    /// one of several threads, where its crash is to be told from that of another.
    ModuleMember(const module::Module& module, std::string handler, int leave, ipc::InFlight* in_flight,
                 execution::ThreadPool::Note* note = nullptr)
        : module_(module), handler_(std::move(handler)), leave_(leave), in_flight_(in_flight), note_(note) {}

    /// 0.
    [[nodiscard]] std::uint32_t run(FastcgiRequest& request) const;

 private:
    class Running;

    void compute(FastcgiRequest& request, std::string_view function) const;
    void do_job(FastcgiRequest& request, std::string_view function) const;
    void handle(FastcgiRequest& request) const;

    const module::Module& module_;
    std::string handler_;
    int leave_;
    ipc::InFlight* in_flight_;
    execution::ThreadPool::Note* note_;
};

}  // namespace worker::pool
