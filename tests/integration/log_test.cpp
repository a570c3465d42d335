// The access log: its formats, and that a client cannot write in it what it likes.
#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/integration/check.h"
#include "tests/integration/server.h"

using namespace integration;

namespace {

const std::string hello =
    "[route hello]\npath = /\nrespond = 200 \"hello\"\n[route files]\npath = /files/\nfiles = @folder@/www\n";

Setup logging(const std::string& format) {
    return {.server = "access_log = @folder@/access.log" + format + "\n", .routes = hello};
}

/// What was logged, once the server has ended.
std::string logged(Server& server, const TemporaryFolder& folder) {
    CHECK(server.stop() == 0);
    return contents(folder.path("access.log"));
}

}  // namespace

TEST_CASE("a line in the combined format is exact", "[integration][log]") {
    const TemporaryFolder folder;
    Server server(folder, logging(""));
    CHECK(server.get("/a?b=c", "Referer: http://from.example/\r\nUser-Agent: tests/1.0 (none)\r\n").status ==
          200);
    const std::string line = logged(server, folder);
    const std::string before = "127.0.0.1 - - [";
    const std::string after =
        "] \"GET /a?b=c HTTP/1.1\" 200 5 \"http://from.example/\" \"tests/1.0 (none)\"\n";
    const std::string date = "20/Nov/2026:12:13:14 +0000";
    CHECK(line.size() == before.size() + date.size() + after.size());
    CHECK(line.substr(0, before.size()) == before);
    REQUIRE(line.size() > before.size() + date.size());
    CHECK(line.substr(before.size() + date.size()) == after);
    const std::string time = line.substr(before.size(), date.size());
    for (const std::size_t at : {2u, 6u}) CHECK(time[at] == '/');
    for (const std::size_t at : {11u, 14u, 17u}) CHECK(time[at] == ':');
    CHECK((time[21] == '+' || time[21] == '-'));
}

TEST_CASE("each answer has one line, with its status and size", "[integration][log]") {
    const TemporaryFolder folder;
    Server server(folder, logging(""));
    Client client = server.connect();
    client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nHEAD / HTTP/1.1\r\nHost: test\r\n\r\n" +
                get("/files/none") + "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\nhi" +
                "BREW / HTTP/1.1\r\n\r\n");
    CHECK(client.response().status == 200);
    CHECK(client.response(Body::none).status == 200);
    const Response missing = client.response();
    CHECK(missing.status == 404);
    CHECK(client.response().status == 200);
    CHECK(client.response().status == 501);
    const std::string log = logged(server, folder);
    CHECK(count(log, "\n") == 5);
    CHECK(contains(log, "\"GET / HTTP/1.0\" 200 5 \"-\" \"-\"\n"));
    CHECK(contains(log, "\"HEAD / HTTP/1.1\" 200 0 \"-\" \"-\"\n"));
    CHECK(contains(log, "\"GET /files/none HTTP/1.1\" 404 " + std::to_string(missing.body.size()) + " "));
    CHECK(contains(log, "\"POST / HTTP/1.1\" 200 5 "));
    CHECK(contains(log, "\" 501 "));
}

TEST_CASE("a line in the json format is one object", "[integration][log]") {
    const TemporaryFolder folder;
    Server server(folder, logging(" json"));
    CHECK(server.get("/x\"yz?q=\"\"", "User-Agent: \"quoted\" \\ \xc3\x28 end\r\nRange: bytes=0-1\r\n")
              .status >= 200);
    CHECK(server.get("/plain").status == 200);
    const std::string log = logged(server, folder);
    CHECK(count(log, "\n") == 2);
    for (std::size_t at = 0; at < log.size();) {
        const auto end = log.find('\n', at);
        const auto line = nlohmann::json::parse(log.substr(at, end - at), nullptr, false);
        CAPTURE(log.substr(at, end - at));
        REQUIRE(line.is_object());
        CHECK(line.at("remote_addr") == "127.0.0.1");
        CHECK(line.at("request_method") == "GET");
        CHECK(line.at("server_name") == "site");
        CHECK(line.at("status").is_number_integer());
        CHECK(line.at("bytes_sent").get<int>() > line.at("body_bytes_sent").get<int>());
        CHECK(line.at("request_time").is_number());
        CHECK(line.at("keep_alive") == false);
        if (line.at("request_uri") == "/plain") {
            CHECK(line.at("status") == 200);
            CHECK(line.at("body_bytes_sent") == 5);
            CHECK(line.at("route") == "hello");
        } else {
            CHECK(line.at("http_user_agent") == "\"quoted\" \\ \xEF\xBF\xBD( end");
        }
        at = end + 1;
    }
}

TEST_CASE("a client cannot forge a line", "[integration][log]") {
    const TemporaryFolder folder;
    Server server(folder, logging(""));
    const std::string forged = "\" 200 5 \"-\" \"-\"\\n127.0.0.1 - - [forged] \"GET /forged";
    Client client = server.connect();
    client.send(get("/a\"b", "User-Agent: " + forged + "\r\nReferer: \x01\x1b[31m\t\x7f\\x22\r\n"));
    CHECK(client.response().status >= 200);
    CHECK(server.ask("GET /x HTTP/1.1\r\nHost: test\r\nUser-Agent: a\nb\r\n\r\n").status == 400);
    CHECK(server.ask("GET /\x1b[2J HTTP/1.1\r\nHost: test\r\n\r\n").status == 400);
    CHECK(server.ask("G\"T / HTTP/1.1\r\nHost: test\r\n\r\n").status == 400);
    const std::string log = logged(server, folder);
    CAPTURE(log);
    CHECK(count(log, "\n") == 4);
    CHECK_FALSE(contains(log, "\n127.0.0.1 - - [forged]"));
    CHECK(std::none_of(log.begin(), log.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return (byte < 0x20 && c != '\n') || byte == 0x7f;
    }));
    // Six quotes a line are ours; those of clients are written as numbers.
    CHECK(std::count(log.begin(), log.end(), '"') == 4 * 6);
    CHECK(contains(log, "/a\\x22b"));
}

TEST_CASE("access_log = off writes nothing", "[integration][log]") {
    const TemporaryFolder folder;
    Server server(folder, {.server = "access_log = off\n", .routes = hello});
    CHECK(server.get("/secret").status == 200);
    CHECK(server.stop() == 0);
    CHECK_FALSE(std::filesystem::exists(folder.path("access.log")));
    CHECK_FALSE(contains(server.log(), "/secret"));
}

TEST_CASE("a format of one's own is written as it stands", "[integration][log]") {
    const TemporaryFolder folder;
    Server server(folder,
                  {.execution = "workers = 1\n",
                   .server = "access_log = @folder@/access.log \"<$request_method|$request_uri|$host|$status|"
                             "${body_bytes_sent}b|$connection_requests|$worker|$route|$$|"
                             "$http_user_agent>\"\n",
                   .routes = hello});
    Client client = server.connect();
    client.send(get("/one", "User-Agent: me\r\n") + get("/two"));
    CHECK(client.response().status == 200);
    CHECK(client.response().status == 200);
    CHECK(logged(server, folder) ==
          "<GET|/one|test|200|5b|1|0|hello|$|me>\n<GET|/two|test|200|5b|2|0|hello|$|->\n");
}

TEST_CASE("lines reach the file while the server runs", "[integration][log]") {
    const TemporaryFolder folder;
    const Server server(folder, logging(""));
    CHECK(server.get("/now").status == 200);
    eventually("the line is there",
               [&] { return contains(contents(folder.path("access.log")), "GET /now "); });
}
