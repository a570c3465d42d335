#include "worker/handler/scripts.h"

#include <sys/stat.h>
#include <unistd.h>

#include "tests/conf/temporary_folder.h"

using worker::handler::Script;
using worker::handler::Scripts;

namespace {

/// Files below a root, and what paths come to.
struct Site {
    Site() {
        route.cgi.script_root = folder.path("root");
        std::filesystem::create_directories(folder.path("root"));
    }
    void file(const std::string& name) { folder.write("root/" + name, "x"); }
    Script find(const std::string& path) {
        Script script;
        Scripts(route).find(path, script);
        return script;
    }
    /// "SCRIPT_NAME|PATH_INFO|SCRIPT_FILENAME below the root", or the refusal.
    std::string of(const std::string& path) {
        const Script script = find(path);
        if (script.refusal != 0) return std::to_string(script.refusal);
        std::string file = script.file;
        if (file.starts_with(route.cgi.script_root)) file.erase(0, route.cgi.script_root.size());
        return script.name + "|" + script.info + "|" + file;
    }

    TemporaryFolder folder;
    conf::Route route;
};

}  // namespace

TEST_CASE("a path is split behind the first script in it", "[fastcgi][scripts]") {
    Site site;
    site.file("a.php");
    site.file("sub/b.php");
    CHECK(site.of("/a.php") == "/a.php||/a.php");
    CHECK(site.of("/a.php/") == "/a.php|/|/a.php");
    CHECK(site.of("/a.php/b.php/c") == "/a.php|/b.php/c|/a.php");
    CHECK(site.of("/sub/b.php/x\n\r y") == "/sub/b.php|/x\n\r y|/sub/b.php");
    CHECK(site.find("/a.php").file == site.route.cgi.script_root + "/a.php");
}

TEST_CASE("a folder may be named like a script", "[fastcgi][scripts]") {
    Site site;
    site.file("dir.php/b.php");
    CHECK(site.of("/dir.php/b.php/i") == "/dir.php/b.php|/i|/dir.php/b.php");
    CHECK(site.of("/dir.php/none") == "404");
}

TEST_CASE("only a script that is there is run", "[fastcgi][scripts]") {
    Site site;
    site.file("upload.jpg");
    site.file("a.phps");
    site.file(".php");
    for (const char* path : {"/upload.jpg/x.php", "/upload.jpg", "/none.php", "/none.php/upload.jpg",
                             "/a.phps", "/.php", "/", "/a.php\n/x"}) {
        CAPTURE(path);
        CHECK(site.of(path) == "404");
    }
    CHECK(site.of("/" + std::string(300, 'n') + ".php") == "404");
}

TEST_CASE("names that begin with a dot are nobody's script", "[fastcgi][scripts]") {
    Site site;
    site.file(".git/x.php");
    site.file(".hidden.php");
    site.file(".well-known/x.php");
    site.file("a.php");
    CHECK(site.of("/.git/x.php") == "404");
    CHECK(site.of("/.hidden.php") == "404");
    CHECK(site.of("/.well-known/x.php") == "/.well-known/x.php||/.well-known/x.php");
    CHECK(site.of("/a.php/.x") == "/a.php|/.x|/a.php");  // that is the script's business
}

TEST_CASE("no link leads out of the root, and within it they lead", "[fastcgi][scripts]") {
    Site site;
    site.file("a.php");
    site.folder.write("outside.php", "x");
    REQUIRE(::symlink("../outside.php", site.folder.path("root/out.php").c_str()) == 0);
    REQUIRE(::symlink("a.php", site.folder.path("root/in.php").c_str()) == 0);
    CHECK(site.of("/out.php") == "404");
    CHECK(site.of("/in.php") == "/in.php||/in.php");
}

TEST_CASE("what is no file is no script, and waits for nobody", "[fastcgi][scripts]") {
    Site site;
    REQUIRE(::mkfifo(site.folder.path("root/pipe.php").c_str(), 0600) == 0);
    CHECK(site.of("/pipe.php") == "403");
}

TEST_CASE("a folder is its index, and wants its slash", "[fastcgi][scripts]") {
    Site site;
    site.file("index.php");
    site.file("blog/index.php");
    site.file("empty/x.txt");
    CHECK(site.of("/") == "/index.php||/index.php");
    CHECK(site.of("/blog/") == "/blog/index.php||/blog/index.php");
    CHECK(site.of("/blog") == "301");
    CHECK(site.of("/empty/") == "404");
    CHECK(site.of("/empty") == "404");
    site.route.cgi.script_index.clear();
    CHECK(site.of("/") == "404");
    CHECK(site.of("/blog") == "404");
}

TEST_CASE("where a path leads to no script the fallback answers", "[fastcgi][scripts]") {
    Site site;
    site.route.cgi.script_fallback = "/front.php";
    CHECK(site.of("/x") == "404");  // it is not there either
    site.file("front.php");
    site.file("a.php");
    site.file("pic.jpg");
    CHECK(site.of("/any/thing") == "/front.php||/front.php");
    CHECK(site.of("/pic.jpg/x.php") == "/front.php||/front.php");
    CHECK(site.of("/none.php") == "/front.php||/front.php");
    CHECK(site.of("/.git/config") == "/front.php||/front.php");
    CHECK(site.of("/a.php/i") == "/a.php|/i|/a.php");
}

TEST_CASE("other extensions, another root for the peer, and a prefix that does not count",
          "[fastcgi][scripts]") {
    Site site;
    site.file("a.phtml");
    site.file("a.php");
    site.route.cgi.script_extensions = {".phtml"};
    site.route.cgi.script_peer_root = "/var/www/";
    CHECK(site.of("/a.phtml/i") == "/a.phtml|/i|/var/www/a.phtml");
    CHECK(site.of("/a.php") == "404");
    site.route.path.text = "/app/";
    site.route.strip_prefix = true;
    CHECK(site.of("/app/a.phtml/i") == "/app/a.phtml|/i|/var/www/a.phtml");
    CHECK(site.of("/a.phtml") == "/a.phtml||/var/www/a.phtml");  // an error page, say
    site.route.path.text = "/app";
    site.file("index.phtml");
    site.route.cgi.script_index = "index.phtml";
    CHECK(site.of("/app") == "/app/index.phtml||/var/www/index.phtml");
    CHECK(site.of("/apple.phtml") == "404");
}

TEST_CASE("without a root the peer is the program, behind the route's path", "[fastcgi][scripts]") {
    Site site;
    site.route.cgi.script_root.clear();
    CHECK(site.of("/a.php/b") == "|/a.php/b|");
    site.route.path.text = "/app/";
    CHECK(site.of("/app/x/y") == "/app|/x/y|");
    CHECK(site.of("/app/") == "/app|/|");
    site.route.path = {conf::PathMatch::Kind::exact, "/app"};
    CHECK(site.of("/app") == "/app||");
    site.route.path = {conf::PathMatch::Kind::regex, "^/app"};
    CHECK(site.of("/app/x") == "|/app/x|");
}
