// What `include` brings in, in which order, and what it may not.
#include <algorithm>

#include "conf/load.h"
#include "tests/conf/temporary_folder.h"

using namespace conf;

namespace {

/// What `load` complains about; the folder's name is taken out of it.
std::vector<std::string> complaints(const TemporaryFolder& folder, const std::string& file) {
    std::vector<std::string> all;
    const auto result = load(file);
    if (result) return all;
    for (const auto& error : result.error()) {
        auto text = error.text();
        for (auto at = text.find(folder.path("")); at != text.npos; at = text.find(folder.path("")))
            text.erase(at, folder.path("").size());
        all.push_back(text);
    }
    return all;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("included files stand in place of their include, sorted by name", "[conf]") {
    TemporaryFolder folder;
    folder.write("conf.d/b.ini", "[route b]\npath = /b\nrespond = 200\n");
    folder.write("conf.d/a.ini", "[route a]\npath = /a\nrespond = 200\n");
    folder.write("conf.d/a.txt", "not read\n");
    const auto file =
        folder.write("reeve.ini", "include = conf.d/*.ini\n[route c]\npath = /c\nrespond = 200\n");
    const auto result = load(file);
    REQUIRE(result);
    REQUIRE(result->config.routes.size() == 3);
    CHECK(result->config.routes[0].name == "a");
    CHECK(result->config.routes[1].name == "b");
    CHECK(result->config.routes[2].name == "c");
    CHECK(result->config.path == file);
}

TEST_CASE("an include in [reeve] leaves the section open", "[conf]") {
    TemporaryFolder folder;
    folder.write("more.ini", "[execution]\nworkers = 3\n");
    const auto result =
        load(folder.write("reeve.ini", "[reeve]\nuser = a\ninclude = more.ini\ndaemon = on\n"));
    REQUIRE(result);
    CHECK(result->config.execution.workers == 3);
    CHECK(result->config.reeve.user == "a");
    CHECK(result->config.reeve.daemon);
}

TEST_CASE("relative paths count from the folder of the file they stand in", "[conf]") {
    TemporaryFolder folder;
    folder.write("sub/more.ini", "include = deep.ini\n[route a]\npath = /a\nfiles = www/\n");
    folder.write("sub/deep.ini", "[route b]\npath = /b\nfiles = ../www/./x\n");
    const auto result =
        load(folder.write("reeve.ini", "include = sub/more.ini\n[reeve]\npid_file = run/a.pid\n"));
    REQUIRE(result);
    CHECK(result->config.reeve.pid_file == folder.path("run/a.pid"));
    CHECK(result->config.routes.at(0).files.root == folder.path("www/x"));
    CHECK(result->config.routes.at(1).files.root == folder.path("sub/www"));
}

TEST_CASE("complaints name the included file and come in the order of inclusion", "[conf]") {
    TemporaryFolder folder;
    folder.write("a.ini", "[server x]\n\nlisten = y\n");
    folder.write("b.ini", "[server x]\n");
    const auto file = folder.write("reeve.ini", "include = b.ini a.ini\n[reeve]\nuser = a\nuser = b\n");
    CHECK(complaints(folder, file) ==
          Lines{
              "reeve.ini:4: user: stands already, at line 3",
              "a.ini:1: [server x] stands already, at b.ini:1",
              "a.ini:3: listen: \"y\" names no port: HOST:PORT, PORT or unix:PATH",
          });
}

TEST_CASE("a pattern may match nothing, a name must be there", "[conf]") {
    TemporaryFolder folder;
    CHECK(load(folder.write("none.ini", "include = conf.d/*.ini\n")));
    CHECK(complaints(folder, folder.write("reeve.ini", "\ninclude = gone.ini\n")) ==
          Lines{"reeve.ini:2: include: gone.ini cannot be read: No such file or directory"});
    folder.write("sub/x.ini", "");
    CHECK(complaints(folder, folder.write("reeve.ini", "include = sub\n")) ==
          Lines{"reeve.ini:1: include: sub cannot be read: Is a directory"});
}

TEST_CASE("a cycle of includes is refused, by whatever name it closes", "[conf]") {
    TemporaryFolder folder;
    folder.write("a.ini", "include = b.ini\n");
    folder.write("b.ini", "include = ../" +
                              std::filesystem::path(folder.path("")).parent_path().filename().string() +
                              "/reeve.ini\n");
    const auto all = complaints(folder, folder.write("reeve.ini", "include = a.ini\n"));
    REQUIRE(all.size() == 1);
    CHECK(all[0].starts_with("b.ini:1: include: "));
    CHECK(all[0].ends_with("is the main file, which leads here"));
}

TEST_CASE("a file included twice is refused", "[conf]") {
    TemporaryFolder folder;
    folder.write("a.ini", "");
    CHECK(complaints(folder, folder.write("reeve.ini", "include = a.ini\n  ./a.ini\n")) ==
          Lines{"reeve.ini:2: include: ./a.ini is included already, at line 1"});
}

TEST_CASE("includes are followed eight files deep and no further", "[conf]") {
    TemporaryFolder folder;
    for (int i = 0; i < 9; ++i)
        folder.write(std::to_string(i) + ".ini", "include = " + std::to_string(i + 1) + ".ini\n");
    folder.write("9.ini", "");
    CHECK(load(folder.path("1.ini")));
    CHECK(complaints(folder, folder.path("0.ini")) == Lines{"8.ini:1: include: more than 8 files deep"});
}

TEST_CASE("a folder whose name looks like a pattern is taken as it is", "[conf]") {
    TemporaryFolder folder;
    folder.write("a[b]*/x.ini", "[server x]\n");
    const auto result = load(folder.write("a[b]*/reeve.ini", "include = *.ix\n  x.i?i\n"));
    REQUIRE(result);
    CHECK(result->config.servers.at(0).name == "x");
}

TEST_CASE("a file larger than its bound is refused", "[conf]") {
    TemporaryFolder folder;
    const auto all = complaints(folder, folder.write("reeve.ini", std::string((4 << 20) + 1, '\n')));
    CHECK(all == Lines{"reeve.ini: cannot be read: is larger than 4194304 bytes"});
}
