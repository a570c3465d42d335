#include "conf/plan.h"

#include "tests/conf/refused.h"

using namespace conf;

TEST_CASE("every address is planned once, in file order", "[conf]") {
    const auto config = loaded(
        "[server a]\nlisten = 80\n  81\n[server b]\nname = b\nlisten = *:81\n  unix:/run/b\n[server c]\nname "
        "= c\nlisten = 80\n");
    std::vector<std::string> plan;
    for (const auto& listen : listen_plan(config)) plan.push_back(listen.address.text());
    CHECK(plan == std::vector<std::string>{"0.0.0.0:80", "0.0.0.0:81", "unix:/run/b"});
}

TEST_CASE("every access log is planned once, in file order, and off is none", "[conf]") {
    const auto config = loaded(
        "[server a]\nlisten = 80\naccess_log = /b.log\n[server b]\nlisten = 81\naccess_log = off\n"
        "[server c]\nlisten = 82\naccess_log = /a.log json\n[server d]\nlisten = 83\naccess_log = /b.log "
        "json\n");
    CHECK(access_log_paths(config) == std::vector<std::string>{"/b.log", "/a.log"});
}

TEST_CASE("an address is never shed where nothing else can be asked", "[conf]") {
    const std::string servers =
        "[server site]\nlisten = 80\n[server admin]\nname = admin\nlisten = 81\n  82\n[server other]\nname = "
        "other\nlisten = 82\n[route live]\nserver = admin\npath = /live\nhealth = live\n";
    const std::string status = "[route s]\nserver = site admin\npath = /s\nstatus = on\n";
    const std::string site = "[route r]\nserver = site\nrespond = 200\n";
    const auto spared = [&](const std::string& routes) {
        return never_shed_addresses(loaded(servers + routes));
    };
    using All = std::vector<bool>;
    CHECK(spared(status + site) == All{false, true, true});
    CHECK(spared(status) == All{true, true, true});
    CHECK(spared(status + "[route r]\nserver = site other\nrespond = 200\n") == All{false, true, false});
    CHECK(spared(status + "[route r]\nrespond = 200\n") == All{false, false, false});  // of every server
}
