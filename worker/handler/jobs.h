// worker/handler/jobs.h: `jobs = on`: what became of jobs, and what is to become of them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "worker/handler/keeper_route.h"

namespace worker::handler {

/// One a route and loop; all paths are below the route's. `openapi.json` among them tells of the others.
class JobsRoute final : public KeeperRoute {
 public:
    /// All must outlive it; see `KeeperRoute`.
    JobsRoute(const conf::Config& config, const conf::Route& route, jobs::Keeping& keeping,
              execution::Loop& loop);

 private:
    void begin(Visit& visit) override;
    void again(Visit& visit) override;

    void get(Visit& visit, std::string_view rest);
    void post(Visit& visit, std::string_view rest);
    void list(Visit& visit);
    void stats(Visit& visit);
    void show(Visit& visit, std::string_view id);
    void look(Visit& visit);
    void on_shown(Visit& visit, const jobs::Get& get);
    void result(Visit& visit, std::uint64_t room);
    void cancel(Visit& visit, std::string_view id);
    void retry(Visit& visit, std::string_view id);
    [[nodiscard]] bool is_configured(std::string_view queue) const noexcept;
    void change_queue(Visit& visit, std::string_view rest);
    void purge(Visit& visit, jobs::Purge purge, std::uint64_t before);

    const conf::Config& config_;
    std::string path_;
};

}  // namespace worker::handler
