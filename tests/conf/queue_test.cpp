// tests/conf/queue_test.cpp: [store] and [queue] as they are written, and every complaint.
#include "conf/plan.h"
#include "conf/postgres_url.h"
#include "conf/queue_types.h"
#include "conf/settings.h"
#include "tests/conf/refused.h"

using namespace conf;
using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

namespace {

constexpr const char* pool = "[pool p]\nrun = cgi ./job.sh\n";  // two lines

/// Of a queue behind that pool: the first of `lines` is line 4.
Lines queue_complaints(const std::string& lines) {
    return complaints(std::string(pool) + "[queue q]\n" + lines);
}

}  // namespace

TEST_CASE("a queue is what its lines say, and the rest has defaults", "[conf][queue]") {
    const auto config = loaded(std::string(pool) + R"([upstream u]
peer = 127.0.0.1:1
[store]
url = sqlite:/srv/jobs.db
wal_max = 8m
timeout = 2s
bodies_max = 1m
[queue mail]
pool = p
concurrency = 2
key_concurrency = 1
attempts = 3
backoff = 100ms..2s
timeout = 5s
retention = 1h
dead_retention = 2d
size_max = 10 1m
job_size_max = 4k
result_max = 1k
idempotency = 1h
idempotency_required = on
rate = 7
priority = -3
[queue video]
upstream = u /convert?now
[route in]
path = /mail
enqueue = mail
[route api]
path = /jobs/
jobs = on
jobs_token = 0123456789abcdef==
allow = 127.0.0.1 10.0.0.0/8
allow = ::1
)");
    CHECK(config.store.url == "sqlite:/srv/jobs.db");
    CHECK(config.store.path() == "/srv/jobs.db");
    CHECK(config.store.wal_max == 8u << 20);
    CHECK(config.store.timeout == 2s);
    CHECK(config.store.bodies_max == 1u << 20);
    REQUIRE(config.queues.size() == 2);
    const auto& mail = config.queues[0];
    CHECK(mail.pool == "p");
    CHECK(mail.concurrency == 2);
    CHECK(mail.key_concurrency == 1);
    CHECK(mail.attempts == 3);
    CHECK(mail.backoff == BackOff{100ms, 2s});
    CHECK(mail.timeout == 5s);
    CHECK(mail.retention == 1h);
    CHECK(mail.dead_retention == 48h);
    CHECK(mail.size_max == QueueSize{10, 1 << 20});
    CHECK(mail.job_size_max == 4096);
    CHECK(mail.result_max == 1024);
    CHECK(mail.idempotency == 1h);
    CHECK(mail.idempotency_required);
    CHECK(mail.rate == 7);
    CHECK(mail.priority == -3);
    const auto& video = config.queues[1];
    CHECK(video.upstream == QueueUpstream{"u", "/convert?now"});
    CHECK(video.backoff == BackOff{1s, 1h});
    CHECK(video.attempts == 10);
    CHECK(config.routes[0].enqueue == "mail");
    CHECK(config.routes[0].limits.body_max == 4096u);
    CHECK(config.routes[1].jobs == JobsAccess{"0123456789abcdef==", {"127.0.0.1", "10.0.0.0/8", "::1"}});
    CHECK(jobs_route(config, config.routes[0]) == &config.routes[1]);

    const auto again = loaded(dump(config));
    CHECK(again == config);
    CHECK(dump_without_secrets(config).find("0123456789abcdef") == std::string::npos);
}

TEST_CASE("a store that cannot be is refused", "[conf][queue]") {
    CHECK(complaints("[store]\nurl = redis:x\n") ==
          Lines{"t:2: url: \"redis:x\" is not a store: sqlite:PATH, or postgresql://HOST/DATABASE"});
    CHECK(complaints("[store]\nurl = sqlite:/\n") == Lines{"t:2: url: is a folder, and a file is wanted"});
}

TEST_CASE("a database is where its URL says, which nobody is shown the password of", "[conf][queue]") {
    const auto config =
        loaded(std::string(pool) +
               "[store]\nurl = postgresql://me:se%20cret@db1,db2:5433/jobs?sslmode=verify-full&"
               "sslpassword=hidden\nlease = 10s\n[queue q]\npool = p\n");
    CHECK(config.store.shared());
    CHECK(config.store.path().empty());
    CHECK(config.store.lease == 10s);
    CHECK(loaded(dump(config)) == config);
    const auto shown = dump_without_secrets(config);
    CHECK(shown.find("postgresql://me:***@db1,db2:5433/jobs?sslmode=verify-full&sslpassword=***") !=
          std::string::npos);
    CHECK(shown.find("se%20cret") == std::string::npos);
    CHECK(shown.find("hidden") == std::string::npos);
    CHECK(shown.find("Secrets are not shown") != std::string::npos);

    CHECK(has_password("postgres://u:p@h/d"));
    CHECK(has_password("postgres://h/d?x%70assword=p"));
    CHECK_FALSE(has_password("postgres://u@h:5432/d"));
    CHECK_FALSE(has_password("postgresql:///d?host=/run/postgresql"));
    CHECK(without_password("postgres://u:p@:w@h/d") == "postgres://u:***@h/d");
    CHECK(without_password("postgres//u:p@h") == "postgres//u:***@h");
}

TEST_CASE("a URL that libpq does not understand is refused, and its password not told", "[conf][queue]") {
    const auto complaint = [](const std::string& url) {
        const auto all = complaints("[store]\nurl = " + url + "\n");
        REQUIRE(all.size() == 1);
        return all[0];
    };
    CHECK(complaint("postgresql://h/d?nonsense=1") ==
          "t:2: url: \"postgresql://h/d?nonsense=1\" is not the URL of a database: invalid URI query "
          "parameter: "
          "\"nonsense\"");
    CHECK(complaint("postgresql://h/d?replication=on") == "t:2: url: replication is not for the URL to say");
    CHECK(complaint("postgresql://h:0,i:65536/d") ==
          "t:2: url: \"0,65536\": a port is a number from 1 to 65535");
    CHECK(complaints("[store]\nurl = postgresql://h:5433,i/d\n").empty());
    const auto secret = complaint("postgresql://u:sec%ret@h/d");
    CHECK(secret.starts_with("t:2: url: \"postgresql://u:***@h/d\" is not the URL of a database: "));
    CHECK(secret.find("sec") == std::string::npos);
    CHECK(complaint("postgre://u:secret@h/d").find("secret") == std::string::npos);
}

TEST_CASE("what a database is asked for over the network is told, if it is open to it", "[conf][queue]") {
    CHECK(trusts_the_network("postgresql://db/jobs"));
    CHECK(trusts_the_network("postgresql://db/jobs?sslmode=prefer"));
    CHECK_FALSE(trusts_the_network("postgresql://db/jobs?sslmode=verify-full"));
    CHECK_FALSE(trusts_the_network("postgresql:///jobs"));
    CHECK_FALSE(trusts_the_network("postgresql://%2Frun%2Fpostgresql/jobs"));
    CHECK_FALSE(trusts_the_network("postgresql://localhost/jobs"));
    const auto said = advice(std::string(pool) +
                             "[store]\nurl = postgresql://u:secret@db/jobs\nwal_max = 8m\n"
                             "lease = 2s\n[queue q]\npool = p\n[route r]\nenqueue = q\n");
    const auto has = [&](const std::string& text) {
        return std::any_of(said.begin(), said.end(),
                           [&](const std::string& line) { return line.find(text) != std::string::npos; });
    };
    CHECK(has("t:5: wal_max: means nothing"));
    CHECK(has("t:4: url: has a password"));
    CHECK(has("t:4: url: jobs go over the network in the clear"));
    CHECK(has("t:6: lease: a batch may take 5s"));
    CHECK_FALSE(has("secret"));
}

TEST_CASE("a queue needs somebody who runs its jobs, and no more than one", "[conf][queue]") {
    CHECK(complaints("[queue q]\n") ==
          Lines{"t:1: [queue q] has neither pool nor upstream: nobody runs its jobs"});
    CHECK(queue_complaints("pool = p\nupstream = u /x\n") ==
          Lines{"t:5: upstream: [queue q] has a pool already"});
    CHECK(queue_complaints("pool = pp\n") == Lines{"t:4: pool: there is no [pool pp]; valid: p"});
    CHECK(queue_complaints("upstream = u /x\n") == Lines{"t:4: upstream: there is no [upstream u]"});
    CHECK(queue_complaints("upstream = u\n") ==
          Lines{"t:4: upstream: an upstream and a path are wanted: NAME /path"});
    CHECK(
        complaints("[pool t]\nkind = thread\n[queue q]\npool = t\n") ==
        Lines{"t:4: pool: [pool t] is of threads of workers, which run no jobs: one that crashes would cost "
              "their clients. `run = module NAME` there gives its threads a process of their own"});
    const std::string hosted = "[module m]\npath = /m.so\n[pool t]\nkind = thread\nrun = module m\n";
    CHECK(complaints(hosted + "[queue q]\npool = t\nfunction = f\n").empty());
    CHECK(complaints(hosted + "[queue q]\npool = t\n") ==
          Lines{"t:7: pool: [pool t] is of threads, which run a function: name it, `function = NAME`"});
    CHECK(complaints(hosted + "queue = 5\n") == Lines{"t:6: queue: is not of threads that do jobs"});
    CHECK(complaints(hosted + "[route r]\npath = /\nfiles = /\nopen_pool = t\n") ==
          Lines{"t:9: open_pool: [pool t] has a run: its threads do jobs, of a [queue]"});
    CHECK(complaints("[pool t]\nkind = thread\nrun = cgi ./x\n") ==
          Lines{"t:3: run: threads do jobs by functions of a module: `module NAME`"});
    CHECK(queue_complaints("pool = p\nfunction = f\n") ==
          Lines{"t:5: function: [pool p] has no module, whose function it would be"});
    CHECK(complaints("[upstream u]\npeer = 127.0.0.1:1\n[queue q]\nupstream = u /x\nfunction = f\n") ==
          Lines{"t:5: function: is of a pool's module; an upstream is asked for a path"});
    CHECK(complaints("[pool w]\nrun = work\n[queue q]\npool = w\n") ==
          Lines{"t:4: pool: [pool w] does what routes with work_pool say, no jobs"});
}

TEST_CASE("numbers and times of a queue have bounds", "[conf][queue]") {
    CHECK(queue_complaints("pool = p\njob_size_max = 2m\n[store]\nbodies_max = 1m\n") ==
          Lines{"t:5: job_size_max: bodies_max of [store] has room for 1m in all"});
    CHECK(queue_complaints("pool = p\nattempts = 0\n") ==
          Lines{"t:5: attempts: \"0\" is not a number, 1 to 1000"});
    CHECK(queue_complaints("pool = p\nbackoff = 2s..1s\n") ==
          Lines{"t:5: backoff: 2s is longer than 1s: the shorter time stands first"});
    CHECK(queue_complaints("pool = p\npriority = 101\n") ==
          Lines{"t:5: priority: \"101\" is not a number, -100 to 100"});
    CHECK(queue_complaints("pool = p\nsize_max = 1 2 3\n") ==
          Lines{"t:5: size_max: a number of jobs and a size are wanted: 100000 1g"});
    CHECK(queue_complaints("pool = p\njob_size_max = 65m\n").size() == 1);
    CHECK(queue_complaints("pool = p\nresult_max = 65m\n").size() == 1);
    CHECK(queue_complaints("pool = p\njob_size_max = 64m\nresult_max = 64m\n").empty());
    CHECK(BackOffType{}.parse({"5s", ""}) == BackOff{5s, 5s});
}

TEST_CASE("routes lead to queues that there are", "[conf][queue]") {
    CHECK(queue_complaints("pool = p\n[route r]\nenqueue = qq\n") ==
          Lines{"t:6: enqueue: there is no [queue qq]; valid: q"});
    CHECK(complaints("[route r]\njobs = on\n") ==
          Lines{"t:2: jobs: there is no [queue NAME], so there are no jobs"});
    CHECK(queue_complaints("pool = p\n[route r]\npath = ~ ^/x\njobs = on\nallow = all\n") ==
          Lines{"t:6: path: that of jobs is a prefix, which jobs stand below"});
    CHECK(queue_complaints("pool = p\n[route r]\njobs = on\njobs_token = short\n") ==
          Lines{"t:7: jobs_token: has 5 bytes, and may have 16 to 256"});
    CHECK(queue_complaints("pool = p\n[route r]\njobs = on\nallow = here\n") ==
          Lines{"t:7: allow: \"here\" is neither an address nor a network, nor all: 10.0.0.0/8, ::1"});
    CHECK(queue_complaints("pool = p\n[route r]\njobs = on\n") ==
          Lines{"t:6: jobs: whoever reaches this route could read, cancel and purge all jobs: it wants a "
                "jobs_token, or addresses to allow (`allow = all` where that is meant)"});
}

TEST_CASE("requests become jobs of a queue that goes where they go", "[conf][queue][async]") {
    const std::string all = R"([pool p]
run = cgi ./job.sh
[pool other]
run = cgi ./job.sh
[upstream u]
peer = 127.0.0.1:1
[upstream v]
peer = 127.0.0.1:2
[queue q]
pool = p
[queue w]
upstream = u /x
[route r]
)";  // thirteen lines
    const auto config = loaded(all + "pool = p\nasync = q\nasync_credentials = on\n");
    CHECK(config.routes[0].async == AsyncRequests{"q", true});
    CHECK(loaded(dump(config)) == config);
    CHECK(loaded(all + "proxy = u\nasync = w\n").routes[0].async == AsyncRequests{"w", false});
    CHECK(complaints(all + "pool = p\nasync = qq\n") ==
          Lines{"t:15: async: there is no [queue qq]; valid: q, w"});
    CHECK(complaints(all + "pool = other\nasync = q\n") ==
          Lines{"t:15: async: jobs of [queue q] go to [pool p], and requests of this route to [pool other]"});
    CHECK(complaints(all + "pool = p\nasync = w\n") ==
          Lines{"t:15: async: jobs of [queue w] go to [upstream u], and requests of this route to [pool p]"});
    CHECK(complaints(all + "proxy = v\nasync = w\n") ==
          Lines{"t:15: async: jobs of [queue w] go to [upstream u], and requests of this route to "
                "[upstream v]"});
    CHECK(complaints(all + "proxy = u\nasync = q\n") ==
          Lines{"t:15: async: jobs of [queue q] go to [pool p], and requests of this route to [upstream u]"});
    CHECK(complaints(all + "respond = 200\nasync = q\n").size() == 1);
    CHECK(complaints(all + "fastcgi = v\nasync = q\n").size() == 1);
    CHECK(complaints(all + "pool = p\nasync_credentials = on\n") ==
          Lines{"t:15: async_credentials: means nothing without async"});
    const auto told = advice(all + "pool = p\nasync = q\n");
    CHECK(std::find(told.begin(), told.end(),
                    "t:15: async: no route with `jobs = on` is on its servers; answers have no Location, and "
                    "results cannot be had but within `wait=`") != told.end());
    CHECK(std::find(told.begin(), told.end(), "t:9: no route leads to [queue q]") == told.end());
    CHECK(std::find(told.begin(), told.end(), "t:11: no route leads to [queue w]") != told.end());
}

TEST_CASE("a script is for FastCGI programs of a pool", "[conf][queue]") {
    const std::string php = "[pool p]\nrun = fastcgi php-cgi\n[queue q]\npool = p\nscript = /srv/job.php\n";
    CHECK(loaded(php).queues[0].script == "/srv/job.php");
    CHECK(queue_complaints("pool = p\nscript = /srv/job.php\n") ==
          Lines{"t:5: script: [pool p] runs no FastCGI programs, which are told of it"});
    CHECK(complaints("[upstream u]\npeer = 127.0.0.1:1\n[queue q]\nupstream = u /x\nscript = /x\n") ==
          Lines{"t:5: script: is for programs of a pool; an upstream is asked for a path"});
    CHECK(advice(php).back() == "t:5: script: there is no /srv/job.php");
}

TEST_CASE("routes to an upstream that also does jobs hide what clients call so", "[conf][queue]") {
    const auto config = loaded(R"([upstream u]
peer = 127.0.0.1:1
[upstream v]
peer = 127.0.0.1:2
[queue q]
upstream = u /x
[route a]
path = /a
proxy = u
[route b]
path = /b
proxy = v
[route c]
path = /c
fanout = v more=u/y
)");
    CHECK(config.routes[0].hides_job_fields);
    CHECK_FALSE(config.routes[1].hides_job_fields);
    CHECK(config.routes[2].hides_job_fields);
}

TEST_CASE("an upstream is asked by one protocol, by queues too", "[conf][queue]") {
    CHECK(complaints(
              "[upstream u]\npeer = 127.0.0.1:1\n[route r]\nfastcgi = u\n[queue q]\nupstream = u /x\n") ==
          Lines{"t:6: upstream: at line 4 [upstream u] is asked by FastCGI"});
}

TEST_CASE("what may not be meant of queues is told", "[conf][queue]") {
    const std::string queue = std::string(pool) + "[queue q]\npool = p\n";
    CHECK(advice(queue).back() == "t:3: no route leads to [queue q]");
    CHECK(advice(queue + "[route r]\nenqueue = q\n").back() ==
          "t:6: enqueue: no route with `jobs = on` is on its servers; answers have no Location, and nobody "
          "can ask what became of a job");
}

TEST_CASE("addresses are in networks by their first bits", "[conf][queue]") {
    CHECK(is_in_network("10.1.2.3", "10.0.0.0/8"));
    CHECK_FALSE(is_in_network("11.1.2.3", "10.0.0.0/8"));
    CHECK(is_in_network("192.168.1.129", "192.168.1.128/25"));
    CHECK_FALSE(is_in_network("192.168.1.127", "192.168.1.128/25"));
    CHECK(is_in_network("1.2.3.4", "0.0.0.0/0"));
    CHECK(is_in_network("::1", "::1"));
    CHECK(is_in_network("::ffff:10.0.0.1", "10.0.0.0/8"));
    CHECK_FALSE(is_in_network("::1", "0.0.0.0/0"));
    CHECK_FALSE(is_in_network("", "0.0.0.0/0"));
    CHECK_FALSE(is_in_network("unix:", "::/0"));
    CHECK(is_in_network("unix:", everybody));
}
