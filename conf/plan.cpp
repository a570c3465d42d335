#include "conf/plan.h"

#include <algorithm>

namespace conf {

std::vector<Listen> listen_plan(const Config& config) {
    std::vector<Listen> plan;
    for (const auto& server : config.servers) {
        for (const auto& listen : server.listen) {
            const auto same = [&](const Listen& other) { return other.address == listen.address; };
            if (std::none_of(plan.begin(), plan.end(), same)) plan.push_back(listen);
        }
    }
    return plan;
}

std::vector<bool> never_shed_addresses(const Config& config) {
    std::vector<bool> all;
    for (const auto& listen : listen_plan(config)) {
        bool spared = false;  // a server without routes has nothing to spare
        bool others = false;
        for (const auto& server : config.servers) {
            const auto here = [&](const Listen& one) { return one.address == listen.address; };
            if (std::none_of(server.listen.begin(), server.listen.end(), here)) continue;
            for (const auto& route : config.routes) {
                const auto& names = route.servers;
                if (!names.empty() && std::find(names.begin(), names.end(), server.name) == names.end())
                    continue;
                (is_never_shed(route.handler) ? spared : others) = true;
            }
        }
        all.push_back(spared && !others);
    }
    return all;
}

std::vector<std::string> access_log_paths(const Config& config) {
    std::vector<std::string> paths;
    for (const auto& server : config.servers) {
        const auto& path = server.access_log.path;
        if (!path.empty() && std::find(paths.begin(), paths.end(), path) == paths.end())
            paths.push_back(path);
    }
    return paths;
}

bool spills(const Config& config) {
    return std::any_of(config.routes.begin(), config.routes.end(), [](const Route& route) {
        return route.proxy.buffer_request == Buffering::file ||
               route.proxy.buffer_response == Buffering::file;
    });
}

}  // namespace conf
