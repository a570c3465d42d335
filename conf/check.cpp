#include "conf/check.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "conf/nearest.h"
#include "conf/plan.h"
#include "conf/units.h"
#include "conf/words.h"

namespace conf {
namespace {

/// The first value that stands twice in `list`, or its end.
template <class List>
auto repeated(const List& list) {
    std::set<typename List::value_type> seen;
    return std::find_if(list.begin(), list.end(), [&](const auto& one) { return !seen.insert(one).second; });
}

/// Empty lists mean "all of them".
bool overlap(const std::vector<std::string>& a, const std::vector<std::string>& b) {
    return a.empty() || b.empty() || std::any_of(a.begin(), a.end(), [&](const auto& one) {
               return std::find(b.begin(), b.end(), one) != b.end();
           });
}

class Checks {
 public:
    Checks(const Config& config, const Origins& origins, Report& report)
        : config_(config), origins_(origins), report_(report) {}

    void run() {
        check_execution(config_, origins_, report_);
        for (std::size_t i = 0; i < config_.servers.size(); ++i) check_server(i);
        for (std::size_t i = 0; i < config_.upstreams.size(); ++i) check_upstream(i);
        for (std::size_t i = 0; i < config_.routes.size(); ++i) check_route(i);
        for (std::size_t i = 0; i < config_.queues.size(); ++i)
            check_wires(config_.queues[i], origins_.queues.at(i));
        check_paths();
    }

 private:
    struct Use {
        std::size_t server;
        const Listen* listen;
        Place place;
    };

    /// Of the servers; the one that `complete` adds stands nowhere.
    [[nodiscard]] const Section* server_origin(std::size_t i) const {
        return i < origins_.servers.size() ? origins_.servers[i] : nullptr;
    }

    void check_server(std::size_t i) {
        const auto& server = config_.servers[i];
        const auto* origin = server_origin(i);
        check_error_pages(server.error_page, origin);
        if (!is_sound(origin, "listen")) return;
        for (std::size_t n = 0; n < server.listen.size(); ++n)
            check_listen(i, server.listen[n], place_of(origin, "listen", n));
        if (is_sound(origin, "name")) check_hosts(i);
    }

    void check_listen(std::size_t i, const Listen& listen, Place place) {
        auto& uses = addresses_[listen.address.text()];
        for (const auto& use : uses) {
            const auto where = report_.refer(use.place, place);
            if (use.server == i)
                return report_.refuse(place, fmt::format("listen: {} stands already in this server, at {}",
                                                         listen.address.text(), where));
            if (use.listen->backlog != listen.backlog)
                return report_.refuse(
                    place, fmt::format("listen: {} has backlog={} here and backlog={} at {}",
                                       listen.address.text(), listen.backlog, use.listen->backlog, where));
            if (use.listen->fallback && listen.fallback)
                return report_.refuse(place, fmt::format("listen: {} has its `default` already, at {}",
                                                         listen.address.text(), where));
        }
        uses.push_back({i, &listen, place});
    }

    /// A request must find one server: no name twice on an address, and one server at most without any.
    void check_hosts(std::size_t i) {
        const auto& server = config_.servers[i];
        const auto* origin = server_origin(i);
        if (const auto twice = repeated(server.hosts); twice != server.hosts.end())
            return report_.refuse(place_of_word(origin, "name", *twice),
                                  fmt::format("name: {} stands twice in this server", *twice));
        const auto hosts = server.hosts.empty() ? std::vector<std::string>{""} : server.hosts;
        for (const auto& host : hosts) {
            for (const auto& listen : server.listen) {
                const auto address = listen.address.text();
                const auto [first, fresh] = hosts_.try_emplace({address, host}, i);
                if (fresh || first->second == i) continue;
                const auto place = place_of_word(origin, "name", host);
                const auto where =
                    report_.refer(place_of_word(server_origin(first->second), "name", host), place);
                report_.refuse(
                    place, host.empty()
                               ? fmt::format("name: none here, and none at {}: both would take all on {}",
                                             where, address)
                               : fmt::format("name: {} is taken on {} already, at {}", host, address, where));
                break;  // once a host is enough
            }
        }
    }

    void check_route(std::size_t i) {
        const auto& route = config_.routes[i];
        const auto* origin = origins_.routes.at(i);
        check_route_servers(route, origin);
        if (route.handler == Route::Handler::proxy) check_upstream(route.proxy.upstream, origin, "proxy");
        check_error_pages(route.error_page, origin);
        if (route.handler == Route::Handler::fanout) check_fanout(route, origin);
        if (route.handler == Route::Handler::fastcgi) {
            check_upstream(route.proxy.upstream, origin, "fastcgi");
            check_cgi(route, origin);
        }
        if (route.handler == Route::Handler::files && !route.files.open_pool.empty())
            check_pool(route.files.open_pool, origin, "open_pool", Pool::Kind::thread);
        if (route.handler == Route::Handler::pool) {
            check_pool(route.pool, origin, "pool", Pool::Kind::process);
            check_cgi(route, origin);
        }
        if (route.handler == Route::Handler::work && !route.work.pool.empty())
            check_work_pool(route.work.pool, origin);
        check_wires(route, origin);
        check_never_shed(route, origin);
        if (const auto twice = repeated(route.methods); twice != route.methods.end())
            report_.refuse(place_of_word(origin, "methods", *twice),
                           fmt::format("methods: {} stands twice", *twice));
        const auto& attempts = route.files.try_list;
        for (std::size_t n = 0; n + 1 < attempts.size(); ++n)
            if (attempts[n].starts_with('='))
                report_.refuse(place_of_word(origin, "try", attempts[n]),
                               fmt::format("try: the status {} may only be the last", attempts[n]));
        if (route.strip_prefix && route.path.kind != PathMatch::Kind::prefix)
            report_.refuse(place_of(origin, "strip_prefix"),
                           "strip_prefix: this route's path is not a prefix");
        if (is_sound(origin, "path") && is_sound(origin, "server") && is_sound(origin, "methods"))
            check_route_path(i);
    }

    void check_route_servers(const Route& route, const Section* origin) {
        std::vector<std::string_view> names;
        for (const auto& server : config_.servers) names.push_back(server.name);
        for (const auto& name : route.servers)
            if (std::find(names.begin(), names.end(), name) == names.end())
                report_.refuse(place_of_word(origin, "server", name),
                               fmt::format("server: there is no [server {}]{}", name, hint(name, names)));
        if (const auto twice = repeated(route.servers); twice != route.servers.end())
            report_.refuse(place_of_word(origin, "server", *twice),
                           fmt::format("server: {} stands twice", *twice));
    }

    /// Who looks after the server must get an answer just when there is too much of everything.
    void check_never_shed(const Route& route, const Section* origin) {
        if (!is_never_shed(route.handler)) return;
        for (const std::string_view key : {"limit_rate", "limit_conn"})
            if (key == "limit_rate" ? route.limit_rate.has_value() : route.limit_conn.has_value())
                report_.refuse(place_of(origin, key),
                               fmt::format("{}: `health`, `status` and `metrics` are never shed", key));
    }

    void check_fanout(const Route& route, const Section* origin) {
        const auto& fanout = route.fanout;
        std::vector<std::string> names;
        for (const auto& part : fanout.parts) {
            check_upstream(part.upstream, origin, "fanout");
            names.push_back(part.name);
        }
        if (const auto twice = repeated(names); twice != names.end())
            report_.refuse(place_of(origin, "fanout"), fmt::format("fanout: two parts are named {}", *twice));
        const auto check_name = [&](const std::string& name, std::string_view key) {
            const std::vector<std::string_view> all(names.begin(), names.end());
            if (std::find(names.begin(), names.end(), name) == names.end())
                report_.refuse(place_of_word(origin, key, name),
                               fmt::format("{}: there is no part {}{}", key, name, hint(name, all)));
        };
        for (const auto& name : fanout.required) check_name(name, "required");
        if (!fanout.header_from.empty()) check_name(fanout.header_from, "header_from");
        if (!names.empty() && fanout.quorum > names.size())
            report_.refuse(place_of(origin, "quorum"), fmt::format("quorum: {} of {} parts is never reached",
                                                                   fanout.quorum, names.size()));
        if (fanout.merge == Merge::first && (!fanout.required.empty() || fanout.quorum != 1))
            report_.refuse(place_of(origin, "merge"), "merge: `first` knows neither `required` nor `quorum`");
    }

    void check_cgi(const Route& route, const Section* origin) {
        const Cgi& cgi = route.cgi;
        const auto is_script = [&](const std::string& name) {
            return std::any_of(cgi.script_extensions.begin(), cgi.script_extensions.end(),
                               [&](const auto& extension) { return name.ends_with(extension); });
        };
        const auto check_script = [&](const std::string& name, std::string_view key) {
            if (name.empty() || !is_sound(origin, "script_extensions")) return;
            if (!is_script(name))
                report_.refuse(place_of(origin, key),
                               fmt::format("{}: {} ends with none of script_extensions", key, name));
        };
        if (!cgi.script_root.empty()) {
            check_script(cgi.script_index, "script_index");
            check_script(cgi.script_fallback, "script_fallback");
        } else if (is_sound(origin, "script_root")) {
            for (const std::string_view key : {"script_peer_root", "script_fallback"})
                if (!(key == "script_fallback" ? cgi.script_fallback : cgi.script_peer_root).empty())
                    report_.refuse(place_of(origin, key),
                                   fmt::format("{}: there is no script_root to look in", key));
        }
        std::vector<std::string> names;
        for (const Header& param : cgi.params) names.push_back(param.name);
        if (const auto twice = repeated(names); twice != names.end())
            report_.refuse(place_of_word(origin, "fastcgi_param", *twice),
                           fmt::format("fastcgi_param: {} stands twice", *twice));
    }

    /// A peer speaks one protocol.
    void check_wires(const Route& route, const Section* origin) {
        if (route.handler == Route::Handler::proxy) check_wire(route.proxy.upstream, origin, "proxy");
        if (route.handler == Route::Handler::fastcgi) check_wire(route.proxy.upstream, origin, "fastcgi");
        if (route.handler == Route::Handler::fanout)
            for (const auto& part : route.fanout.parts) check_wire(part.upstream, origin, "fanout");
    }

    void check_wires(const Queue& queue, const Section* origin) {
        check_wire(queue.upstream.name, origin, "upstream");
        check_wire(queue.callbacks.upstream, origin, "callback_upstream");
    }

    void check_wire(const std::string& name, const Section* origin, std::string_view key) {
        if (name.empty()) return;
        const bool fastcgi = key == "fastcgi";
        const auto place = place_of(origin, key);
        const auto [first, fresh] = wires_.try_emplace(name, fastcgi, place);
        if (fresh && fastcgi) check_health_of_programs(name, place);
        if (fresh || first->second.first == fastcgi || !is_sound(origin, key)) return;
        report_.refuse(place, fmt::format("{}: at {} [upstream {}] is asked by {}", key,
                                          report_.refer(first->second.second, place), name,
                                          fastcgi ? "HTTP" : "FastCGI"));
    }

    void check_health_of_programs(const std::string& name, Place place) {
        for (std::size_t i = 0; i < config_.upstreams.size(); ++i) {
            const auto* origin = origins_.upstreams.at(i);
            if (config_.upstreams[i].name != name || !is_sound(origin, "health") ||
                config_.upstreams[i].health.how != HealthCheck::How::http)
                continue;
            const auto health = place_of(origin, "health");
            report_.refuse(health,
                           fmt::format("health: the peers speak FastCGI, as {} says; write `tcp every 5s`",
                                       report_.refer(place, health)));
        }
    }

    /// `kind`: none is any.
    void check_pool(const std::string& name, const Section* origin, std::string_view key,
                    std::optional<Pool::Kind> kind) {
        if (!is_sound(origin, key)) return;
        std::vector<std::string_view> names;
        for (const auto& pool : config_.pools) names.push_back(pool.name);
        const auto found = std::find(names.begin(), names.end(), name);
        if (found == names.end())
            return report_.refuse(place_of(origin, key),
                                  fmt::format("{}: there is no [pool {}]{}", key, name, hint(name, names)));
        const auto place = static_cast<std::size_t>(found - names.begin());
        if (is_hosted(config_.pools[place]) && is_sound(origins_.pools.at(place), "run"))
            return report_.refuse(
                place_of(origin, key),
                fmt::format("{}: [pool {}] has a run: its threads do jobs, of a [queue]", key, name));
        if (!kind || config_.pools[place].kind == *kind || !is_sound(origins_.pools.at(place), "kind"))
            return;
        const bool threads = kind == Pool::Kind::thread;
        report_.refuse(place_of(origin, key),
                       fmt::format("{}: [pool {}] is of {}, and {} are wanted", key, name,
                                   threads ? "processes" : "threads", threads ? "threads" : "processes"));
    }

    void check_work_pool(const std::string& name, const Section* origin) {
        check_pool(name, origin, "work_pool", std::nullopt);
        for (const auto& pool : config_.pools)
            if (pool.name == name && pool.kind == Pool::Kind::process && pool.run.is_set() &&
                pool.run.kind != PoolRun::Kind::work)
                report_.refuse(
                    place_of(origin, "work_pool"),
                    fmt::format("work_pool: [pool {}] runs something else; write `run = work` there, "
                                "or `kind = thread`",
                                name));
    }

    void check_upstream(const std::string& name, const Section* origin, std::string_view key) {
        if (!is_sound(origin, key)) return;
        std::vector<std::string_view> names;
        for (const auto& upstream : config_.upstreams) names.push_back(upstream.name);
        if (std::find(names.begin(), names.end(), name) == names.end())
            report_.refuse(place_of(origin, key),
                           fmt::format("{}: there is no [upstream {}]{}", key, name, hint(name, names)));
    }

    void check_upstream(std::size_t i) {
        const auto& upstream = config_.upstreams[i];
        const auto* origin = origins_.upstreams.at(i);
        if (is_sound(origin, "hedge_delay_min") && is_sound(origin, "hedge_delay_max") &&
            upstream.hedge.delay_min > upstream.hedge.delay_max)
            report_.refuse(
                place_of(origin, "hedge_delay_min"),
                fmt::format("hedge_delay_min: {} is longer than hedge_delay_max, {}",
                            print_time(upstream.hedge.delay_min), print_time(upstream.hedge.delay_max)));
        if (is_sound(origin, "concurrency_min") && is_sound(origin, "concurrency_max") &&
            upstream.concurrency.min > upstream.concurrency.max)
            report_.refuse(place_of(origin, "concurrency_min"),
                           fmt::format("concurrency_min: {} is more than concurrency_max, {}",
                                       upstream.concurrency.min, upstream.concurrency.max));
        if (!is_sound(origin, "peer")) return;
        if (upstream.peers.empty())
            return report_.refuse(origin->place, fmt::format("{} has no peer", origin->text()));
        if (upstream.resolver.ttl_min > upstream.resolver.ttl_max)
            report_.refuse(place_of(origin, "resolver_ttl_min"),
                           "resolver_ttl_min: is longer than resolver_ttl_max");
        const auto names = std::count_if(upstream.peers.begin(), upstream.peers.end(),
                                         [](const UpstreamPeer& peer) { return peer.is_name(); });
        names_ += static_cast<std::size_t>(names);
        if (names > 0 && names_ > names_max)
            report_.refuse(origin->place,
                           fmt::format("peer: here are {} names, with those before; there may be {}", names_,
                                       names_max));
        std::map<std::string, Place> seen;
        for (std::size_t n = 0; n < upstream.peers.size(); ++n) {
            const auto place = place_of(origin, "peer", n);
            if (upstream.health.port != 0 && upstream.peers[n].address.family == Address::Family::unix_path)
                report_.refuse(place_of(origin, "health"),
                               fmt::format("health: {} has no port", upstream.peers[n].text()));
            const auto [first, fresh] = seen.try_emplace(upstream.peers[n].text(), place);
            if (!fresh)
                report_.refuse(place, fmt::format("peer: {} stands already, at {}", first->first,
                                                  report_.refer(first->second, place)));
        }
    }

    void check_route_path(std::size_t i) {
        const auto& route = config_.routes[i];
        auto& same = paths_[{route.path.kind, route.path.text}];
        for (const auto other : same) {
            const auto& before = config_.routes[other];
            if (!overlap(before.servers, route.servers) || !overlap(before.methods, route.methods)) continue;
            const auto place = place_of(origins_.routes.at(i), "path");
            report_.refuse(place,
                           fmt::format("path: [route {}] at {} takes {} already", before.name,
                                       report_.refer(place_of(origins_.routes.at(other), "path"), place),
                                       shown(route.path.text)));
            break;
        }
        same.push_back(i);
    }

    void check_error_pages(const std::vector<ErrorPage>& pages, const Section* origin) {
        if (!is_sound(origin, "error_page")) return;
        std::map<std::uint16_t, Place> seen;
        for (std::size_t n = 0; n < pages.size(); ++n) {
            const auto place = place_of(origin, "error_page", n);
            for (const auto status : pages[n].statuses) {
                const auto [first, fresh] = seen.try_emplace(status, place);
                if (fresh) continue;
                report_.refuse(place, fmt::format("error_page: {} has its page already, at {}", status,
                                                  report_.refer(first->second, place)));
                break;
            }
        }
    }

    /// One path, one use: a socket or a pid file over a log would destroy it.
    void check_paths() {
        claim(config_.reeve.pid_file, "pid_file", place_of(origins_.reeve, "pid_file"));
        claim(config_.reeve.control, "control", place_of(origins_.reeve, "control"));
        if (!config_.queues.empty()) claim(config_.store.path(), "url", place_of(origins_.store, "url"));
        if (config_.reeve.error_log.path != "stderr")
            claim(config_.reeve.error_log.path, "error_log", place_of(origins_.reeve, "error_log"));
        for (std::size_t i = 0; i < config_.servers.size(); ++i) {
            const auto& server = config_.servers[i];
            claim(server.access_log.path, "access_log", place_of(server_origin(i), "access_log"));
            if (!is_sound(server_origin(i), "listen")) continue;
            for (std::size_t n = 0; n < server.listen.size(); ++n)
                if (server.listen[n].address.family == Address::Family::unix_path)
                    claim(server.listen[n].address.host, "listen", place_of(server_origin(i), "listen", n));
        }
    }

    void claim(const std::string& path, std::string_view key, Place place) {
        if (path.empty()) return;
        const auto [first, fresh] = claims_.try_emplace(path, key, place);
        const auto& [other, there] = first->second;
        if (fresh || other == key || (other == "error_log" && key == "access_log")) return;
        report_.refuse(place, fmt::format("{}: {} is `{}` already, at {}", key, path, other,
                                          report_.refer(there, place)));
    }

    const Config& config_;
    const Origins& origins_;
    Report& report_;
    std::map<std::string, std::vector<Use>> addresses_;                 // address: who listens there
    std::map<std::pair<std::string, std::string>, std::size_t> hosts_;  // address and host: the server
    std::map<std::pair<PathMatch::Kind, std::string>, std::vector<std::size_t>> paths_;  // path: its routes
    std::map<std::string, std::pair<bool, Place>> wires_;  // upstream: FastCGI, and who said so first
    std::size_t names_ = 0;                                // peers that are names, so far
    std::map<std::string, std::pair<std::string_view, Place>> claims_;  // file: key and where
};

}  // namespace

void check(const Config& config, const Origins& origins, Report& report) {
    Checks(config, origins, report).run();
    check_pools(config, origins, report);
    check_modules(config, origins, report);
    check_queues(config, origins, report);
    check_schedules(config, origins, report);
}

Place place_of(const Section* section, std::string_view key, std::size_t nth) {
    if (section == nullptr) return {};
    for (const auto& entry : section->entries)
        if (entry.key == key && !entry.refused && !entry.value.empty() && nth-- == 0) return entry.place;
    return section->place;
}

Place place_of_word(const Section* section, std::string_view key, std::string_view word) {
    Place place = place_of(section, key);
    if (section == nullptr) return place;
    for (const auto& entry : section->entries) {
        if (entry.key != key || entry.refused) continue;
        const auto words = split_words(entry.value);
        if (words && std::any_of(words->begin(), words->end(), [&](const Word& one) {
                return one.text == word || lower_case(one.text) == word;
            }))
            place = entry.place;  // the last: of two, the one too many
    }
    return place;
}

bool is_sound(const Section* section, std::string_view key) {
    return section == nullptr ||
           std::none_of(section->entries.begin(), section->entries.end(),
                        [&](const Entry& entry) { return entry.key == key && entry.refused; });
}

}  // namespace conf
