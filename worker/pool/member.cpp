#include "worker/pool/member.h"

#include <signal.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <utility>

#include "worker/crash_handler.h"
#include "worker/pool/cgi.h"
#include "worker/pool/fastcgi_server.h"
#include "worker/pool/module_member.h"
#include "worker/pool/threaded_member.h"
#include "worker/pool/work.h"

namespace worker::pool {
namespace {

/// To the master, as a worker does.
void introduce(const module::Module& module, ipc::MemberVitals& vitals) {
    vitals.modules.set(module.name());
    know_objects(ObjectMap::of_process(std::array{ObjectMap::Named{module.name(), module.inside()}}));
}

}  // namespace

int serve(const conf::Config& config, ipc::PoolSeat seat) {
    const auto pool = std::find_if(config.pools.begin(), config.pools.end(),
                                   [&](const conf::Pool& one) { return one.name == seat.pool; });
    if (pool == config.pools.end()) {
        std::fprintf(stderr, "reeve: there is no pool %s\n", seat.pool.c_str());
        return EXIT_FAILURE;
    }
    ::signal(SIGPIPE, SIG_IGN);
    sigset_t leaving;
    ::sigemptyset(&leaving);
    ::sigaddset(&leaving, SIGTERM);
    ::sigprocmask(SIG_BLOCK, &leaving, nullptr);
    const ipc::UniqueFd leave(::signalfd(-1, &leaving, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!leave) {
        std::perror("reeve: signalfd");
        return EXIT_FAILURE;
    }
    FastcgiServer::Handle handle;
    std::optional<Cgi> cgi;
    std::optional<module::Module> module;
    std::optional<ModuleMember> computer;
    if (pool->run.kind == conf::PoolRun::Kind::module) {
        const conf::Module its = conf::module_of(*pool, config.modules);
        auto* const vitals = seat.vitals;
        if (vitals != nullptr) {
            note_crashes(vitals->crash, ObjectMap::of_process({}));  // before a runtime of the module's own
            vitals->in_flight.begin({}, its.name);
        }
        auto loaded = module::Module::load(its, false);
        if (vitals != nullptr) vitals->in_flight.end();
        if (!loaded) {
            std::fprintf(stderr, "reeve: module %s: %s\n", pool->run.command.front().c_str(),
                         loaded.error().text().c_str());
            return EXIT_FAILURE;
        }
        module.emplace(std::move(*loaded));
        if (vitals != nullptr) introduce(*module, *vitals);
        computer.emplace(*module, conf::module_handler_of(*pool), leave.get(),
                         vitals != nullptr ? &vitals->in_flight : nullptr);
        handle = [&computer](FastcgiRequest& request) { return computer->run(request); };
        if (conf::is_hosted(*pool))
            return serve_in_threads(*module, std::move(seat.listener), leave.get(),
                                    conf::thread_number(*pool).begin, pool->name)
                       ? EXIT_SUCCESS
                       : EXIT_FAILURE;
    } else if (pool->run.kind == conf::PoolRun::Kind::work) {
        handle = work;
    } else {
        cgi.emplace(*pool, leave.get());
        handle = [&cgi](FastcgiRequest& request) { return cgi->run(request); };
    }
    FastcgiServer server(std::move(seat.listener), leave.get(), std::move(handle));
    return server.run() ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace worker::pool
