// conf/config.h: every setting, its unit and its default.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conf/module.h"
#include "conf/pool.h"
#include "conf/queue.h"
#include "conf/schedule.h"

namespace conf {

using Milliseconds = std::chrono::milliseconds;

/// A count that the machine may decide: `auto` is 0.
constexpr std::uint32_t automatic = 0;

enum class LogLevel : std::uint8_t { trace, debug, info, warn, error, critical, off };
enum class LogFormat : std::uint8_t { text, json };
enum class Accept : std::uint8_t { reuseport, shared, handoff };
enum class Model : std::uint8_t { single, acceptor, pool, readers, message, threads, event, process };
enum class Handoff : std::uint8_t { round_robin, least_connections };
enum class Handlers : std::uint8_t { inlined, threads };
enum class Upgrade : std::uint8_t { unattended, manual };

/// `error_log = stderr info`: where, and from which level on.
struct ErrorLog {
    std::string path = "stderr";  ///< "stderr" or an absolute path
    LogLevel level = LogLevel::info;
    bool operator==(const ErrorLog&) const = default;
};

/// [reeve]: the daemon itself.
struct Reeve {
    std::string user;      ///< whom workers run as when the master is root; empty: www-data
    std::string pid_file;  ///< empty: none
    std::string control;   ///< path of the control socket; empty: none
    ErrorLog error_log;
    LogFormat error_log_format = LogFormat::text;
    bool daemon = false;
    Milliseconds start_timeout{30'000};     ///< until every worker is READY
    Milliseconds shutdown_timeout{30'000};  ///< how long a drain may take
    Milliseconds drain_delay{0};            ///< on QUIT: `ready` says no, connections are still accepted
    Milliseconds watchdog{10'000};          ///< a silent loop is steered around after a quarter of it
    Milliseconds slow_loop{200};            ///< a turn of a loop that lasts longer is logged
    std::uint32_t generations_max = 4;      ///< old generations that may drain at once
    Upgrade upgrade = Upgrade::unattended;  ///< whether the old master ends by itself
    std::uint64_t open_files = 0;           ///< RLIMIT_NOFILE of a worker; 0: as high as the system lets
    std::optional<std::uint64_t> core_max;  ///< RLIMIT_CORE of a worker in bytes; none: as inherited
    bool sandbox = true;                    ///< workers may use only the system calls they need
    bool operator==(const Reeve&) const = default;
};

/// [execution]: how work is spread. These are the defaults of `event`; `conf/models.h` has the others'.
struct Execution {
    Model model = Model::event;
    std::uint32_t workers = automatic;  ///< 0: one a CPU
    std::uint32_t loops = 1;            ///< event loops a worker; 0: one a CPU
    Accept accept = Accept::reuseport;
    Handoff handoff = Handoff::round_robin;  ///< which loop a connection goes to, where one accepts for all
    std::uint32_t concurrency = 0;           ///< requests a loop serves at once; 0: any number
    std::uint32_t queue = 1024;              ///< those that wait for that, at most, where they wait
    Milliseconds queue_timeout{10'000};      ///< and how long
    Handlers handlers = Handlers::inlined;
    std::uint32_t threads = 16;  ///< a loop's, where handlers run on threads
    std::uint32_t processes_max =
        0;                           ///< not 0: a process serves one connection at a time, and so many may be
    std::uint32_t spares_min = 4;    ///< of these, idle ones that are kept at hand
    std::uint32_t spares_max = 16;   ///< beyond which idle ones end
    bool cpu_affinity = false;       ///< each worker, or each loop, stays on a CPU of its own
    bool preload = false;            ///< what workers have in common is loaded once, before they are forked
    std::uint64_t max_requests = 0;  ///< a worker is replaced after about so many; 0: never
    std::uint64_t max_memory = 0;    ///< a worker is replaced when its resident bytes pass this; 0: never
    /// The open-file cache of each loop.
    std::uint32_t open_file_cache = 1000;                ///< entries; 0: no cache
    Milliseconds open_file_cache_valid{1000};            ///< looked at again after this
    Milliseconds open_file_cache_inactive{60'000};       ///< closed when unused for this
    std::uint64_t open_file_cache_memory = 64ull << 20;  ///< bytes of contents kept, at most
    std::uint64_t open_file_cache_small = 64ull << 10;   ///< larger files are not kept in memory
    /// Bodies that each loop buffers, all together.
    std::string buffer_path = "/var/tmp";              ///< folder of their files
    std::uint64_t buffer_memory_total = 256ull << 20;  ///< bytes in memory
    std::uint64_t buffer_file_total = 8ull << 30;      ///< bytes in files
    bool operator==(const Execution&) const = default;
};

/// What `listen` binds.
struct Address {
    enum class Family : std::uint8_t { ipv4, ipv6, unix_path };
    Family family = Family::ipv4;
    std::string host;        ///< numeric, without brackets; "0.0.0.0" and "::" for any; path for unix_path
    std::uint16_t port = 0;  ///< 0 for unix_path

    /// As it reads in logs: "127.0.0.1:80", "[::1]:80", "unix:/run/x.sock".
    [[nodiscard]] std::string text() const;
    bool operator==(const Address&) const = default;
};

/// `listen = 0.0.0.0:8080 backlog=511 default`.
struct Listen {
    Address address;
    std::uint32_t backlog = 4096;  ///< the kernel cuts it at net.core.somaxconn
    bool fallback = false;         ///< `default`: serves requests whose Host no server on this address names
    bool operator==(const Listen&) const = default;
};

/// Times and sizes of one connection; a route may narrow those in `RouteLimits`.
struct Limits {
    std::uint64_t header_max = 32ull << 10;  ///< bytes of request line and header
    std::uint64_t uri_max = 8ull << 10;
    std::uint64_t body_max = 1ull << 20;          ///< 0: none
    Milliseconds header_timeout{60'000};          ///< from the first byte to the end of the header
    Milliseconds body_timeout{60'000};            ///< between two reads of the body
    Milliseconds send_timeout{60'000};            ///< between two writes of the response
    Milliseconds keepalive_timeout{75'000};       ///< 0: no keep-alive
    std::uint64_t keepalive_requests = 1000;      ///< per connection
    std::uint64_t connections_max = 16ull << 10;  ///< per worker, over all servers: the largest counts
    bool operator==(const Limits&) const = default;
};

struct RouteLimits {
    std::optional<std::uint64_t> body_max;
    std::optional<Milliseconds> body_timeout;
    std::optional<Milliseconds> send_timeout;
    std::optional<Milliseconds> keepalive_timeout;
    std::optional<std::uint64_t> keepalive_requests;
    bool operator==(const RouteLimits&) const = default;
};

/// `access_log = /var/log/reeve/access.log [combined|json|FORMAT]`, `access_log = off`.
struct AccessLog {
    std::string path;                 ///< empty: off; "stdout" and "stderr" are the daemon's own
    std::string format = "combined";  ///< "combined", "json", or a text with $variables
    bool operator==(const AccessLog&) const = default;
};

struct Header {
    std::string name, value;
    bool operator==(const Header&) const = default;
};

/// `error_page = 404 500 /error.html`.
struct ErrorPage {
    std::vector<std::uint16_t> statuses;
    std::string target;  ///< a path on the same server
    bool operator==(const ErrorPage&) const = default;
};

/// [server NAME].
struct Server {
    std::string name;
    std::vector<Listen> listen;      ///< default when none is written: 127.0.0.1:8080
    std::vector<std::string> hosts;  ///< `name =`: lower case; "*.example.org", "example.*"; empty: any
    AccessLog access_log;
    Limits limits;
    std::vector<Header> add_header;
    std::vector<ErrorPage> error_page;
    bool operator==(const Server&) const = default;
};

/// How a route's `path` is compared.
struct PathMatch {
    enum class Kind : std::uint8_t { prefix, exact, regex };
    Kind kind = Kind::prefix;
    std::string text = "/";
    bool operator==(const PathMatch&) const = default;
};

enum class Autoindex : std::uint8_t { off, html, json };

/// `files = ROOT` and what belongs to it.
struct Files {
    std::string root;  ///< absolute
    std::vector<std::string> index{"index.html"};
    std::vector<std::string> try_list;  ///< `try`: paths with $path; the last may be `=404`
    Autoindex autoindex = Autoindex::off;
    bool symlinks = false;                ///< follow links that leave the root
    bool dotfiles = false;                ///< serve names that begin with a dot
    bool precompressed = true;            ///< .br, .zst, .gz siblings
    std::optional<Milliseconds> expires;  ///< `expires = 1h`: Cache-Control max-age and Expires
    std::string cache_control;            ///< `cache_control = no-cache`: the value as written
    std::string open_pool;                ///< pool of threads that open what is not cached; empty: the loop
    bool operator==(const Files&) const = default;
};

/// `respond = 200 "text"`; the body may hold $variables.
struct Respond {
    std::uint16_t status = 200;
    std::string body;
    std::string type = "text/plain; charset=utf-8";  ///< `content_type`
    bool operator==(const Respond&) const = default;
};

/// `redirect = 301 https://$host$uri`; the status may be left out (302).
struct Redirect {
    std::uint16_t status = 302;
    std::string location;
    bool operator==(const Redirect&) const = default;
};

enum class Health : std::uint8_t { live, ready };

enum class Merge : std::uint8_t { object, array, concat, first };

/// `fanout = users stock=warehouse prices=shop/v2/prices`: one part.
struct FanoutPart {
    std::string name;
    std::string upstream;
    std::string path;  ///< with a query, maybe; empty: what the client asked
    bool operator==(const FanoutPart&) const = default;
};

/// `fanout` and what belongs to it; times and header rules are those of its route's `Proxy`.
struct Fanout {
    std::vector<FanoutPart> parts;
    Milliseconds deadline{0};  ///< 0: none but the parts' own
    Merge merge = Merge::object;
    std::vector<std::string> required;  ///< names of parts without which there is no answer
    std::uint32_t quorum = 1;
    std::uint16_t partial_status = 200;
    std::uint64_t part_max = 1ull << 20;  ///< bytes of a part's body
    std::uint64_t sum_max = 8ull << 20;   ///< bytes of all
    std::string header_from;              ///< the part whose fields the answer has; empty: none's
    bool operator==(const Fanout&) const = default;
};

/// `peer = 127.0.0.1:9000 weight=2 backup down max_conns=100`, or a name that the sentinel resolves again and
/// again: `peer = app.example:8080 peers_max=8`, `peer = _http._tcp.app.example`.
struct UpstreamPeer {
    Address address;  ///< of a name only its port
    std::uint32_t weight = 1;
    bool backup = false;           ///< asked only when no other peer can be
    bool down = false;             ///< not asked
    std::uint32_t max_conns = 0;   ///< requests at once, over all workers; 0: any number; of a name to each
    std::string name;              ///< lower case, without a dot at its end; empty: `address` is it
    bool service = false;          ///< the name is of SRV records (RFC 2782), which tell ports too
    std::uint32_t peers_max = 16;  ///< addresses of the name that are used

    [[nodiscard]] bool is_name() const noexcept { return !name.empty(); }
    /// As it reads in logs: "127.0.0.1:9000", "app.example:8080", "_http._tcp.app.example".
    [[nodiscard]] std::string text() const;
    bool operator==(const UpstreamPeer&) const = default;
};

/// `balance = round_robin | least_conn | random_two | hash KEY`.
struct Balance {
    enum class How : std::uint8_t { round_robin, least_conn, random_two, hash };
    How how = How::round_robin;
    std::string key;  ///< of `hash`: a text with $variables
    bool operator==(const Balance&) const = default;
};

/// What counts as a failure of an upstream, for its breaker; connecting and resets always do.
struct BreakerOn {
    bool timeout = true;
    bool gateway = true;  ///< 502, 503, 504
    bool server = false;  ///< the other 5xx
    bool operator==(const BreakerOn&) const = default;
};

/// `breaker_…`: when an upstream is not asked any more, and how it comes back.
struct Breaker {
    std::uint32_t failures = 0;         ///< in a row; 0: these do not open it
    std::uint32_t failure_percent = 0;  ///< of the calls within `window`; 0: not
    std::uint32_t slow_percent = 0;     ///< likewise, of calls that took longer than `slow`
    Milliseconds slow{1000};
    Milliseconds window{10'000};
    std::uint32_t calls_min = 20;
    Milliseconds reset{10'000};
    std::uint32_t probes = 1;
    BreakerOn on;
    bool operator==(const Breaker&) const = default;
};

/// `health = GET /healthz every 2s`, `health = tcp every 1s`: how the sentinel finds out whether a peer is
/// well.
struct HealthCheck {
    enum class How : std::uint8_t { off, tcp, http };
    How how = How::off;
    std::string method, target;   ///< of `http`: GET or HEAD, and what is asked for
    Milliseconds every{5'000};    ///< from one check of a peer to the next, or up to a tenth less
    Milliseconds timeout{1'000};  ///< for the whole of a check; not longer than `every`
    std::uint32_t rise = 2;       ///< passed in a row, and a peer that was down is up
    std::uint32_t fall = 3;       ///< failed in a row, and it is down
    std::uint16_t status_min = 200, status_max = 399;  ///< answers that pass
    std::string body;        ///< must stand in the first 64 KiB; empty: anything does
    std::string host;        ///< the Host that is asked for; empty: the peer's address
    std::uint16_t port = 0;  ///< asked instead of the peer's own; 0: that one
    bool operator==(const HealthCheck&) const = default;
};

/// `hedge_…`: a second copy of a call that takes longer than most, to another peer.
struct Hedge {
    bool on = false;
    Milliseconds delay_min{10};  ///< the delay is the p95 of answers, within these
    Milliseconds delay_max{1000};
    std::uint32_t budget = 5;  ///< copies of 100 calls
    std::uint32_t max = 32;    ///< under way at once, over all workers
    bool operator==(const Hedge&) const = default;
};

/// `concurrency…`: how many calls may wait for an answer at once, over all workers.
struct Concurrency {
    bool adaptive = false;              ///< found out from how long answers take; false: any number
    std::uint32_t min = 4, max = 1000;  ///< of the limit
    std::uint32_t tolerance = 50;       ///< percent that answers may take longer than without a queue
    bool operator==(const Concurrency&) const = default;
};

constexpr std::string_view hidden_secret = "***";  ///< stands for one that is not shown

/// `sticky = cookie NAME path=/ domain=D expires=1h httponly secure samesite=lax secret=S`.
struct Sticky {
    enum class SameSite : std::uint8_t { unset, lax, strict, none };
    std::string cookie;  ///< its name; empty: nobody sticks
    std::string path = "/", domain;
    Milliseconds expires{0};  ///< whole seconds; 0: with the browser
    bool http_only = false, secure = false;
    SameSite same_site = SameSite::unset;
    std::string secret;  ///< key of the values; empty: random, for as long as the server runs
    bool operator==(const Sticky&) const = default;
};

/// `resolver…`: whom the sentinel asks for the addresses of peers that are names.
struct Resolver {
    enum class Families : std::uint8_t { any, ipv4, ipv6 };
    std::vector<Address> servers;  ///< empty: those of /etc/resolv.conf
    Families families = Families::any;
    Milliseconds timeout{2'000};    ///< of one question to one server; each is asked twice
    Milliseconds ttl_min{1'000};    ///< an answer is good for so long at least
    Milliseconds ttl_max{300'000};  ///< and at most
    bool operator==(const Resolver&) const = default;
};

constexpr std::size_t names_max = 64;  ///< peers that are names, over all upstreams

/// [upstream NAME]: those who answer for us.
struct Upstream {
    std::string name;
    std::vector<UpstreamPeer> peers;  ///< not empty
    Resolver resolver;
    Balance balance;
    std::uint32_t keepalive = 64;            ///< idle connections a worker keeps, over all peers; 0: none
    Milliseconds keepalive_timeout{60'000};  ///< an idle one is closed after this
    std::uint64_t keepalive_requests = 1000;
    std::uint32_t eject_failures = 3;  ///< in a row, after which a peer is left alone; 0: never
    Milliseconds eject_time{10'000};
    HealthCheck health;
    Milliseconds slow_start{0};  ///< a peer that is up again gets its whole share after this; 0: at once
    Breaker breaker;
    Hedge hedge;
    Concurrency concurrency;
    Sticky sticky;
    bool operator==(const Upstream&) const = default;
};

/// `rewrite = ^/old/(.*) /new/\1`: RE2 on the path; what does not match stays.
struct Rewrite {
    std::string pattern, replacement;  ///< both empty: none
    bool operator==(const Rewrite&) const = default;
};

/// `cookie_path = /app/ /`: what stands in a peer's cookie, and what takes its place.
struct CookieRewrite {
    std::string from, to;  ///< `to` empty: the attribute is left out
    bool operator==(const CookieRewrite&) const = default;
};

enum class ForwardedFields : std::uint8_t { off, x_forwarded, forwarded, both };

/// Where a body waits for whoever is slower; `off`: it does not, and holds up who sends it; `by_handler`: as
/// the handler likes it, until the configuration is complete.
enum class Buffering : std::uint8_t { off, memory, file, by_handler };

/// `proxy = UPSTREAM` and what belongs to it.
struct Proxy {
    std::string upstream;
    Milliseconds connect_timeout{5'000};
    Milliseconds read_timeout{60'000};          ///< to the first byte, and between two
    Milliseconds send_timeout{60'000};          ///< between two writes of the request
    Milliseconds timeout{0};                    ///< of the whole; 0: none
    std::uint32_t retries = 2;                  ///< further peers that are asked; 0: none
    std::vector<std::uint16_t> retry_statuses;  ///< answers after which another peer is asked
    std::uint64_t response_header_max = 64ull << 10;
    std::uint64_t buffer = 64ull << 10;  ///< of each direction: what waits in memory for a slow side
    Buffering buffer_request = Buffering::by_handler;   ///< its body is whole before a peer is asked
    Buffering buffer_response = Buffering::by_handler;  ///< is read as fast as the peer gives it
    std::uint64_t buffer_memory = 1ull << 20;           ///< bytes of such a body in memory
    std::uint64_t buffer_file_max = 1ull << 30;         ///< bytes of it in a file, with `file`
    Rewrite rewrite;
    std::vector<Header> set_header;        ///< for the peer; values may hold $variables; empty: taken away
    std::vector<std::string> hide_header;  ///< of the response
    std::vector<CookieRewrite> cookie_domain, cookie_path;
    ForwardedFields forwarded = ForwardedFields::x_forwarded;
    bool request_id = true;        ///< X-Request-Id is made when the client sent none
    bool trace = true;             ///< traceparent likewise
    bool rewrite_redirect = true;  ///< Location of a peer's own, made ours
    bool operator==(const Proxy&) const = default;
};

/// What belongs to routes whose requests go to programs, by FastCGI; times, sizes and retries are those of
/// their `Proxy`.
struct Cgi {
    std::string script_root;       ///< absolute; empty: the peer is the program, and knows no scripts
    std::string script_peer_root;  ///< the same folder as the peer sees it; empty: as we do
    std::vector<std::string> script_extensions{".php"};
    std::string script_index = "index.php";  ///< stands for its folder
    std::string script_fallback;             ///< path of the script for paths that lead to none; empty: 404
    std::vector<Header> params;              ///< `fastcgi_param`; values may hold $variables; empty: left out
    bool keep = false;                       ///< connections to the peer are kept
    std::uint64_t chunked_max = 1ull << 20;  ///< bytes of a request's body whose length is not known
    std::string internal_files;  ///< absolute; what X-Accel-Redirect and X-Sendfile name; empty: nothing
    bool operator==(const Cgi&) const = default;
};

/// `work = cpu=5ms wait=20ms`: what stands in for real work, in trials.
struct WorkAmount {
    std::chrono::microseconds cpu{0};   ///< of a processor, by the clock of the thread that does it
    std::chrono::microseconds wait{0};  ///< asleep, as in a library that blocks
    bool operator==(const WorkAmount&) const = default;
};

struct Work {
    WorkAmount amount;
    std::string pool;    ///< `work_pool`: its name; empty: whoever has the request does it
    bool query = false;  ///< `work_query`: the request's query may say other times
    bool operator==(const Work&) const = default;
};

/// Whom a limit counts together: those with the same value of a variable.
struct LimitKey {
    enum class Kind : std::uint8_t { remote_addr, server_name, host, uri, header };
    Kind kind = Kind::remote_addr;
    std::string header;  ///< its name in lower case, with `-`; empty for the other kinds
    bool operator==(const LimitKey&) const = default;
};

/// `limit_rate = 10/s burst=20 key=$remote_addr`.
struct RateLimit {
    std::uint32_t requests = 1;   ///< in each `per`, evenly spread
    std::chrono::seconds per{1};  ///< 1, 60 or 3600
    std::uint32_t burst = 0;      ///< how many may come before their time: `burst + 1` at once
    LimitKey key;
    bool operator==(const RateLimit&) const = default;
};

/// `limit_conn = 10 key=$remote_addr`.
struct ConnLimit {
    std::uint32_t max = 1;  ///< requests at once
    LimitKey key;
    bool operator==(const ConnLimit&) const = default;
};

/// [route NAME]: exactly one of the handlers.
struct Route {
    enum class Handler : std::uint8_t {
        files,
        respond,
        redirect,
        proxy,
        fanout,
        fastcgi,
        pool,
        work,
        module,
        enqueue,
        jobs,
        health,
        status,
        metrics
    };

    std::string name;
    std::vector<std::string> servers;  ///< names of servers; empty: every server
    PathMatch path;
    std::vector<std::string> methods;  ///< upper case; empty: what the handler knows
    Handler handler = Handler::files;
    Files files;
    Respond respond;
    Redirect redirect;
    Proxy proxy;  ///< of `fastcgi` too; of `fanout`, but for its upstream
    Fanout fanout;
    Cgi cgi;              ///< of `fastcgi` and `pool`
    std::string pool;     ///< its name
    std::string enqueue;  ///< name of its queue
    JobsAccess jobs;      ///< of `jobs` and `enqueue`
    AsyncRequests async;  ///< of `proxy` and `pool`
    /// Who is asked is also asked to do jobs, and tells them by Job-*: no client's field looks like one.
    /// Follows from the queues.
    bool hides_job_fields = false;
    Work work;
    ModuleUse module;
    bool strip_prefix =
        false;  ///< `files`, `proxy`, `fastcgi`: what follows the route's `path` counts, not all of it
    Health health = Health::live;
    std::string
        fallback;  ///< `proxy`: a path of the same server, for 502, 503 and 504 of our own; empty: none
    RouteLimits limits;
    std::optional<RateLimit> limit_rate;
    std::optional<ConnLimit> limit_conn;
    std::vector<Header> add_header;
    std::vector<ErrorPage> error_page;
    bool operator==(const Route&) const = default;
};

/// A default-constructed Config is valid and is what an empty file means; `load` adds the server that is
/// there when none is written.
struct Config {
    std::string path;  ///< the file it came from, absolute; empty: none
    Reeve reeve;
    Execution execution;
    std::vector<Server> servers;      ///< in file order
    std::vector<Upstream> upstreams;  ///< in file order
    std::vector<Pool> pools;          ///< in file order
    std::vector<Module> modules;      ///< in file order
    Store store;
    std::vector<Queue> queues;        ///< in file order
    std::vector<Schedule> schedules;  ///< in file order
    std::vector<Route> routes;        ///< in file order
    bool operator==(const Config&) const = default;
};

}  // namespace conf
