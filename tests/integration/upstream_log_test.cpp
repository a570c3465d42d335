// What the access log says of the peers that were asked, on the real program.
#include "tests/integration/check.h"
#include "tests/integration/proxied.h"

using namespace integration;

namespace {

/// The only line that holds `part`, once it is written.
std::string line_with(const std::string& path, const std::string& part) {
    std::string found;
    eventually("a line with " + part, [&] {
        const std::string all = contents(path);
        const auto at = all.find(part);
        if (at == std::string::npos) return false;
        const auto begin = all.rfind('\n', at) + 1;
        found = all.substr(begin, all.find('\n', at) - begin);
        return true;
    });
    return found;
}

}  // namespace

TEST_CASE("the access log tells of each peer that was asked", "[integration][log]") {
    const TemporaryFolder folder;
    Origin refusing(leaving("")), good(always(answer("good")));
    Origin stuck([](const Asked& asked, Origin::Talk& talk) {
        if (asked.target() == "/stuck") return talk.await_end();
        talk.send(answer("x", "", 503));
    });
    const std::string log = folder.path("access.log");
    const auto setup = [&](Setup made) {
        made.server =
            "access_log = @folder@/access.log "
            "$request_uri|$upstream_addr|$upstream_status|$upstream_connect_time|"
            "$upstream_header_time|$upstream_response_time|\n";
        made.routes += "[route plain]\npath = = /plain\nrespond = 200 \"x\"\n";
        return made;
    };
    const auto says = [&](const std::string& target) {
        std::vector<std::string> fields;
        std::string line = line_with(log, target + "|");
        for (std::size_t at = 0, end; (end = line.find('|', at)) != std::string::npos; at = end + 1)
            fields.push_back(line.substr(at, end - at));
        REQUIRE(fields.size() == 6);
        return fields;
    };
    SECTION("of retries") {
        const Server server(folder, setup(passing_to({refusing.address(), good.address() + " backup"})));
        CHECK(server.get("/retried").body == "good");
        CHECK(server.get("/plain").body == "x");
        const auto fields = says("/retried");
        CHECK(fields[1] == refusing.address() + ", " + good.address());
        CHECK(fields[2] == "502, 200");
        CHECK(fields[3].starts_with("0."));
        CHECK(fields[4].starts_with("-, 0."));
        CHECK(count(fields[5], "0.") == 2);
        for (int i = 1; i < 6; ++i) CHECK(says("/plain")[static_cast<std::size_t>(i)] == "-");
    }
    SECTION("of one that cannot be reached") {
        const std::string gone = nobody();
        const Server server(folder, setup(passing_to({gone}, "retries = 0\n")));
        CHECK(server.get("/gone").status == 502);
        const auto fields = says("/gone");
        CHECK(fields[1] == gone);
        CHECK(fields[2] == "502");
        CHECK(fields[3] == "-");
        CHECK(fields[4] == "-");
        CHECK(fields[5].starts_with("0."));
    }
    SECTION("and of what stands in for them") {
        Setup made = passing_to({refusing.address()}, "retries = 0\nfallback = /other\n");
        made.routes +=
            "[upstream good]\npeer = " + good.address() + "\n[route other]\npath = = /other\nproxy = good\n";
        const Server server(folder, setup(made));
        CHECK(server.get("/failed").body == "good");
        const auto fields = says("/failed");
        CHECK(fields[1] == refusing.address() + " : " + good.address());
        CHECK(fields[2] == "502 : 200");
    }
    SECTION("of hedges") {
        const Server server(folder, setup(passing_to({stuck.address(), good.address() + " backup"}, "",
                                                     "hedge = on\nhedge_delay_min = 5ms\nhedge_delay_max = "
                                                     "5ms\nhedge_budget = 100\n")));
        CHECK(server.get("/stuck").body == "good");
        const auto fields = says("/stuck");
        CHECK(fields[1] == stuck.address() + ", " + good.address());
        CHECK(fields[2] == "-, 200");
        CHECK(fields[4].starts_with("-, 0."));
        CHECK(count(fields[5], "0.") == 2);
    }
    SECTION("of parts of a fan-out") {
        Setup made = passing_to({stuck.address()});
        made.routes += "[upstream good]\npeer = " + good.address() +
                       "\n[route fan]\npath = /fan\nfanout = origin good\nmerge = concat\n";
        const Server server(folder, setup(made));
        CHECK(server.get("/fan").body == "good");
        const auto fields = says("/fan");
        CHECK(fields[1] == stuck.address() + " : " + good.address());
        CHECK(fields[2] == "503 : 200");
    }
}
