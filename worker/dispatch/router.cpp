#include "worker/dispatch/router.h"

#include <re2/re2.h>

#include <algorithm>
#include <cstdlib>

namespace worker::dispatch {
namespace {

/// Null when the route's path is no regular expression. One that RE2 refuses never gets past the reader of
/// the configuration; here it would match nothing.
std::unique_ptr<re2::RE2> pattern_of(const conf::Route& route) {
    if (route.path.kind != conf::PathMatch::Kind::regex) return nullptr;
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_never_capture(true);
    return std::make_unique<re2::RE2>(route.path.text, options);
}

bool names(const conf::Route& route, const conf::Server& server) {
    return std::find(route.servers.begin(), route.servers.end(), server.name) != route.servers.end();
}

}  // namespace

Router::Router(const conf::Config& config, const std::vector<conf::Listen>& plan) {
    compile(config);
    for (const conf::Listen& address : plan) {
        HostTable& hosts = addresses_.emplace_back();
        for (const VirtualServer& server : servers_) {
            const conf::Server& written = config.servers[server.index];
            const auto here = [&](const conf::Listen& listen) { return listen.address == address.address; };
            const auto listen = std::find_if(written.listen.begin(), written.listen.end(), here);
            if (listen != written.listen.end()) hosts.add(written, server.index, *listen);
        }
        if (hosts.empty()) std::abort();  // the plan is not this configuration's
    }
}

void Router::compile(const conf::Config& config) {
    for (const conf::Route& route : config.routes) patterns_.push_back(pattern_of(route));
    for (const conf::Server& server : config.servers) {
        VirtualServer& compiled = servers_.emplace_back();
        compiled.index = static_cast<std::uint32_t>(servers_.size() - 1);
        for (const bool own : {true, false}) {
            for (std::uint32_t i = 0; i < config.routes.size(); ++i) {
                const conf::Route& route = config.routes[i];
                if (own ? names(route, server) : route.servers.empty())
                    compiled.paths.add(route, i, patterns_[i].get());
            }
        }
        compiled.paths.finish();
    }
}

Router::Router(Router&&) noexcept = default;
Router& Router::operator=(Router&&) noexcept = default;
Router::~Router() = default;

const VirtualServer& Router::server(std::uint32_t address, std::string_view host) const {
    return servers_[addresses_[address].find(host)];
}

Match Router::match(const VirtualServer& server, std::string_view path, std::string_view method) const {
    return server.paths.match(path, method);
}

}  // namespace worker::dispatch
