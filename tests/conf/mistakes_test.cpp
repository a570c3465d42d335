// Mistakes that authors make: each is refused, with the right line and words that help.
#include "tests/conf/refused.h"

namespace {

struct Mistake {
    std::string text;
    std::uint32_t line;
    std::string message;  ///< or how it begins
};

const std::string good_route = "[route ok]\npath = /ok\nrespond = 200\n";
const std::string good_upstream = "[upstream app]\npeer = 127.0.0.1:1\n";

const std::vector<Mistake> mistakes{
    // sections and keys
    {"[sever a]\n", 1, "unknown section `sever`; did you mean `server`?"},
    {"[upstream a]\n", 1, "[upstream a] has no peer"},
    {"[vhost a]\n", 1,
     "unknown section `vhost`; valid: reeve, execution, server, upstream, pool, module, store, queue, "
     "schedule, route"},
    {"[upstrem a]\n", 1, "unknown section `upstrem`; did you mean `upstream`?"},
    {"[upstream]\n", 1, "[upstream] needs a name: [upstream NAME]"},
    {"[execution]\nwokers = 2\n", 2, "unknown key `wokers`; did you mean `workers`?"},
    {"[server a]\nworkers = 2\n", 2, "unknown key `workers` in [server a]; it belongs to [execution]"},
    {"[server a]\nqwertz = 2\n", 2, "unknown key `qwertz`; `reeve -T` lists all there are"},
    {"[server]\n", 1, "[server] needs a name: [server NAME]"},
    {"[reeve x]\n", 1, "[reeve] has no name, and here it is \"x\""},
    {"[server a]\nlisten = 80\n[server a]\nlisten = 81\n", 3, "[server a] stands already, at line 1"},
    {"[reeve]\nuser = a\n[reeve]\n", 3, "[reeve] stands already, at line 1"},
    {"[reeve]\nuser = a\nuser = b\n", 3, "user: stands already, at line 2"},
    {"[reeve]\nuser = a\n  b\n", 3, "user: takes one value, and this indented line adds another to line 2"},
    {"[reeve]\nuser =\n", 2, "user: has no value"},
    {"workers = 2\n", 1, "workers: stands before any section; only `include` may"},
    {"[server x\n", 1, "section \"[server x\" is not closed: `]` is missing"},
    {"include = a.ini\n", 1, "include: only a file can include others"},
    {"[server a]\ninclude = a.ini\n", 2, "include: may stand before any section or in [reeve]"},
    // values
    {"[execution]\nworkers = 0\n", 2, "workers: \"0\" is not a number, 1 to 256, or `auto`"},
    {"[execution]\nworkers = 257\n", 2, "workers: \"257\" is not a number, 1 to 256, or `auto`"},
    {"[execution]\nmodel = evnet\n", 2,
     "model: \"evnet\" is not one of single, acceptor, pool, readers, message, threads, event, process; did "
     "you mean `event`?"},
    {"[execution]\naccept = share\n", 2,
     "accept: \"share\" is not one of reuseport, shared, handoff; did you mean `shared`?"},
    {"[reeve]\ndaemon = yes\n", 2, "daemon: \"yes\" is neither `on` nor `off`"},
    {"[reeve]\nwatchdog = 10x\n", 2, "watchdog: \"10x\" is not a time, 100ms to 1d"},
    {"[reeve]\nshutdown_timeout = 0\n", 2, "shutdown_timeout: \"0\" is not a time, 1ms to 1d"},
    {"[reeve]\nstart_timeout = 99999999999999999999d\n", 2, "start_timeout: "},
    {"[reeve]\nerror_log = stderr loud\n", 2, "error_log: \"loud\" is not one of trace, debug, info"},
    {"[reeve]\nuser = a b\n", 2, "user: \"a b\" is not the name of a user"},
    {"[reeve]\npid_file = \"/a\\nb\"\n", 2, "pid_file: a control character in the path"},
    {"[reeve]\ncontrol = /" + std::string(107, 'x') + "\n", 2, "control: "},
    {"[server a]\nheader_max = 32q\n", 2, "header_max: \"32q\" is not a size, 512 to 16m"},
    {"[server a]\nbody_max = 99999999999g\n", 2, "body_max: "},
    {"[server a]\nlisten = example.org:80\n", 2, "listen: \"example.org\" is not a numeric address"},
    {"[server a]\nlisten = 127.0.0.1:http\n", 2, "listen: port \"http\" is not a number, 1 to 65535"},
    {"[server a]\nlisten = 443 tls\n", 2, "listen: option `tls` is not supported by this version"},
    {"[server a]\nname = a..b\n", 2, "name: \"a..b\" is not a host name"},
    {"[server a]\naccess_log = /a.log combind\n", 2, "access_log: "},
    {"[server a]\naccess_log = /a.log $stauts\n", 2, "access_log: "},
    {"[server a]\nadd_header = X-A b\n", 2, "add_header: \"X-A b\" is not `Name: value`"},
    {"[server a]\nadd_header = X A: b\n", 2, "add_header: \"X A\" is not the name of a header"},
    {"[server a]\nadd_header = X: \"a\\r\\nSet-Cookie: b\"\n", 2,
     "add_header: a control character in the header value"},
    {"[server a]\nadd_header = Content-Length: 5\n", 2, "add_header: `Content-Length` frames the message"},
    {"[server a]\nerror_page = /x.html\n", 2, "error_page: \"/x.html\" is not `STATUS... /page`"},
    {"[server a]\nerror_page = 200 /x.html\n", 2, "error_page: status \"200\" is not a number, 400 to 599"},
    {"[server a]\nerror_page = 404 x.html\n", 2, "error_page: \"x.html\" does not begin with `/`"},
    {"[server a]\nerror_page = 404 /a\nerror_page = 500 404 /b\n", 3,
     "error_page: 404 has its page already, at line 2"},
    // routes
    {"[route r]\npath = /x\n", 1,
     "[route r] has no handler: one of files, respond, redirect, proxy, fanout, fastcgi, pool, "},
    {"[route r]\nfiles = /a\nrespond = 200\n", 3,
     "respond: the route has a handler already, `files` at line 2"},
    {"[route r]\nrespond = 200\nindex = a.html\n", 3,
     "index: belongs to `files`, and this route's handler is `respond`"},
    {"[route r]\nfiles = /a\ncontent_type = text/css\n", 3, "content_type: belongs to `respond`"},
    {"[route r]\nproxy = b\n", 2, "proxy: there is no [upstream b]"},
    {"[route r]\nhealth = live\nlimit_rate = 1/s\n", 3,
     "limit_rate: `health`, `status` and `metrics` are never shed"},
    {"[route r]\nstatus = on\nlimit_conn = 1\n", 3,
     "limit_conn: `health`, `status` and `metrics` are never shed"},
    {"[upstream u]\npeer = 127.0.0.1:1\n[route r]\nfanout = u u\n", 4, "fanout: two parts are named u"},
    {"[upstream u]\npeer = 127.0.0.1:1\n[route r]\nfanout = u v\n", 4, "fanout: there is no [upstream v]"},
    {"[upstream u]\npeer = 127.0.0.1:1\n[route r]\nfanout = u\nrequired = x\n", 5,
     "required: there is no part x"},
    {"[upstream u]\npeer = 127.0.0.1:1\n[route r]\nfanout = u\nheader_from = x\n", 5,
     "header_from: there is no part x"},
    {"[upstream u]\npeer = 127.0.0.1:1\n[route r]\nfanout = u\nquorum = 2\n", 5,
     "quorum: 2 of 1 parts is never reached"},
    {"[upstream u]\npeer = 127.0.0.1:1\n[route r]\nfanout = u\nmerge = first\nquorum = 0\n", 5,
     "merge: `first` knows neither `required` nor `quorum`"},
    {"[upstream u]\npeer = 127.0.0.1:1\n[route r]\nfanout = a=u/x y\n", 4,
     "fanout: there is no [upstream y]"},
    {"[upstream u]\npeer = 127.0.0.1:1\n[route r]\nfanout = =u\n", 4,
     "fanout: \"=u\" is not a part: NAME, NAME=UPSTREAM or NAME=UPSTREAM/path"},
    {"[route r]\nfiles = /a\nretries = 2\n", 3, "retries: belongs to `proxy` and `fanout`"},
    {"[route r]\nrespond = 200\nset_header = X-A: b\n", 3, "set_header: belongs to `proxy` and `fanout`"},
    {"[route r]\nredirect = /a\nbuffer = 64k\n", 3, "buffer: belongs to `proxy` and `fanout`"},
    {good_upstream + "[route r]\nfanout = app\nbuffer_response = file\n", 5,
     "buffer_response: belongs to `proxy` and `fastcgi` and `pool`, and this route's handler is `fanout`"},
    {good_upstream + "[route r]\nproxy = app\nbuffer_request = on\n", 5,
     "buffer_request: \"on\" is not one of off, memory, file"},
    {"[route r]\nhealth = live\nread_timeout = 1s\n", 3, "read_timeout: belongs to `proxy` and `fanout`"},
    {"[route r]\nrespond = 200\nstrip_prefix = on\n", 3,
     "strip_prefix: belongs to `files` and `proxy` and `fastcgi` and `pool`, and this route's handler is "
     "`respond`"},
    {good_upstream + "[route r]\nproxy = app\nindex = a\n", 5,
     "index: belongs to `files`, and this route's handler is `proxy`"},
    {good_upstream + "[route r]\nproxy = app\nfiles = /a\n", 5,
     "files: the route has a handler already, `proxy` at line 4"},
    {good_upstream + "[route r]\nproxy = app\npath = = /a\nstrip_prefix = on\n", 6,
     "strip_prefix: this route's path is not a prefix"},
    {good_upstream + "[route r]\nproxy = app app\n", 4, "proxy: one name expected, and then comes \"app\""},
    {good_upstream + "[route r]\nproxy = http://127.0.0.1\n", 4,
     "proxy: \"http://127.0.0.1\" is not the name of a section"},
    {good_upstream + "[route r]\nproxy = app\nretries = 17\n", 5, "retries: \"17\" is not a number, 0 to 16"},
    {good_upstream + "[route r]\nproxy = app\nretry_statuses = 502 200\n", 5,
     "retry_statuses: status \"200\" is not a number, 400 to 599"},
    {good_upstream + "[route r]\nproxy = app\nset_header = Connection: close\n", 5,
     "set_header: `Connection` frames the message"},
    {good_upstream + "[route r]\nproxy = app\nset_header = X-A: $hots\n", 5,
     "set_header: unknown variable \"$hots\""},
    {good_upstream + "[route r]\nproxy = app\nhide_header = X A:\n", 5,
     "hide_header: \"A:\" is not the name of a header"},
    {good_upstream + "[route r]\nproxy = app\nforwarded = on\n", 5,
     "forwarded: \"on\" is not one of x_forwarded, forwarded, both, off"},
    {good_upstream + "[route r]\nproxy = app\nrewrite = ^/a\n", 5,
     "rewrite: \"^/a\" is not `REGEX REPLACEMENT`"},
    {good_upstream + "[route r]\nproxy = app\nresponse_header_max = 1\n", 5,
     "response_header_max: \"1\" is not a size"},
    {"[route r]\npath = x\nfiles = /a\n", 2, "path: \"x\" does not begin with `/`"},
    {"[route r]\npath = /a//b\nfiles = /a\n", 2, "path: \"/a//b\" can never match"},
    {"[route r]\npath = /a/../b\nfiles = /a\n", 2, "path: \"/a/../b\" can never match"},
    {"[route r]\npath = /a/.\nfiles = /a\n", 2, "path: \"/a/.\" can never match"},
    {"[route r]\npath = ~ ^/(a\nfiles = /a\n", 2,
     "path: \"^/(a\" is not a regular expression: missing ): ^/(a"},
    {"[route r]\npath = ~\nfiles = /a\n", 2, "path: an empty regular expression"},
    {"[route r]\npath = /a /b\nfiles = /a\n", 2, "path: one path expected, and then comes \"/b\""},
    {"[route r]\nmethods = get\nfiles = /a\n", 2, "methods: \"get\": methods are written in upper case"},
    {"[route r]\nmethods = GET, HEAD\nfiles = /a\n", 2, "methods: \"GET,\" is not a method"},
    {"[route r]\nmethods = GET GET\nfiles = /a\n", 2, "methods: GET stands twice"},
    {"[route r]\nrespond = 200 text\n", 2, "respond: the body is one text in quotes"},
    {"[route r]\nrespond = 200 \"text\n", 2, "respond: a quote is not closed"},
    {"[route r]\nrespond = \"text\"\n", 2, "respond: status"},
    {"[route r]\nrespond = 199\n", 2, "respond: status \"199\" is not a number, 200 to 599"},
    {"[route r]\nrespond = 204 \"text\"\n", 2, "respond: status 204 has no body"},
    {"[route r]\nrespond = 200 \"\\q\"\n", 2, "respond: unknown escape \"\\q\""},
    {"[route r]\nredirect = 300 /a\n", 2, "redirect: \"300\" is not one of 301, 302, 303, 307, 308"},
    {"[route r]\nredirect = 301\n", 2, "redirect: a status, and no location to go to"},
    {"[route r]\nredirect = \"/a\\r\\nb\"\n", 2, "redirect: "},
    {"[route r]\nhealth = lively\n", 2, "health: \"lively\" is not one of live, ready; did you mean `live`?"},
    {"[route r]\nstatus = off\n", 2, "status: \"off\" is not `on`; leave the key out instead"},
    {"[route r]\nfiles = /a\nindex = ../x\n", 3, "index: \"../x\" is not the name of a file in a folder"},
    {"[route r]\nfiles = /a\ntry = $path =404 /x\n", 3, "try: the status =404 may only be the last"},
    {"[route r]\nfiles = /a\ntry = x\n", 3, "try: \"x\" is neither a path with $path nor a status"},
    {"[route r]\nfiles = /a\nautoindex = xml\n", 3, "autoindex: \"xml\" is not one of off, html, json, on"},
    {"[route r]\nfiles = /a\nexpires = soon\n", 3, "expires: \"soon\" is not a time"},
    {"[route r]\nrespond = 200 \"$hots\"\n", 2, "respond: unknown variable \"$hots\""},
    {"[route r]\nredirect = https://$hots/\n", 2, "redirect: unknown variable \"$hots\""},
    {"[route r]\nfiles = /a\ntry = $uri\n", 3, "try: \"$uri\" is neither a path with $path nor a status"},
    {"[route r]\nfiles = /a\npath = = /a\nstrip_prefix = on\n", 4,
     "strip_prefix: this route's path is not a prefix"},
    // what must fit together
    {"[server site]\n[route r]\nserver = sit\nfiles = /a\n", 3,
     "server: there is no [server sit]; did you mean `site`?"},
    {"[server a]\n[route r]\nserver = a a\nfiles = /a\n", 3, "server: a stands twice"},
    {"[server a]\nlisten = 80\n  80\n", 3, "listen: 0.0.0.0:80 stands already in this server, at line 2"},
    {"[server a]\nlisten = 80\n[server b]\nlisten = *:80 backlog=5\nname = b\n", 4,
     "listen: 0.0.0.0:80 has backlog=5 here and backlog=4096 at line 2"},
    {"[server a]\nlisten = 80 default\n[server b]\nlisten = 80 default\nname = b\n", 4,
     "listen: 0.0.0.0:80 has its `default` already, at line 2"},
    {"[server a]\nname = x.org\n[server b]\nname = y.org\n  X.org\n", 5,
     "name: x.org is taken on 127.0.0.1:8080 already, at line 2"},
    {"[server a]\nlisten = 80\n[server b]\nlisten = 80\n", 3,
     "name: none here, and none at line 1: both would take all on 0.0.0.0:80"},
    {"[server a]\nname = x.org x.org\n", 2, "name: x.org stands twice in this server"},
    {good_route + "[route r]\npath = /ok\nfiles = /a\n", 5,
     "path: [route ok] at line 2 takes \"/ok\" already"},
    {good_route + "[route r]\npath = /ok\nfiles = /a\nserver = default\nmethods = GET\n", 5,
     "path: [route ok] at line 2 takes"},
    {"[upstream app]\nbalance = least_conn\n", 1, "[upstream app] has no peer"},
    {"[upstream app]\npeer = 127.0.0.1:1\n  127.0.0.1:2\n  localhost:1 backup\n", 4,
     "peer: 127.0.0.1:1 stands already, at line 2"},
    {"[upstream app]\npeer = unix:/run/a\npeer = unix:/run/x/../a\n", 3,
     "peer: unix:/run/a stands already, at line 2"},
    {"[upstream app]\npeer = *:1\n", 2, "peer: 0.0.0.0:1 is nobody's address: write the peer's"},
    {"[upstream app]\npeer = 127.0.0.1:1 wieght=2\n", 2, "peer: unknown option \"wieght=2\""},
    {"[upstream app]\npeer = 127.0.0.1:1\nbalance = hash\n", 3, "balance: hash wants a key: `hash $uri`"},
    {"[upstream app]\npeer = 127.0.0.1:1\nkeepalive = 100001\n", 3,
     "keepalive: \"100001\" is not a number, 0 to 100000"},
    {"[upstream app]\npeer = 127.0.0.1:1\neject_time = 0\n", 3, "eject_time: \"0\" is not a time"},
    {"[upstream app]\npeer = 127.0.0.1:1\nhedge_budget = 101\n", 3,
     "hedge_budget: \"101\" is not a number, 1 to 100"},
    {"[upstream app]\npeer = 127.0.0.1:1\nhedge_delay_min = 2s\n", 3,
     "hedge_delay_min: 2s is longer than hedge_delay_max, 1s"},
    {"[upstream app]\npeer = 127.0.0.1:1\nconcurrency = on\n", 3,
     "concurrency: \"on\" is not one of off, adaptive"},
    {"[upstream app]\npeer = 127.0.0.1:1\nconcurrency_min = 20\nconcurrency_max = 10\n", 3,
     "concurrency_min: 20 is more than concurrency_max, 10"},
    {"[upstream app]\npeer = 127.0.0.1:1\nconcurrency_min = 0\n", 3,
     "concurrency_min: \"0\" is not a number, 1 to 100000"},
    {"[upstream app]\npeer = 127.0.0.1:1\nconcurrency_tolerance = 9\n", 3,
     "concurrency_tolerance: \"9\" is not a number, 10 to 1000"},
    {"[upstream app]\npeer = 127.0.0.1:1\nsticky = cookie c secret=***\n", 3,
     "sticky: secret: *** stands for one that was not shown; put the real one here"},
    {"[upstream app]\npeer = 127.0.0.1:1\nlisten = 80\n", 3,
     "unknown key `listen` in [upstream app]; it belongs to [server]"},
    {good_upstream + good_upstream, 3, "[upstream app] stands already, at line 1"},
    {good_upstream + "[route r]\nproxy = ap\n", 4, "proxy: there is no [upstream ap]; did you mean `app`?"},
    {"[route r]\nproxy = app\n", 2, "proxy: there is no [upstream app]"},
    {"[route r]\npool = app\n", 2, "pool: there is no [pool app]"},
    {"[pool app]\nrun = cgi sh\n[route r]\npool = ap\n", 4,
     "pool: there is no [pool ap]; did you mean `app`?"},
    {"[pool app]\nrun = cgi sh\n[route r]\npool = app\ntimeout = 1s\n", 5,
     "timeout: belongs to `proxy` and `fanout`"},
    {"[route r]\nfastcgi = app\n", 2, "fastcgi: there is no [upstream app]"},
    {good_upstream + "[route r]\nproxy = app\n[route s]\npath = /s\nfastcgi = app\n", 7,
     "fastcgi: at line 4 [upstream app] is asked by HTTP"},
    {good_upstream + "[route r]\nfastcgi = app\n[route s]\npath = /s\nfanout = x=app\n", 7,
     "fanout: at line 4 [upstream app] is asked by FastCGI"},
    {good_upstream + "health = GET /\n[route r]\nfastcgi = app\n", 3,
     "health: the peers speak FastCGI, as line 5 says; write `tcp every 5s`"},
    {good_upstream + "[route r]\nfastcgi = app\nset_header = X-A: b\n", 5,
     "set_header: belongs to `proxy` and `fanout`, and this route's handler is `fastcgi`"},
    {good_upstream + "[route r]\nproxy = app\nscript_root = /a\n", 5,
     "script_root: belongs to `fastcgi` and `pool`, and this route's handler is `proxy`"},
    {good_upstream + "[route r]\nfastcgi = app\nscript_fallback = /index.php\n", 5,
     "script_fallback: there is no script_root to look in"},
    {good_upstream + "[route r]\nfastcgi = app\nscript_peer_root = /a\n", 5,
     "script_peer_root: there is no script_root to look in"},
    {good_upstream + "[route r]\nfastcgi = app\nscript_root = /a\nscript_fallback = /index.html\n", 6,
     "script_fallback: /index.html ends with none of script_extensions"},
    {good_upstream + "[route r]\nfastcgi = app\nscript_root = /a\nscript_index = index\n", 6,
     "script_index: index ends with none of script_extensions"},
    {good_upstream + "[route r]\nfastcgi = app\nscript_root = /a\nscript_index = a/b.php\n", 6,
     "script_index: \"a/b.php\" is not the name of a file in a folder"},
    {good_upstream + "[route r]\nfastcgi = app\nscript_extensions = php\n", 5,
     "script_extensions: \"php\" is not the end of a name, as .php is"},
    {good_upstream + "[route r]\nfastcgi = app\nfastcgi_param = A-B c\n", 5,
     "fastcgi_param: \"A-B\" is not a name of letters, digits and _"},
    {good_upstream + "[route r]\nfastcgi = app\nfastcgi_param = A $hots\n", 5,
     "fastcgi_param: unknown variable \"$hots\""},
    {good_upstream + "[route r]\nfastcgi = app\nfastcgi_param = A b\nfastcgi_param = A c\n", 6,
     "fastcgi_param: A stands twice"},
    {good_upstream + "[server default]\n[route r]\nproxy = default\n", 5,
     "proxy: there is no [upstream default]"},
    {"[reeve]\ncontrol = /run/a\n[server a]\nlisten = unix:/run/a\n", 4,
     "listen: /run/a is `control` already, at line 2"},
    {"[reeve]\npid_file = /run/a\ncontrol = /run/x/../a\n", 3,
     "control: /run/a is `pid_file` already, at line 2"},
};

}  // namespace

TEST_CASE("every kind of mistake is refused alone, with its line and its reason", "[conf]") {
    for (const auto& mistake : mistakes) {
        // a server that a route names must stand; the others stand by themselves
        const auto text = mistake.text.find("server = default") == std::string::npos
                              ? mistake.text
                              : mistake.text + "[server default]\n";
        CAPTURE(text);
        const auto all = complaints(text);
        const auto where = "t:" + std::to_string(mistake.line) + ": ";
        // what a section lacks is said too, when the mistake was the line that should have brought it
        const auto related = [&](const std::string& one) {
            return one.find("has no handler") != std::string::npos;
        };
        const auto found = std::find_if(all.begin(), all.end(), [&](const auto& one) {
            return one.starts_with(where + mistake.message);
        });
        if (found == all.end()) {
            FAIL_CHECK("wanted " << where << mistake.message << ", got "
                                 << (all.empty() ? "no complaint" : all[0]));
            continue;
        }
        CHECK((all.size() == 1 || std::all_of(all.begin(), all.end(), [&](const auto& one) {
                   return one == *found || related(one);
               })));
    }
}

TEST_CASE("all mistakes of a file are told at once, in the order of its lines", "[conf]") {
    const auto all = complaints(
        "[reeve]\ndaemon = maybe\n[server a]\nlisten = x\nlsten = 80\n[route r]\nserver = b\nfiles = "
        "/a\nindex 3\n[x\n");
    REQUIRE(all.size() == 6);
    CHECK(all[0].starts_with("t:2: daemon:"));
    CHECK(all[1].starts_with("t:4: listen:"));
    CHECK(all[2].starts_with("t:5: unknown key `lsten`; did you mean `listen`?"));
    CHECK(all[3].starts_with("t:7: server: there is no [server b]"));
    CHECK(all[4].starts_with("t:9: \"index 3\""));
    CHECK(all[5].starts_with("t:10: section"));
}

TEST_CASE("routes of different servers or methods may share a path", "[conf]") {
    CHECK(complaints("[server a]\nlisten = 80\n[server b]\nlisten = 81\n"
                     "[route r]\nserver = a\nrespond = 200\n[route s]\nserver = b\nrespond = 200\n")
              .empty());
    CHECK(complaints("[route r]\nmethods = GET\nrespond = 200\n[route s]\nmethods = POST\nrespond = 200\n")
              .empty());
    CHECK(complaints("[route r]\npath = /a\nrespond = 200\n[route s]\npath = = /a\nrespond = 200\n").empty());
}
