// worker/pool/module_member.h: what a process of a pool with `run = module` does with a request: it computes,
// or runs a handler.
#pragma once

#include <cstdint>
#include <string>

#include "worker/module/loader.h"
#include "worker/pool/fastcgi_server.h"

namespace worker::pool {

/// Runs `run = module` of a pool. Nobody else is served here, so handlers wait where they stand: what they
/// would await is done when the await is over. Who asked may leave: then nothing behind the next await runs.
class ModuleMember {
 public:
    /// `module` must outlive it. `handler`: whom requests go to, as of `module::Module`. `leave`: as of
    /// `FastcgiServer`.
    ModuleMember(const module::Module& module, std::string handler, int leave)
        : module_(module), handler_(std::move(handler)), leave_(leave) {}

    /// 0.
    [[nodiscard]] std::uint32_t run(FastcgiRequest& request) const;

 private:
    void compute(FastcgiRequest& request, std::string_view function) const;
    void handle(FastcgiRequest& request) const;

    const module::Module& module_;
    std::string handler_;
    int leave_;
};

}  // namespace worker::pool
