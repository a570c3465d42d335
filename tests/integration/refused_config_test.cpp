// What is wrong in a configuration is told with file and line, and nothing is touched.
#include <algorithm>
#include <filesystem>

#include "tests/integration/check.h"
#include "tests/integration/server.h"

using namespace integration;

namespace {

struct Mistake {
    std::string lines;  ///< what follows the good lines
    int line;           ///< counted from the first of them
    std::string message;
};

const std::vector<Mistake> mistakes{
    {"[sever a]\n", 1, "unknown section `sever`; did you mean `server`?"},
    {"[server]\n", 1, "[server] needs a name"},
    {"[server a\n", 1, "is not closed"},
    {"[server site]\n", 1, "[server site] stands already"},
    {"[execution]\nwokers = 2\n", 2, "unknown key `wokers`; did you mean `workers`?"},
    {"[execution]\nworkers = many\n", 2, "workers: "},
    {"[execution]\nworkers = 2\nworkers = 3\n", 3, "workers: stands already"},
    {"[execution]\naccept = share\n", 2, "did you mean `shared`?"},
    {"[execution]\nworkers =\n", 2, "workers: has no value"},
    {"[server b]\nlisten = 127.0.0.1:http\n", 2, "listen: port \"http\""},
    {"[server b]\nlisten = example.org:80\n", 2, "listen: \"example.org\" is not a numeric address"},
    {"[server b]\nlisten = unix:@folder@/control\n", 2, "is `control` already"},
    {"[server b]\nheader_timeout = 10x\n", 2, "header_timeout: \"10x\" is not a time"},
    {"[server b]\nbody_max = 32q\n", 2, "body_max: \"32q\" is not a size"},
    {"[server b]\nname = a..b\n", 2, "name: \"a..b\" is not a host name"},
    {"[server b]\naccess_log = @folder@/access.log $stauts\n", 2, "did you mean $status?"},
    {"[server b]\nadd_header = X: \"a\\r\\nY: b\"\n", 2, "add_header: a control character"},
    {"[server b]\nerror_page = 200 /x\n", 2, "error_page: status \"200\""},
    {"[server b]\nlisten = 127.0.0.1:@port@\n", 1, "name: none here, and none at line"},
    {"[route r]\npath = /r\n", 1, "[route r] has no handler"},
    {"[route r]\npath = /r\nfiles = /a\nrespond = 200\n", 4, "respond: the route has a handler already"},
    {"[route r]\npath = r\nrespond = 200\n", 2, "path: \"r\" does not begin with `/`"},
    {"[route r]\npath = ~ ^/(a\nrespond = 200\n", 2, "is not a regular expression"},
    {"[route r]\npath = /r\nserver = sit\nrespond = 200\n", 3,
     "there is no [server sit]; did you mean `site`?"},
    {"[route r]\npath = /r\nrespond = 204 \"text\"\n", 3, "respond: status 204 has no body"},
    {"[route r]\npath = /r\nrespond = 200 \"$hots\"\n", 3, "respond: unknown variable \"$hots\""},
    {"[route r]\npath = /ok\nrespond = 200\n", 2, "path: [route ok] at line"},
    {"[route r]\npath = /r\nredirect = 300 /\n", 3, "redirect: \"300\" is not one of"},
    {"[route r]\npath = /r\nhealth = lively\n", 3, "did you mean `live`?"},
    {"[route r]\npath = /r\nrespond = 200\nindex = a\n", 4, "index: belongs to `files`"},
    {"[" + std::string(60, 'x') + "]\n", 1, "is longer than 49 characters"},
};

const std::string good =
    "[reeve]\ncontrol = @folder@/control\npid_file = @folder@/pid\nerror_log = @folder@/error.log\n"
    "[server site]\nlisten = 127.0.0.1:@port@\nlisten = unix:@folder@/site\n"
    "access_log = @folder@/access.log\n"
    "[route ok]\npath = /ok\nrespond = 200\n";

std::string filled(std::string text, const TemporaryFolder& folder, std::uint16_t port) {
    for (const auto& [what, with] :
         {std::pair{std::string("@folder@"), std::filesystem::path(folder.path("x")).parent_path().string()},
          std::pair{std::string("@port@"), std::to_string(port)}})
        for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size()))
            text.replace(at, what.size(), with);
    return text;
}

std::size_t files_in(const TemporaryFolder& folder) {
    const std::filesystem::recursive_directory_iterator all(
        std::filesystem::path(folder.path("x")).parent_path());
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

}  // namespace

TEST_CASE("a mistake is refused with its line by a check and by a start, and nothing is touched",
          "[integration][config]") {
    const std::uint16_t port = free_port();
    for (const Mistake& mistake : mistakes) {
        CAPTURE(mistake.lines);
        const TemporaryFolder folder;
        const std::string config = folder.write("mistake.ini", filled(good + mistake.lines, folder, port));
        const auto line = std::count(good.begin(), good.end(), '\n') + mistake.line;
        const std::string where = config + ":" + std::to_string(line) + ": ";
        for (const bool only_check : {true, false}) {
            CAPTURE(only_check);
            const Ran ran = run(only_check ? std::vector<std::string>{reeve(), "-t", "-c", config}
                                           : std::vector<std::string>{reeve(), "-c", config});
            CAPTURE(ran.errors);
            CHECK(ran.status == 2);
            const auto said = ran.errors.find(where);
            CHECK(said != std::string::npos);
            if (said != std::string::npos)
                CHECK(contains(ran.errors.substr(said, ran.errors.find('\n', said) - said), mistake.message));
            CHECK(ran.output.empty());
            CHECK(files_in(folder) == 1);
            CHECK(is_free(port));
        }
    }
}

TEST_CASE("a mistake in an included file is refused with that file's name", "[integration][config]") {
    const TemporaryFolder folder;
    const std::string config = folder.write("reeve.ini", "include = parts/*.ini\n");
    folder.write("parts/a.ini", "[route a]\npath = /a\nrespond = 200\n");
    const std::string wrong = folder.write("parts/b.ini", "\n[route b]\npath = /b\nrespnd = 200\n");
    const Ran ran = run({reeve(), "-t", "-c", config});
    CHECK(ran.status == 2);
    CHECK(contains(ran.errors, wrong + ":4: unknown key `respnd`; did you mean `respond`?"));
}

TEST_CASE("all mistakes are told at once", "[integration][config]") {
    const TemporaryFolder folder;
    const std::string config = folder.write(
        "reeve.ini", "[reeve]\ndaemon = maybe\n[route r]\nserver = b\nrespond = 999\n[nothing]\n");
    const Ran ran = run({reeve(), "-t", "-c", config});
    CHECK(ran.status == 2);
    for (const std::string line : {"2", "4", "5", "6"})
        CHECK(contains(ran.errors, config + ":" + line + ": "));
}

TEST_CASE("checking a good configuration touches nothing either", "[integration][config]") {
    const TemporaryFolder folder;
    const std::uint16_t port = free_port();
    const std::string config = folder.write("good.ini", filled(good, folder, port));
    CHECK(run({reeve(), "-t", "-c", config}).status == 0);
    const Ran dump = run({reeve(), "-T", "-c", config});
    CHECK(dump.status == 0);
    CHECK(files_in(folder) == 1);
    CHECK(is_free(port));

    const std::string again = folder.write("again.ini", dump.output);
    CHECK(run({reeve(), "-T", "-c", again}).output == dump.output);
}

TEST_CASE("a configuration that cannot be read is named", "[integration][config]") {
    const TemporaryFolder folder;
    const std::string missing = folder.path("missing.ini");
    const Ran ran = run({reeve(), "-t", "-c", missing});
    CHECK(ran.status == 2);
    CHECK(contains(ran.errors, missing));
    CHECK(contains(ran.errors, "No such file or directory"));
    CHECK(run({reeve(), "-t", "-s", "stop"}).status == 2);
    CHECK(run({reeve(), "--nonsense"}).status == 2);
}
