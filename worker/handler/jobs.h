// worker/handler/jobs.h: `jobs = on`: what became of jobs, and what is to become of them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "ipc/scoreboard.h"
#include "worker/handler/keeper_route.h"
#include "worker/jobs/watching.h"

namespace worker::handler {

/// One a route and loop; all paths are below the route's. `openapi.json` among them tells of the others.
class JobsRoute final : public KeeperRoute {
 public:
    /// All must outlive it; see `KeeperRoute`.
    JobsRoute(const conf::Config& config, const conf::Route& route, jobs::BodyRoom& room,
              jobs::Keeping& keeping, jobs::Watching& watching, execution::Loop& loop,
              const ipc::Scoreboard& board);

 private:
    /// Of a visit that follows a job.
    class Following;

    void begin(Visit& visit) override;

    void get(Visit& visit, std::string_view rest);
    void post(Visit& visit, std::string_view rest);
    void list(Visit& visit);
    void stats(Visit& visit);
    void schedules(Visit& visit);
    void show(Visit& visit, std::string_view id);
    void follow(Visit& visit, std::string_view id);
    void result(Visit& visit, std::uint64_t room);
    void cancel(Visit& visit, std::string_view id);
    void retry(Visit& visit, std::string_view id);
    [[nodiscard]] bool is_configured(std::string_view queue) const noexcept;
    void change_queue(Visit& visit, std::string_view rest);
    void purge(Visit& visit, jobs::Purge purge, std::uint64_t before);

    const conf::Config& config_;
    jobs::Watching& watching_;
    const ipc::Scoreboard& board_;
    std::string path_;
};

}  // namespace worker::handler
