// worker/pool/cgi.h: a program for each request, as CGI/1.1 has it (RFC 3875).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "conf/pool.h"
#include "worker/pool/fastcgi_server.h"

namespace worker::pool {

/// Runs `run = cgi CMD` of a pool. The program has the request's params and the pool's variables as its
/// environment, the body on its standard input, and what it prints is the answer; what it complains of goes
/// the same way, to the log. Nothing of it is left when its request is over: it has a process group of its
/// own, which gets TERM when whoever asked is gone, and after `kill_grace` KILL.
class Cgi {
 public:
    /// `pool` must outlive it. `leave`: as of `FastcgiServer`.
    Cgi(const conf::Pool& pool, int leave);

    /// Its exit status. Of one that a signal ends there is no whole answer.
    [[nodiscard]] std::uint32_t run(FastcgiRequest& request) const;

 private:
    [[nodiscard]] std::vector<std::string> environment(const FastcgiRequest& request) const;

    const conf::Pool& pool_;
    int leave_;
    std::string program_, folder_;
};

}  // namespace worker::pool
