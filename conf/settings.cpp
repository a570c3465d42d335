#include "conf/settings.h"

#include <fmt/format.h>

#include "conf/address.h"
#include "conf/cgi_types.h"
#include "conf/http_types.h"
#include "conf/limit_types.h"
#include "conf/models.h"
#include "conf/module_types.h"
#include "conf/pool_types.h"
#include "conf/queue_types.h"
#include "conf/types.h"
#include "conf/upstream_types.h"
#include "conf/work_types.h"

namespace conf {
namespace {

using namespace std::chrono_literals;
using Handler = Route::Handler;

constexpr std::uint64_t kib = 1024, mib = 1024 * kib, gib = 1024 * mib;
constexpr Milliseconds day = 24h;
constexpr std::uint64_t many = 1'000'000'000;

// Bounds that a server and its routes share.
constexpr Size body_size{0, 1024 * gib};
constexpr Time wait_time{1ms, day};
constexpr Time keepalive_time{0ms, day};
constexpr Number<std::uint64_t> keepalive_number{1, many};

/// The row is used by one handler only.
Setting<Route> used_by(Handler handler, Setting<Route> row) {
    row.used_by = {handler};
    return row;
}

/// The row chooses the handler, and reads as a value only where it did.
Setting<Route> choosing(Handler handler, Setting<Route> row) {
    row.used_by = {handler};
    row.is_handler = true;
    row.write = [handler, write = std::move(row.write)](const Route& route) {
        return route.handler == handler ? write(route) : std::vector<std::string>();
    };
    return row;
}

/// Status and body of a Respond, which has its type from another row.
struct RespondParts {
    auto operator()(Route& route) const { return std::tie(route.respond.status, route.respond.body); }
    auto operator()(const Route& route) const { return std::tie(route.respond.status, route.respond.body); }
};

/// A row that holds no value: `status = on`, `metrics = on`.
struct NothingHeld {
    auto operator()(const Route&) const { return On::Nothing{}; }
};

Setting<Route> strip_prefix_setting() {
    auto row = scalar<Route>("strip_prefix", &Route::strip_prefix, Switch{},
                             "on: what follows the route's path counts, not all of the path");
    row.used_by = {Handler::files, Handler::proxy, Handler::fastcgi, Handler::pool};
    return row;
}

template <class Section>
std::string default_of(const Setting<Section>& row, const Section& section) {
    return fmt::format("{}", fmt::join(row.write(section), " "));
}

template <class Section>
void describe(std::string_view kind, const Settings<Section>& rows, const Section& defaults,
              std::vector<Described>& all) {
    for (const auto& row : rows)
        all.push_back(
            {kind, row.key, row.comment, row.is_handler ? std::string() : default_of(row, defaults)});
}

Choice<Model> model_names() {
    Choice<Model> names;
    for (const NamedModel& each : models()) names.names.emplace_back(each.name, each.model);
    return names;
}

Server default_server() {
    Server server;
    server.listen.push_back({{Address::Family::ipv4, "127.0.0.1", 8080}});
    return server;
}

}  // namespace

const Settings<Reeve>& reeve_settings() {
    static const Settings<Reeve> rows{
        scalar<Reeve>("user", &Reeve::user, UserName{},
                      "whom workers run as when the master is root; www-data unless set"),
        scalar<Reeve>("pid_file", &Reeve::pid_file, Path{true}, "holds the pid of the master that serves"),
        scalar<Reeve>("control", &Reeve::control, Path{true, socket_path_bytes_max},
                      "Unix socket of `reeve -s` and `reeve status`"),
        scalar<Reeve>(
            "error_log", &Reeve::error_log, ErrorLogType{},
            "stderr or a path, and from which level on: trace, debug, info, warn, error, critical, off"),
        scalar<Reeve>("error_log_format", &Reeve::error_log_format,
                      Choice<LogFormat>{{{"text", LogFormat::text}, {"json", LogFormat::json}}},
                      "text or json"),
        scalar<Reeve>("daemon", &Reeve::daemon, Switch{},
                      "on: leave the terminal once every worker is ready"),
        scalar<Reeve>("start_timeout", &Reeve::start_timeout, Time{1ms, day}, "until every worker is ready"),
        scalar<Reeve>("shutdown_timeout", &Reeve::shutdown_timeout, Time{1ms, day},
                      "how long a drain may take"),
        scalar<Reeve>("drain_delay", &Reeve::drain_delay, Time{0ms, day},
                      "on QUIT `ready` says no for so long before connections are refused; 0: not at all"),
        scalar<Reeve>("watchdog", &Reeve::watchdog, Time{100ms, day},
                      "a worker silent for so long is ended and replaced"),
        scalar<Reeve>("slow_loop", &Reeve::slow_loop, Time{1ms, day},
                      "a turn of a worker's loop that lasts longer is logged, with its route"),
        scalar<Reeve>("generations_max", &Reeve::generations_max, Number<std::uint32_t>{1, 16},
                      "old generations that may drain at once; beyond it the oldest is ended"),
        scalar<Reeve>("upgrade", &Reeve::upgrade,
                      Choice<Upgrade>{{{"auto", Upgrade::unattended}, {"manual", Upgrade::manual}}},
                      "after USR2: auto, the old master drains and ends; manual, it waits for QUIT or HUP"),
        scalar<Reeve>("open_files", &Reeve::open_files, Number<std::uint64_t>{64, many, "auto"},
                      "descriptors a worker may have; auto: as many as the system lets"),
        scalar<Reeve>("core_max", &Reeve::core_max, Optional<Size>{{0, 1024 * gib}},
                      "bytes of a core file; 0: none is written; as inherited unless set"),
        scalar<Reeve>("sandbox", &Reeve::sandbox, Switch{},
                      "on: a worker may only use the system calls it needs"),
    };
    return rows;
}

const Settings<Execution>& execution_settings() {
    static const Settings<Execution> rows{
        scalar<Execution>("model", &Execution::model, model_names(),
                          "what the next settings are unless they are set: single, acceptor, pool, readers, "
                          "message, threads, event, process"),
        scalar<Execution>("workers", &Execution::workers, Number<std::uint32_t>{1, 256, "auto"},
                          "worker processes, 1 to 256; auto: one a CPU"),
        scalar<Execution>("loops", &Execution::loops, Number<std::uint32_t>{1, 64, "auto"},
                          "event loops a worker, 1 to 64, each on a thread; auto: one a CPU"),
        scalar<Execution>(
            "accept", &Execution::accept,
            Choice<Accept>{
                {{"reuseport", Accept::reuseport}, {"shared", Accept::shared}, {"handoff", Accept::handoff}}},
            "reuseport: a socket a loop; shared: one socket for all; handoff: a loop of its own "
            "accepts for those of its worker"),
        scalar<Execution>("handoff", &Execution::handoff,
                          Choice<Handoff>{{{"round_robin", Handoff::round_robin},
                                           {"least_connections", Handoff::least_connections}}},
                          "which loop gets a connection, with accept = handoff and without concurrency: "
                          "round_robin, least_connections"),
        scalar<Execution>("concurrency", &Execution::concurrency, Number<std::uint32_t>{1, 1'000'000, "off"},
                          "requests a loop serves at once, or off; those beyond wait"),
        scalar<Execution>("queue", &Execution::queue, Number<std::uint32_t>{0, 1'000'000},
                          "so many may wait for a loop or a thread that is free; beyond: 503"),
        scalar<Execution>("queue_timeout", &Execution::queue_timeout, Time{1ms, day},
                          "and no longer than this; then 503"),
        scalar<Execution>("handlers", &Execution::handlers,
                          Choice<Handlers>{{{"inline", Handlers::inlined}, {"threads", Handlers::threads}}},
                          "inline: handlers run on the loop; threads: those that answer in one go run on "
                          "threads beside it"),
        scalar<Execution>("threads", &Execution::threads, Number<std::uint32_t>{1, 256},
                          "such threads, of each loop"),
        scalar<Execution>(
            "processes_max", &Execution::processes_max, Number<std::uint32_t>{1, 256, "off"},
            "a worker serves one connection at a time, and there are as many workers as it takes, "
            "up to this; or off"),
        scalar<Execution>("spares_min", &Execution::spares_min, Number<std::uint32_t>{1, 256},
                          "idle workers that are kept at hand, with processes_max"),
        scalar<Execution>("spares_max", &Execution::spares_max, Number<std::uint32_t>{1, 256},
                          "idle workers beyond these end, one a second"),
        scalar<Execution>("cpu_affinity", &Execution::cpu_affinity,
                          Choice<bool>{{{"off", false}, {"auto", true}}},
                          "auto: each worker, or each of its loops, stays on a CPU of its own; off"),
        scalar<Execution>("preload", &Execution::preload, Switch{},
                          "on: configuration and modules are loaded once, by a process that forks the "
                          "workers, and workers share that memory; off: each loads them"),
        scalar<Execution>("max_requests", &Execution::max_requests, Number<std::uint64_t>{1, many, "off"},
                          "a worker is replaced after about so many requests, or off"),
        scalar<Execution>("max_memory", &Execution::max_memory, Size{0, 1024 * gib},
                          "a worker is replaced when it holds more memory; 0: never"),
        scalar<Execution>("open_file_cache", &Execution::open_file_cache,
                          Number<std::uint32_t>{1, 10'000'000, "off"},
                          "open files each worker remembers, or off"),
        scalar<Execution>("open_file_cache_valid", &Execution::open_file_cache_valid, Time{0ms, day},
                          "a remembered file is looked at again after this; 0: at every use"),
        scalar<Execution>("open_file_cache_inactive", &Execution::open_file_cache_inactive, Time{1ms, day},
                          "a file not used for so long is forgotten"),
        scalar<Execution>("open_file_cache_memory", &Execution::open_file_cache_memory, Size{0, 1024 * gib},
                          "contents each worker keeps in memory, at most; 0: none"),
        scalar<Execution>("open_file_cache_small", &Execution::open_file_cache_small, Size{0, gib},
                          "larger files are not kept in memory; 0: none is"),
        scalar<Execution>("buffer_path", &Execution::buffer_path, Path{},
                          "folder of the files of bodies that routes buffer"),
        scalar<Execution>("buffer_memory_total", &Execution::buffer_memory_total, Size{mib, 1024 * gib},
                          "bytes of all buffered bodies that each worker keeps in memory"),
        scalar<Execution>("buffer_file_total", &Execution::buffer_file_total, Size{mib, 1024 * gib},
                          "and in files"),
    };
    return rows;
}

const Settings<Server>& server_settings() {
    const auto limit = [](auto member) { return in(&Server::limits, member); };
    static const Settings<Server> rows{
        list<Server>("listen", &Server::listen, ListenType{},
                     "HOST:PORT, PORT, [IPV6]:PORT or unix:PATH; options backlog=N, default"),
        list<Server>("name", &Server::hosts, HostNames{},
                     "host names it answers to, also *.example.org and example.*; none: any"),
        scalar<Server>("access_log", &Server::access_log, AccessLogType{},
                       "off, or a path (stdout, stderr) and combined, json or a text with $variables"),
        scalar<Server>("header_max", limit(&Limits::header_max), Size{512, 16 * mib},
                       "bytes of request line and header; beyond: 431"),
        scalar<Server>("uri_max", limit(&Limits::uri_max), Size{64, 16 * mib},
                       "bytes of the request target; beyond: 414"),
        scalar<Server>("body_max", limit(&Limits::body_max), body_size,
                       "bytes of a request body; beyond: 413; 0: no limit"),
        scalar<Server>("header_timeout", limit(&Limits::header_timeout), wait_time,
                       "from the first byte to the end of the header; then 408"),
        scalar<Server>("body_timeout", limit(&Limits::body_timeout), wait_time,
                       "between two reads of the body"),
        scalar<Server>("send_timeout", limit(&Limits::send_timeout), wait_time,
                       "between two writes of the response"),
        scalar<Server>("keepalive_timeout", limit(&Limits::keepalive_timeout), keepalive_time,
                       "how long an idle connection is kept; 0: no keep-alive"),
        scalar<Server>("keepalive_requests", limit(&Limits::keepalive_requests), keepalive_number,
                       "requests a connection may bring"),
        scalar<Server>("connections_max", limit(&Limits::connections_max),
                       Number<std::uint64_t>{1, 10'000'000},
                       "connections a worker holds; the largest of all servers counts"),
        list<Server>("add_header", &Server::add_header, HeaderType{},
                     "`Name: value`, added to every response"),
        list<Server>("error_page", &Server::error_page, ErrorPageType{},
                     "`404 500 /page.html`: statuses 400 to 599 and the path to serve instead"),
    };
    return rows;
}

const Settings<Upstream>& upstream_settings() {
    const auto breaker = [](auto member) { return in(&Upstream::breaker, member); };
    const auto hedge = [](auto member) { return in(&Upstream::hedge, member); };
    const auto concurrency = [](auto member) { return in(&Upstream::concurrency, member); };
    const auto resolver = [](auto member) { return in(&Upstream::resolver, member); };
    static const Settings<Upstream> rows{
        list<Upstream>(
            "peer", &Upstream::peers, PeerType{},
            "HOST:PORT, [IPV6]:PORT, NAME:PORT, _SERVICE._tcp.NAME or unix:PATH; options weight=N, "
            "backup, down, max_conns=N, peers_max=N"),
        list<Upstream>(
            "resolver", resolver(&Resolver::servers), NameServers{},
            "name servers for peers that are names: 10.0.0.2 127.0.0.1:5353; none: /etc/resolv.conf"),
        scalar<Upstream>("resolver_families", resolver(&Resolver::families),
                         Choice<Resolver::Families>{{{"any", Resolver::Families::any},
                                                     {"ipv4", Resolver::Families::ipv4},
                                                     {"ipv6", Resolver::Families::ipv6}}},
                         "which addresses of a name are used: any, ipv4, ipv6"),
        scalar<Upstream>("resolver_timeout", resolver(&Resolver::timeout), Time{50ms, 1min},
                         "of one question to one name server; each is asked twice"),
        scalar<Upstream>("resolver_ttl_min", resolver(&Resolver::ttl_min), Time{100ms, day},
                         "an answer is good for so long at least, whatever its TTL"),
        scalar<Upstream>("resolver_ttl_max", resolver(&Resolver::ttl_max), Time{100ms, day}, "and at most"),
        scalar<Upstream>(
            "balance", &Upstream::balance, BalanceType{},
            "who is next: round_robin, least_conn, random_two, or hash and a text with $variables"),
        scalar<Upstream>("keepalive", &Upstream::keepalive, Number<std::uint32_t>{0, 100'000},
                         "idle connections a worker keeps, over all peers; 0: none"),
        scalar<Upstream>("keepalive_timeout", &Upstream::keepalive_timeout, wait_time,
                         "how long an idle connection is kept"),
        scalar<Upstream>("keepalive_requests", &Upstream::keepalive_requests, keepalive_number,
                         "requests a connection may carry"),
        scalar<Upstream>("eject_failures", &Upstream::eject_failures, Number<std::uint32_t>{0, 1'000'000},
                         "failures in a row after which a peer is not asked for a while; 0: it always is"),
        scalar<Upstream>("eject_time", &Upstream::eject_time, wait_time, "how long; never all peers at once"),
        scalar<Upstream>("health", &Upstream::health, HealthCheckType{},
                         "how peers are checked: `GET /healthz every 5s`, `tcp every 1s`, then options; off"),
        scalar<Upstream>(
            "slow_start", &Upstream::slow_start, Time{0ms, day},
            "the share of a peer that is up again grows from a tenth to all in so long; 0: at once"),
        scalar<Upstream>("breaker_failures", breaker(&Breaker::failures), Number<std::uint32_t>{0, 1'000'000},
                         "failures in a row, over all workers, that open the breaker; 0: these do not"),
        scalar<Upstream>("breaker_failure_percent", breaker(&Breaker::failure_percent),
                         Number<std::uint32_t>{0, 100},
                         "failures of 100 calls that open it; 0: these do not"),
        scalar<Upstream>("breaker_slow_percent", breaker(&Breaker::slow_percent),
                         Number<std::uint32_t>{0, 100}, "slow calls of 100 that open it; 0: these do not"),
        scalar<Upstream>("breaker_slow", breaker(&Breaker::slow), wait_time,
                         "a call that takes longer is slow"),
        scalar<Upstream>("breaker_window", breaker(&Breaker::window), Time{100ms, day},
                         "percentages are of the calls of so long"),
        scalar<Upstream>("breaker_calls_min", breaker(&Breaker::calls_min), Number<std::uint32_t>{1, 8191},
                         "and mean nothing with fewer calls"),
        scalar<Upstream>("breaker_reset", breaker(&Breaker::reset), wait_time,
                         "how long it stays open, and up to a tenth more; then probes are let through"),
        scalar<Upstream>("breaker_probes", breaker(&Breaker::probes), Number<std::uint32_t>{1, 16},
                         "so many at once, over all workers; as many successes close it"),
        scalar<Upstream>(
            "breaker_on", breaker(&Breaker::on), BreakerOnType{},
            "failures besides connecting and resets: timeout, gateway (502 503 504), server (other 5xx); "
            "none"),
        scalar<Upstream>("sticky", &Upstream::sticky, StickyType{},
                         "a client stays with the peer that answered it first, by a cookie; off"),
        scalar<Upstream>(
            "hedge", hedge(&Hedge::on), Switch{},
            "on: a call that takes longer than most goes to another peer too, where asking twice "
            "is safe"),
        scalar<Upstream>("hedge_delay_min", hedge(&Hedge::delay_min), wait_time,
                         "after the time in which 95 of 100 answers began, but not sooner than this"),
        scalar<Upstream>("hedge_delay_max", hedge(&Hedge::delay_max), wait_time,
                         "nor later; also while too few answers are known"),
        scalar<Upstream>("hedge_budget", hedge(&Hedge::budget), Number<std::uint32_t>{1, 100},
                         "copies of 100 calls, at most"),
        scalar<Upstream>("hedge_max", hedge(&Hedge::max), Number<std::uint32_t>{1, 1'000'000},
                         "copies under way at once, over all workers"),
        scalar<Upstream>("concurrency", concurrency(&Concurrency::adaptive),
                         Choice<bool>{{{"off", false}, {"adaptive", true}}},
                         "adaptive: as many calls wait for an answer at once as it takes before answers "
                         "become late; beyond: 503"),
        scalar<Upstream>("concurrency_min", concurrency(&Concurrency::min), Number<std::uint32_t>{1, 100'000},
                         "so many always may, over all workers"),
        scalar<Upstream>("concurrency_max", concurrency(&Concurrency::max), Number<std::uint32_t>{1, 100'000},
                         "and never more than so many"),
        scalar<Upstream>("concurrency_tolerance", concurrency(&Concurrency::tolerance),
                         Number<std::uint32_t>{10, 1000},
                         "percent: answers that take so much longer than without a queue are late"),
    };
    return rows;
}

const Settings<Module>& module_settings() {
    static const Settings<Module> rows{
        scalar<Module>("path", &Module::path, Path{}, "the shared object"),
        list<Module>("option", &Module::options, VariableType{}, "NAME=VALUE: what the module asks for"),
        scalar<Module>("sandbox", &Module::sandbox, Switch{},
                       "on: it needs no system calls but those of workers, which keep their sandbox"),
    };
    return rows;
}

const Settings<Route>& route_settings() {
    const auto files = [](auto row) { return used_by(Handler::files, std::move(row)); };
    const auto proxy = [](auto row) { return used_by(Handler::proxy, std::move(row)); };
    const auto passing = [](auto row) {
        row.used_by = {Handler::proxy, Handler::fanout};
        return row;
    };
    const auto asking = [](auto row) {
        row.used_by = {Handler::proxy, Handler::fanout, Handler::fastcgi, Handler::module};
        return row;
    };
    const auto answered = [](auto row) {  // by others than us
        row.used_by = {Handler::proxy, Handler::fanout, Handler::fastcgi, Handler::pool};
        return row;
    };
    const auto held = [](auto row) {  // by us, for others
        row.used_by = {Handler::proxy, Handler::fanout, Handler::fastcgi, Handler::pool, Handler::module};
        return row;
    };
    const auto hiding = [](auto row) {
        row.used_by = {Handler::proxy, Handler::fastcgi, Handler::pool};
        return row;
    };
    const auto cgi = [](auto row) {
        row.used_by = {Handler::fastcgi, Handler::pool};
        return row;
    };
    const auto job = [](auto row) {
        row.used_by = {Handler::jobs, Handler::enqueue};
        return row;
    };
    const auto later = [](auto row) {
        row.used_by = {Handler::proxy, Handler::pool};
        return row;
    };
    const auto program = [](auto member) { return in(&Route::cgi, member); };
    const auto fanout = [](auto row) { return used_by(Handler::fanout, std::move(row)); };
    const auto fan = [](auto member) { return in(&Route::fanout, member); };
    const auto of = [](auto member) { return in(&Route::proxy, member); };
    const auto limit = [](auto member) { return in(&Route::limits, member); };
    const Choice<Buffering> buffering{{{"off", Buffering::off},
                                       {"memory", Buffering::memory},
                                       {"file", Buffering::file},
                                       {"auto", Buffering::by_handler}}};
    static const Settings<Route> rows{
        list<Route>("server", &Route::servers, SectionNames{}, "servers it belongs to; none: every server"),
        scalar<Route>("path", &Route::path, PathMatchType{},
                      "/prefix/ (the longest wins), `= /exact`, or `~ REGEX` (RE2)"),
        list<Route>("methods", &Route::methods, Methods{}, "methods it takes; none: what the handler knows"),

        choosing(Handler::files, scalar<Route>("files", in(&Route::files, &Files::root), Path{},
                                               "handler: serves the files below this folder")),
        files(list<Route>("index", in(&Route::files, &Files::index), IndexNames{},
                          "files that stand for their folder, first found; off: none", "off")),
        files(list<Route>("try", in(&Route::files, &Files::try_list), TryList{},
                          "paths tried in turn, `$path $path.html /index.html`; the last may be =404")),
        files(scalar<Route>("autoindex", in(&Route::files, &Files::autoindex),
                            Choice<Autoindex>{{{"off", Autoindex::off},
                                               {"html", Autoindex::html},
                                               {"json", Autoindex::json},
                                               {"on", Autoindex::html}}},
                            "list folders without an index: off, html (or on), json")),
        files(scalar<Route>("symlinks", in(&Route::files, &Files::symlinks), Switch{},
                            "on: follow symbolic links that leave the folder")),
        files(scalar<Route>("dotfiles", in(&Route::files, &Files::dotfiles), Switch{},
                            "on: serve names that begin with a dot")),
        files(scalar<Route>("precompressed", in(&Route::files, &Files::precompressed), Switch{},
                            "send .br, .zst and .gz siblings to whoever takes them")),
        files(scalar<Route>("expires", in(&Route::files, &Files::expires), Optional<Time>{{0ms, 3650 * day}},
                            "how long a client may keep a file: max-age and Expires; 0: not at all")),
        files(scalar<Route>("cache_control", in(&Route::files, &Files::cache_control), FieldValue{},
                            "the value of Cache-Control as it stands")),
        files(
            scalar<Route>("open_pool", in(&Route::files, &Files::open_pool), SectionName{},
                          "pool of threads that looks for files that are not in the cache; unset: the loop")),

        strip_prefix_setting(),

        choosing(Handler::respond,
                 scalar<Route>("respond", RespondParts{}, RespondType{},
                               "handler: answers with a status and a text, `200 \"text\"`")),
        used_by(Handler::respond, scalar<Route>("content_type", in(&Route::respond, &Respond::type),
                                                FieldValue{}, "the type of that text")),
        choosing(
            Handler::redirect,
            scalar<Route>("redirect", &Route::redirect, RedirectType{},
                          "handler: sends to another place, `301 https://$host$uri`; 302 without a status")),
        choosing(Handler::proxy, scalar<Route>("proxy", of(&Proxy::upstream), SectionName{},
                                               "handler: passes requests on to this upstream")),
        asking(scalar<Route>("connect_timeout", of(&Proxy::connect_timeout), wait_time,
                             "until a peer has taken the connection; then another one is asked, or 504")),
        asking(scalar<Route>(
            "read_timeout", of(&Proxy::read_timeout), wait_time,
            "to the first byte of the response, and between two; a tunnel may be quiet as long")),
        asking(scalar<Route>("proxy_send_timeout", of(&Proxy::send_timeout), wait_time,
                             "between two writes of the request to the peer")),
        asking(scalar<Route>("timeout", of(&Proxy::timeout), Time{0ms, day},
                             "for the whole of it, retries too; 0: no limit")),
        asking(scalar<Route>("retries", of(&Proxy::retries), Number<std::uint32_t>{0, 16},
                             "how many further peers are asked, where asking twice is safe; 0: none")),
        asking(list<Route>("retry_statuses", of(&Proxy::retry_statuses), Statuses{},
                           "answers after which another peer is asked: 502 503 504")),
        held(scalar<Route>("response_header_max", of(&Proxy::response_header_max), Size{1 * kib, 16 * mib},
                           "bytes of a peer's status line and header; beyond: 502")),
        held(scalar<Route>("buffer", of(&Proxy::buffer), Size{4 * kib, gib},
                           "bytes that wait in memory for a slow client, and for a slow peer")),
        hiding(scalar<Route>(
            "buffer_request", of(&Proxy::buffer_request), buffering,
            "memory, file: a request's body is here, all of it, before a peer is asked; off; auto: file with "
            "fastcgi and pool, else off")),
        hiding(
            scalar<Route>("buffer_response", of(&Proxy::buffer_response), buffering,
                          "memory, file: what a slow client has not taken yet no longer holds up the peer; "
                          "off; auto: as above")),
        hiding(scalar<Route>("buffer_memory", of(&Proxy::buffer_memory), Size{4 * kib, gib},
                             "bytes of one buffered body in memory")),
        hiding(scalar<Route>("buffer_file_max", of(&Proxy::buffer_file_max), Size{64 * kib, 1024 * gib},
                             "with `file`: bytes of it beyond these, in a file")),
        proxy(scalar<Route>("rewrite", of(&Proxy::rewrite), RewriteType{},
                            "`REGEX REPLACEMENT` for the path that the peer sees, \\1 for a group (RE2)")),
        passing(
            list<Route>("set_header", of(&Proxy::set_header), HeaderType{true},
                        "`Name: value` for the peer, $variables in it; without a value it is taken away")),
        hiding(list<Route>("hide_header", of(&Proxy::hide_header), FieldNames{},
                           "fields of the response that the client does not see")),
        proxy(list<Route>("cookie_domain", of(&Proxy::cookie_domain), CookieRewriteType{},
                          "`FROM TO`: a peer's cookie for the domain FROM is for TO; \"\": for us alone")),
        proxy(list<Route>("cookie_path", of(&Proxy::cookie_path), CookieRewriteType{},
                          "`FROM TO`: of a peer's cookie, a path that begins with FROM begins with TO")),
        passing(
            scalar<Route>("forwarded", of(&Proxy::forwarded),
                          Choice<ForwardedFields>{{{"x_forwarded", ForwardedFields::x_forwarded},
                                                   {"forwarded", ForwardedFields::forwarded},
                                                   {"both", ForwardedFields::both},
                                                   {"off", ForwardedFields::off}}},
                          "what the peer hears of the client: x_forwarded (-For, -Proto, -Host), forwarded "
                          "(RFC 7239), both, off")),
        answered(scalar<Route>("request_id", of(&Proxy::request_id), Switch{},
                               "on: X-Request-Id is made where the client sent none")),
        passing(scalar<Route>("trace", of(&Proxy::trace), Switch{},
                              "on: traceparent (W3C) is made where the client sent none")),
        held(scalar<Route>("fallback", &Route::fallback, RequestPath{},
                           "path of the same server to serve in place of a 502, 503 or 504 of our own")),
        proxy(scalar<Route>("rewrite_redirect", of(&Proxy::rewrite_redirect), Switch{},
                            "on: a Location that names the peer itself leads to us instead")),

        choosing(Handler::fanout,
                 list<Route>("fanout", fan(&Fanout::parts), FanoutParts{},
                             "handler: asks these upstreams in parallel and merges what they "
                             "answer: NAME, NAME=UPSTREAM, NAME=UPSTREAM/path")),
        fanout(scalar<Route>("deadline", fan(&Fanout::deadline), Time{0ms, day},
                             "then the answer is made of what has come; 0: when all parts have ended")),
        fanout(scalar<Route>(
            "merge", fan(&Fanout::merge),
            Choice<Merge>{{{"object", Merge::object},
                           {"array", Merge::array},
                           {"concat", Merge::concat},
                           {"first", Merge::first}}},
            "object: JSON by name; array: JSON in order; concat: bodies in order; first: the first "
            "good one")),
        fanout(list<Route>("required", fan(&Fanout::required), SectionNames{},
                           "parts without which there is no answer")),
        fanout(scalar<Route>("quorum", fan(&Fanout::quorum), Number<std::uint32_t>{0, 1000},
                             "so many parts must be good, or there is no answer")),
        fanout(scalar<Route>("partial_status", fan(&Fanout::partial_status), Number<std::uint16_t>{200, 599},
                             "status of an answer in which parts are missing")),
        fanout(scalar<Route>("part_max", fan(&Fanout::part_max), Size{1, gib}, "bytes of a part's body")),
        fanout(
            scalar<Route>("fanout_max", fan(&Fanout::sum_max), Size{1, gib}, "bytes of all bodies together")),
        fanout(scalar<Route>("header_from", fan(&Fanout::header_from), SectionName{},
                             "the part whose header fields the answer has; none's unless set")),

        choosing(Handler::fastcgi,
                 scalar<Route>("fastcgi", of(&Proxy::upstream), SectionName{},
                               "handler: passes requests on to this upstream, whose peers speak FastCGI")),
        choosing(Handler::pool,
                 scalar<Route>("pool", &Route::pool, SectionName{},
                               "handler: gives requests to the processes of this pool, as tasks")),
        choosing(Handler::module, scalar<Route>("module", &Route::module, ModuleUseType{},
                                                "handler: a coroutine of this module: NAME, NAME/HANDLER")),
        cgi(scalar<Route>(
            "script_root", program(&Cgi::script_root), Path{},
            "folder of the scripts; unset: the peer is the program, and is given the whole path")),
        cgi(scalar<Route>("script_peer_root", program(&Cgi::script_peer_root), Path{},
                          "the same folder as the peer sees it, in a container say; as here unless set")),
        cgi(list<Route>("script_extensions", program(&Cgi::script_extensions), ScriptExtensions{},
                        "how names of scripts end; what follows one in a path is PATH_INFO")),
        cgi(scalar<Route>("script_index", program(&Cgi::script_index), ScriptName{},
                          "the script that stands for its folder; off: none")),
        cgi(scalar<Route>("script_fallback", program(&Cgi::script_fallback), RequestPath{},
                          "path of the script that answers where the path leads to none; 404 unless set")),
        cgi(list<Route>("fastcgi_param", program(&Cgi::params), CgiParam{},
                        "`NAME VALUE` for the program, $variables in it; without a value it is left out")),
        used_by(Handler::fastcgi,
                scalar<Route>("fastcgi_keep", program(&Cgi::keep), Switch{},
                              "on: connections are kept as the upstream says; each pins a process of PHP")),
        cgi(scalar<Route>(
            "chunked_max", program(&Cgi::chunked_max), Size{0, gib},
            "without buffer_request: bytes of a request's body of unknown length, which is collected first; "
            "beyond: 413")),
        cgi(scalar<Route>("internal_files", program(&Cgi::internal_files), Path{},
                          "folder of files that the program may name, by X-Accel-Redirect or X-Sendfile")),

        choosing(Handler::enqueue, scalar<Route>("enqueue", &Route::enqueue, SectionName{},
                                                 "handler: makes a job of this queue of each POST, 202")),
        choosing(Handler::jobs,
                 scalar<Route>("jobs", NothingHeld{}, On{},
                               "handler: on: jobs below its path: to look at, cancel, list, try again")),
        job(scalar<Route>("jobs_token", in(&Route::jobs, &JobsAccess::token), BearerToken{},
                          "what clients must send as `Authorization: Bearer TOKEN`; unset: nothing")),
        job(list<Route>(
            "allow", in(&Route::jobs, &JobsAccess::allow), Networks{},
            "addresses and networks of clients, or all; others: 403; `jobs` wants this or jobs_token")),

        later(
            scalar<Route>("async", in(&Route::async, &AsyncRequests::queue), SectionName{},
                          "the queue that requests with `Prefer: respond-async` become jobs of, 202; it has "
                          "the same pool or upstream")),
        later(scalar<Route>("async_credentials", in(&Route::async, &AsyncRequests::credentials), Switch{},
                            "on: also those with Authorization or Cookie, which are stored with them; others "
                            "are answered when they are done")),

        choosing(Handler::work,
                 scalar<Route>("work", in(&Route::work, &Work::amount), WorkType{},
                               "handler: for trials: `cpu=5ms wait=20ms` of a processor and asleep, in each "
                               "request")),
        used_by(Handler::work, scalar<Route>("work_pool", in(&Route::work, &Work::pool), SectionName{},
                                             "the pool that does it; whoever has the request unless set")),
        used_by(Handler::work, scalar<Route>("work_query", in(&Route::work, &Work::query), Switch{},
                                             "on: a query may say other times, `?cpu=1ms&wait=0`")),

        choosing(Handler::health,
                 scalar<Route>("health", &Route::health,
                               Choice<Health>{{{"live", Health::live}, {"ready", Health::ready}}},
                               "handler: live, or ready, which fails first when draining")),
        choosing(Handler::status,
                 scalar<Route>("status", NothingHeld{}, On{},
                               "handler: on: what the server is doing, as a page and as JSON")),
        choosing(Handler::metrics, scalar<Route>("metrics", NothingHeld{}, On{},
                                                 "handler: on: counters in Prometheus's text format")),

        scalar<Route>("body_max", limit(&RouteLimits::body_max), Optional<Size>{body_size},
                      "as in its server unless set"),
        scalar<Route>("body_timeout", limit(&RouteLimits::body_timeout), Optional<Time>{wait_time},
                      "as in its server unless set"),
        scalar<Route>("send_timeout", limit(&RouteLimits::send_timeout), Optional<Time>{wait_time},
                      "as in its server unless set"),
        scalar<Route>("keepalive_timeout", limit(&RouteLimits::keepalive_timeout),
                      Optional<Time>{keepalive_time}, "as in its server unless set"),
        scalar<Route>("keepalive_requests", limit(&RouteLimits::keepalive_requests),
                      Optional<Number<std::uint64_t>>{keepalive_number}, "as in its server unless set"),
        scalar<Route>("limit_rate", &Route::limit_rate, Optional<RateType>{},
                      "`10/s burst=20 key=$remote_addr`: requests of one key, over all workers; beyond: 429"),
        scalar<Route>("limit_conn", &Route::limit_conn, Optional<ConnLimitType>{},
                      "`10 key=$remote_addr`: requests of one key at once, over all workers; beyond: 429"),
        list<Route>("add_header", &Route::add_header, HeaderType{}, "`Name: value`, added to every response"),
        list<Route>("error_page", &Route::error_page, ErrorPageType{},
                    "`404 500 /page.html`: statuses 400 to 599 and the path to serve instead"),
    };
    return rows;
}

std::string_view key_of(Route::Handler handler) {
    for (const auto& row : route_settings())
        if (row.is_handler && row.used_by.front() == handler) return row.key;
    std::abort();  // every handler has its row
}

std::vector<Described> described() {
    std::vector<Described> all;
    describe("reeve", reeve_settings(), Reeve{}, all);
    describe("execution", execution_settings(), Execution{}, all);
    describe("server", server_settings(), default_server(), all);
    describe("upstream", upstream_settings(), Upstream{}, all);
    describe("pool", pool_settings(), Pool{}, all);
    describe("module", module_settings(), Module{}, all);
    describe("store", store_settings(), Store{}, all);
    describe("queue", queue_settings(), Queue{}, all);
    describe("schedule", schedule_settings(), Schedule{}, all);
    describe("route", route_settings(), Route{}, all);
    return all;
}

const std::vector<std::string_view>& section_kinds() {
    static const std::vector<std::string_view> kinds{"reeve",  "execution", "server", "upstream", "pool",
                                                     "module", "store",     "queue",  "schedule", "route"};
    return kinds;
}

bool is_named(std::string_view kind) {
    return kind == "server" || kind == "upstream" || kind == "pool" || kind == "module" || kind == "queue" ||
           kind == "schedule" || kind == "route";
}

namespace {

bool asks(const Route& route, std::string_view upstream) {
    const auto& parts = route.fanout.parts;
    if (route.handler == Route::Handler::fanout)
        return std::any_of(parts.begin(), parts.end(),
                           [&](const FanoutPart& part) { return part.upstream == upstream; });
    return route.handler == Route::Handler::proxy && route.proxy.upstream == upstream;
}

}  // namespace

void complete(Config& config) {
    if (config.servers.empty()) config.servers.emplace_back().name = "default";
    for (auto& server : config.servers)
        if (server.listen.empty()) server.listen = default_server().listen;
    for (auto& route : config.routes) {
        if (route.handler == Route::Handler::enqueue && !route.limits.body_max)
            for (const auto& queue : config.queues)
                if (queue.name == route.enqueue) route.limits.body_max = queue.job_size_max;
        for (const auto& queue : config.queues)
            if (!queue.upstream.name.empty() && asks(route, queue.upstream.name))
                route.hides_job_fields = true;
        // Programs have one request at a time: slow clients must not hold them.
        const bool to_program = route.handler == Route::Handler::fastcgi ||
                                route.handler == Route::Handler::pool || !route.work.pool.empty();
        for (Buffering* how : {&route.proxy.buffer_request, &route.proxy.buffer_response})
            if (*how == Buffering::by_handler) *how = to_program ? Buffering::file : Buffering::off;
    }
}

}  // namespace conf
