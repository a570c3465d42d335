#include "worker/pool/threaded_member.h"

#include <fcntl.h>

#include <atomic>
#include <thread>
#include <utility>
#include <vector>

#include "worker/crash_handler.h"
#include "worker/pool/fastcgi_server.h"
#include "worker/pool/module_member.h"

namespace worker::pool {

bool serve_in_threads(const module::Module& module, ipc::UniqueFd listener, int leave, std::uint32_t threads,
                      const std::string& pool) {
    // All wait for the next connection, and one of them gets it.
    if (::fcntl(listener.get(), F_SETFL, O_NONBLOCK) < 0) return false;
    std::atomic<bool> good{true};
    const auto live = [&] {
        ipc::UniqueFd own(::fcntl(listener.get(), F_DUPFD_CLOEXEC, 0));
        execution::ThreadPool::Note note;
        note.pool = pool;
        const NotedPoolThread noted(note);
        const ModuleMember member(module, {}, leave, nullptr, &note);
        FastcgiServer server(std::move(own), leave,
                             [&member](FastcgiRequest& request) { return member.run(request); });
        if (!server.run()) good = false;
    };
    std::vector<std::jthread> all;
    all.reserve(threads);
    for (std::uint32_t number = 0; number < threads; ++number) all.emplace_back(live);
    all.clear();
    return good;
}

}  // namespace worker::pool
