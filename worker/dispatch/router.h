// worker/dispatch/router.h: which server and which route a request is for; policy only, no I/O.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "conf/config.h"
#include "worker/dispatch/host_table.h"
#include "worker/dispatch/path_table.h"

namespace worker::dispatch {

/// One of config.servers with the routes that apply to it.
struct VirtualServer {
    std::uint32_t index = 0;  ///< in config.servers
    PathTable paths;
};

/// Built once from a checked configuration, then only read: any thread may ask. Nothing here allocates for a
/// request (RE2 keeps its own bounded cache of automaton states for routes that are regular expressions).
class Router {
 public:
    using Match = dispatch::Match;

    /// `config` must outlive this. `plan` is conf::listen_plan(config): its indices are the addresses below.
    Router(const conf::Config& config, const std::vector<conf::Listen>& plan);
    Router(Router&&) noexcept;
    Router& operator=(Router&&) noexcept;
    ~Router();

    /// `host` without port, in any case; see HostTable for who wins.
    [[nodiscard]] const VirtualServer& server(std::uint32_t address, std::string_view host) const;

    /// `path` normalised (http::Target). A route of the server itself comes before one of every server that
    /// has the same path; see PathTable for the rest.
    [[nodiscard]] Match match(const VirtualServer& server, std::string_view path,
                              std::string_view method) const;

 private:
    void compile(const conf::Config& config);

    std::vector<std::unique_ptr<re2::RE2>> patterns_;  ///< by route; null unless its path is one
    std::vector<VirtualServer> servers_;               ///< by config.servers
    std::vector<HostTable> addresses_;                 ///< by plan
};

}  // namespace worker::dispatch
