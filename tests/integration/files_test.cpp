// Files as clients see them: names, conditions, ranges, variants, and what changes underneath.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "tests/integration/check.h"
#include "tests/integration/server.h"

using namespace integration;
namespace fs = std::filesystem;

namespace {

constexpr std::size_t large_size = 300'000;  // more than is kept in memory

std::string pattern(std::size_t size) {
    std::string text;
    text.reserve(size + 16);
    for (std::size_t i = 0; text.size() < size; ++i) text += std::to_string(i * 7919) + ",";
    text.resize(size);
    return text;
}

Setup serving(const std::string& route_lines = "", const std::string& execution = "") {
    return {.execution = "workers = 2\n" + execution,
            .routes = "[route files]\npath = /\nfiles = @folder@/www\n" + route_lines};
}

std::string dated(const Response& response) { return response.field("Last-Modified"); }

}  // namespace

TEST_CASE("a folder is its index, or nothing", "[integration][files]") {
    const TemporaryFolder folder;
    folder.write("www/index.html", "home");
    folder.write("www/sub/index.htm", "second choice");
    folder.write("www/bare/file.txt", "x");
    const Server server(folder, serving("index = index.html index.htm\n"));
    CHECK(server.get("/").body == "home");
    CHECK(server.get("/").field("Content-Type") == "text/html; charset=utf-8");
    CHECK(server.get("/sub/").body == "second choice");
    CHECK(server.get("/bare/").status == 403);
    CHECK(server.get("/bare/file.txt").status == 200);
    CHECK(server.get("/bare/file.txt/").status == 404);
    CHECK(server.get("/none").status == 404);
    CHECK(server.get("/none/").status == 404);
}

TEST_CASE("a folder without its slash is redirected, its query too", "[integration][files]") {
    const TemporaryFolder folder;
    folder.write("www/sub dir/index.html", "there");
    const Server server(folder, serving());
    const Response response = server.get("/sub%20dir?a=b%20c&d");
    CHECK(response.status == 301);
    CHECK(response.field("Location") == "/sub%20dir/?a=b%20c&d");
    CHECK(server.get("/sub%20dir/").body == "there");
    CHECK(server.get("//sub%20dir").field("Location") == "/sub%20dir/");  // never another host
    CHECK(server.get("/x/../sub%20dir").field("Location") == "/sub%20dir/");
}

TEST_CASE("autoindex lists what may be seen", "[integration][files]") {
    const TemporaryFolder folder;
    folder.write("www/a&b<c>.txt", "12345");
    folder.write("www/sub/file", "");
    folder.write("www/.hidden", "");
    folder.write("www/with/index.html", "index");
    SECTION("as a page") {
        const Server server(folder, serving("autoindex = html\n"));
        const Response page = server.get("/");
        CHECK(page.status == 200);
        CHECK(page.field("Content-Type") == "text/html; charset=utf-8");
        CHECK(contains(page.body, "a&amp;b&lt;c&gt;.txt"));
        CHECK_FALSE(contains(page.body, "<c>"));
        CHECK(contains(page.body, "href=\"./sub/\""));
        CHECK_FALSE(contains(page.body, "hidden"));
        CHECK(server.get("/with/").body == "index");
    }
    SECTION("as JSON") {
        const Server server(folder, serving("autoindex = json\n"));
        const Response list = server.get("/");
        CHECK(list.field("Content-Type") == "application/json");
        CHECK(contains(list.body, "\"name\": \"a&b<c>.txt\""));
        CHECK(contains(list.body, "\"size\": 5"));
        CHECK(contains(list.body, "\"type\": \"directory\""));
        CHECK_FALSE(contains(list.body, "hidden"));
    }
}

TEST_CASE("types follow the name", "[integration][files]") {
    const TemporaryFolder folder;
    for (const std::string name :
         {"a.html", "a.css", "a.js", "a.png", "a.SVG", "a.wasm", "a.unknown", "none"})
        folder.write("www/" + name, "x");
    const Server server(folder, serving());
    const auto type = [&](const std::string& name) { return server.get("/" + name).field("Content-Type"); };
    CHECK(type("a.html") == "text/html; charset=utf-8");
    CHECK(type("a.css") == "text/css; charset=utf-8");
    CHECK(type("a.js") == "text/javascript; charset=utf-8");
    CHECK(type("a.png") == "image/png");
    CHECK(contains(type("a.SVG"), "image/svg+xml"));
    CHECK(type("a.wasm") == "application/wasm");
    CHECK(type("a.unknown") == "application/octet-stream");
    CHECK(type("none") == "application/octet-stream");
}

TEST_CASE("names that begin with a dot are hidden unless asked for", "[integration][files]") {
    const TemporaryFolder folder;
    folder.write("www/.secret", "hidden");
    folder.write("www/.git/config", "hidden");
    folder.write("www/.well-known/acme/token", "for all");
    folder.write("www/.well-known/.inner", "hidden");
    SECTION("hidden") {
        const Server server(folder, serving());
        for (const std::string target : {"/.secret", "/%2esecret", "/.git/config", "/x/../.git/config",
                                         "/.well-known/.inner", "//.secret", "/.git/", "/.git"}) {
            CAPTURE(target);
            CHECK(server.get(target).status == 404);
        }
        CHECK(server.get("/.well-known/acme/token").body == "for all");
    }
    SECTION("shown") {
        const Server server(folder, serving("dotfiles = on\n"));
        CHECK(server.get("/.secret").body == "hidden");
        CHECK(server.get("/.git/config").body == "hidden");
    }
}

TEST_CASE("links out of the root lead nowhere unless symlinks are on", "[integration][files]") {
    const TemporaryFolder folder;
    folder.write("secret", "outside");
    folder.write("www/inside.txt", "inside");
    fs::create_symlink(folder.path("secret"), folder.path("www/absolute"));
    fs::create_symlink("../secret", folder.path("www/relative"));
    fs::create_symlink("..", folder.path("www/up"));
    fs::create_symlink("/proc/self/root", folder.path("www/magic"));
    fs::create_symlink("inside.txt", folder.path("www/beside"));
    fs::create_symlink("loop", folder.path("www/loop"));
    SECTION("off") {
        const Server server(folder, serving());
        for (const std::string target :
             {"/absolute", "/relative", "/up/secret", "/magic/etc/passwd", "/loop"}) {
            CAPTURE(target);
            CHECK(server.get(target).status == 404);
        }
        CHECK(server.get("/beside").body == "inside");
    }
    SECTION("on") {
        const Server server(folder, serving("symlinks = on\n"));
        CHECK(server.get("/absolute").body == "outside");
        CHECK(server.get("/relative").body == "outside");
        CHECK(server.get("/up/secret").body == "outside");
        CHECK(server.get("/loop").status == 404);
    }
}

TEST_CASE("no spelling climbs out of the root", "[integration][files]") {
    const TemporaryFolder folder;
    folder.write("secret", "outside");
    folder.write("www/sub/page", "inside");
    folder.write("www/secret", "the one in the root");
    const Server server(folder, serving());
    for (const std::string target :
         {"/../secret", "/sub/../../secret", "/%2e%2e/secret", "/..%2fsecret", "/%2e%2e%2fsecret",
          "/sub/..%2f../secret", "/./../secret", "//../secret", "/sub/%2E./%2e%2E/secret", "/..\\secret",
          "/..%5csecret", "/%252e%252e/secret", "/....//secret", "/sub/page/../../../secret", "/..;/secret",
          "/%c0%ae%c0%ae/secret", "/..%00/secret"}) {
        CAPTURE(target);
        const Response response = server.get(target);
        CHECK((response.status == 400 || response.status == 404));
        CHECK_FALSE(contains(response.body, "outside"));
    }
    CHECK(server.get("/sub/../secret").body == "the one in the root");
    CHECK(server.get("/sub/./../sub//page").body == "inside");
}

TEST_CASE("names are decoded once", "[integration][files]") {
    const TemporaryFolder folder;
    folder.write("www/with space+plus.txt", "a");
    folder.write("www/100%25.txt", "b");
    folder.write("www/\xc3\xa4.txt", "c");
    folder.write("www/q?mark.txt", "d");
    const Server server(folder, serving());
    CHECK(server.get("/with%20space+plus.txt").body == "a");
    CHECK(server.get("/100%2525.txt").body == "b");
    CHECK(server.get("/100%25.txt").status == 404);
    CHECK(server.get("/%c3%a4.txt").body == "c");
    CHECK(server.get("/\xc3\xa4.txt").status == 400);  // RFC 3986 knows no such bytes in a URI
    CHECK(server.get("/q%3fmark.txt?query").body == "d");
    CHECK(server.get("/" + std::string(300, 'n')).status == 404);
}

TEST_CASE("a try list ends with the first that is there", "[integration][files]") {
    const TemporaryFolder folder;
    folder.write("www/index.html", "the application");
    folder.write("www/about.html", "about");
    folder.write("www/data.json", "{}");
    folder.write("www/docs/index.html", "docs");
    SECTION("a single page for the rest") {
        const Server server(folder, serving("try = $path $path.html $path/ /index.html\n"));
        CHECK(server.get("/data.json").field("Content-Type") == "application/json");
        CHECK(server.get("/about").body == "about");
        CHECK(server.get("/docs").body == "docs");
        const Response deep = server.get("/users/17?tab=x");
        CHECK(deep.status == 200);
        CHECK(deep.body == "the application");
        CHECK(deep.field("Content-Type") == "text/html; charset=utf-8");
    }
    SECTION("a status for the rest") {
        const Server server(folder, serving("try = $path =410\n"));
        CHECK(server.get("/about.html").body == "about");
        CHECK(server.get("/none").status == 410);
    }
}

TEST_CASE("an error page is served and the status stays", "[integration][files]") {
    const TemporaryFolder folder;
    folder.write("www/404.html", "nothing here");
    folder.write("www/page.txt", "page");
    Setup setup = serving("error_page = 404 /404.html\nerror_page = 403 /missing.html\n");
    const Server server(folder, setup);
    const Response response = server.get("/none", "If-None-Match: *\r\nRange: bytes=0-1\r\n");
    CHECK(response.status == 404);
    CHECK(response.body == "nothing here");
    CHECK(response.field("Content-Type") == "text/html; charset=utf-8");
    fs::create_directories(folder.path("www/bare"));
    CHECK(server.get("/bare/").status == 403);  // its page is missing: the usual one
    CHECK(server.get("/404.html").status == 200);
    Client client = server.connect();
    client.send("HEAD /none HTTP/1.1\r\nHost: test\r\n\r\n" + get("/page.txt"));
    CHECK(client.response(Body::none).status == 404);
    CHECK(client.response().body == "page");
}

TEST_CASE("caching lines are as configured", "[integration][files]") {
    const TemporaryFolder folder;
    folder.write("www/page.txt", "page");
    SECTION("expires") {
        const Server server(folder, serving("expires = 1h\nadd_header = X-One: 1\nadd_header = X-Two: 2\n"));
        const Response response = server.get("/page.txt");
        CHECK(response.field("Cache-Control") == "max-age=3600");
        CHECK(response.has("Expires"));
        CHECK(response.field("X-One") == "1");
        CHECK(response.field("X-Two") == "2");
        const Response unchanged =
            server.get("/page.txt", "If-None-Match: " + response.field("ETag") + "\r\n");
        CHECK(unchanged.status == 304);
        CHECK(unchanged.field("Cache-Control") == "max-age=3600");
    }
    SECTION("cache_control") {
        const Server server(folder, serving("cache_control = no-cache, private\n"));
        CHECK(server.get("/page.txt").field("Cache-Control") == "no-cache, private");
        CHECK_FALSE(server.get("/page.txt").has("Expires"));
    }
    SECTION("none") {
        const Server server(folder, serving());
        CHECK_FALSE(server.get("/page.txt").has("Cache-Control"));
    }
}

TEST_CASE("conditions are judged in their order", "[integration][files]") {
    const TemporaryFolder folder;
    const std::string name = GENERATE("small.txt", "large.txt");
    folder.write("www/small.txt", "0123456789");
    folder.write("www/large.txt", pattern(large_size));
    const Server server(folder, serving());
    const Response plain = server.get("/" + name);
    const std::string etag = plain.field("ETag");
    const std::string date = dated(plain);
    const std::string past = "Sun, 06 Nov 1994 08:49:37 GMT";
    CHECK(etag.size() > 2);
    CHECK(date.size() == past.size());
    const auto status = [&](const std::string& lines) { return server.get("/" + name, lines).status; };

    const Response unchanged = server.get("/" + name, "If-None-Match: " + etag + "\r\n");
    CHECK(unchanged.status == 304);
    CHECK(unchanged.field("ETag") == etag);
    CHECK_FALSE(unchanged.has("Content-Length"));
    CHECK(status("If-None-Match: W/" + etag + "\r\n") == 304);
    CHECK(status("If-None-Match: \"x\", " + etag + "\r\n") == 304);
    CHECK(status("If-None-Match: *\r\n") == 304);
    CHECK(status("If-None-Match: \"x\"\r\n") == 200);
    CHECK(status("If-Modified-Since: " + date + "\r\n") == 304);
    CHECK(status("If-Modified-Since: " + past + "\r\n") == 200);
    CHECK(status("If-Modified-Since: yesterday\r\n") == 200);
    CHECK(status("If-None-Match: \"x\"\r\nIf-Modified-Since: " + date + "\r\n") == 200);
    CHECK(status("If-Match: \"x\"\r\n") == 412);
    CHECK(status("If-Match: W/" + etag + "\r\n") == 412);
    CHECK(status("If-Match: " + etag + "\r\n") == 200);
    CHECK(status("If-Match: *\r\n") == 200);
    CHECK(status("If-Unmodified-Since: " + past + "\r\n") == 412);
    CHECK(status("If-Unmodified-Since: " + date + "\r\n") == 200);
    CHECK(status("If-Match: " + etag + "\r\nIf-Unmodified-Since: " + past + "\r\n") == 200);
    CHECK(status("If-Match: \"x\"\r\nIf-None-Match: " + etag + "\r\n") == 412);
}

TEST_CASE("ranges are exact to the byte", "[integration][files]") {
    const TemporaryFolder folder;
    const std::size_t size = GENERATE(std::size_t{1000}, large_size);
    const std::string all = pattern(size);
    folder.write("www/file.txt", all);
    const Server server(folder, serving());
    const std::string total = "/" + std::to_string(size);
    const auto ask = [&](const std::string& range, const std::string& lines = "") {
        return server.get("/file.txt", "Range: " + range + "\r\n" + lines);
    };
    const auto check = [&](const std::string& range, std::size_t first, std::size_t last) {
        CAPTURE(range);
        const Response part = ask(range);
        CHECK(part.status == 206);
        CHECK(part.field("Content-Range") ==
              "bytes " + std::to_string(first) + "-" + std::to_string(last) + total);
        CHECK((part.body == all.substr(first, last - first + 1)));
    };
    check("bytes=0-0", 0, 0);
    check("bytes=10-19", 10, 19);
    check("bytes=990-", 990, size - 1);
    check("bytes=-1", size - 1, size - 1);
    check("bytes=-100", size - 100, size - 1);
    check("bytes=-99999999", 0, size - 1);
    check("bytes=500-99999999", 500, size - 1);
    check("BYTES=1-2", 1, 2);
    check("bytes=5-8,7-10", 5, 10);
    for (const std::string whole : {"bytes=", "bytes=b-c", "bytes=5-4", "chars=0-1", "bytes=0-1,x"}) {
        CAPTURE(whole);
        CHECK(ask(whole).status == 200);
    }
    for (const std::string& none : {"bytes=" + std::to_string(size) + "-", std::string("bytes=-0")}) {
        CAPTURE(none);
        const Response response = ask(none);
        CHECK(response.status == 416);
        CHECK(response.field("Content-Range") == "bytes *" + total);
    }
    const Response plain = server.get("/file.txt");
    CHECK(plain.field("Accept-Ranges") == "bytes");
    CHECK(ask("bytes=0-1", "If-Range: " + plain.field("ETag") + "\r\n").status == 206);
    CHECK(ask("bytes=0-1", "If-Range: W/" + plain.field("ETag") + "\r\n").status == 200);
    CHECK(ask("bytes=0-1", "If-Range: \"other\"\r\n").status == 200);
    CHECK(ask("bytes=0-1", "If-Range: Sun, 06 Nov 1994 08:49:37 GMT\r\n").status == 200);
    CHECK(ask("bytes=0-1", "If-None-Match: " + plain.field("ETag") + "\r\n").status == 304);
    Client client = server.connect();
    client.send("HEAD /file.txt HTTP/1.1\r\nHost: test\r\nConnection: close\r\nRange: bytes=0-1\r\n\r\n");
    const Response head = client.response(Body::none);
    CHECK(head.status == 200);  // RFC 9110 14.2: Range is for GET alone
    CHECK(head.field("Content-Length") == std::to_string(size));
    CHECK(client.ends());
}

TEST_CASE("several ranges come in parts", "[integration][files]") {
    const TemporaryFolder folder;
    const std::size_t size = GENERATE(std::size_t{1000}, large_size);
    const std::string all = pattern(size);
    folder.write("www/file.txt", all);
    const Server server(folder, serving());
    Client client = server.connect();
    client.send(get("/file.txt", "Range: bytes=0-4, 100-109 ,-3\r\n") +
                get("/file.txt", "Range: bytes=1-1\r\n"));
    const Response parts = client.response();
    CHECK(parts.status == 206);
    CHECK_FALSE(parts.has("Content-Range"));
    const std::string type = parts.field("Content-Type");
    const std::string known = "multipart/byteranges; boundary=";
    REQUIRE(type.starts_with(known));
    const std::string line = "\r\n--" + type.substr(known.size());
    const auto part = [&](std::size_t first, std::size_t last) {
        return line + "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes " +
               std::to_string(first) + "-" + std::to_string(last) + "/" + std::to_string(size) + "\r\n\r\n" +
               all.substr(first, last - first + 1);
    };
    CHECK(parts.body == part(0, 4) + part(100, 109) + part(size - 3, size - 1) + line + "--\r\n");
    CHECK(client.response().body == all.substr(1, 1));
    std::string many = "Range: bytes=0-0";
    for (int i = 1; i < 400; ++i) many += "," + std::to_string(2 * i) + "-" + std::to_string(2 * i);
    CHECK(server.get("/file.txt", many + "\r\n").status == 200);  // asks for more work than it is worth
}

TEST_CASE("who accepts a coding gets the packed sibling", "[integration][files]") {
    const TemporaryFolder folder;
    folder.write("www/app.js", "plain text");
    folder.write("www/app.js.gz", "gzip bytes");
    folder.write("www/app.js.br", "brotli bytes");
    folder.write("www/app.js.zst", "zstd bytes");
    folder.write("www/alone.js", "alone");
    const Server server(folder, serving());
    const auto ask = [&](const std::string& accepted) {
        return server.get("/app.js", "Accept-Encoding: " + accepted + "\r\n");
    };
    for (const auto& [accepted, coding, body] : std::vector<std::array<std::string, 3>>{
             {"gzip", "gzip", "gzip bytes"},
             {"br", "br", "brotli bytes"},
             {"zstd", "zstd", "zstd bytes"},
             {"gzip;q=0.5, br;q=0", "gzip", "gzip bytes"},
             {"gzip;q=0.5, zstd", "zstd", "zstd bytes"},
             {"identity", "", "plain text"},
             {"gzip;q=0", "", "plain text"},
             {"deflate", "", "plain text"},
         }) {
        CAPTURE(accepted);
        const Response response = ask(accepted);
        CHECK(response.status == 200);
        CHECK(response.field("Content-Encoding") == coding);
        CHECK(response.body == body);
        CHECK(response.field("Content-Type") == "text/javascript; charset=utf-8");
        CHECK(response.field("Vary") == "Accept-Encoding");
    }
    CHECK(ask("gzip").field("ETag") != ask("identity").field("ETag"));
    CHECK(server.get("/app.js", "Accept-Encoding: gzip\r\nRange: bytes=0-3\r\n").body == "gzip");
    CHECK(server
              .get("/app.js",
                   "Accept-Encoding: gzip\r\nIf-None-Match: " + ask("identity").field("ETag") + "\r\n")
              .status == 200);
    CHECK_FALSE(server.get("/alone.js", "Accept-Encoding: gzip\r\n").has("Vary"));
}

TEST_CASE("a changed, replaced or deleted file is noticed", "[integration][files][one-loop]") {
    const TemporaryFolder folder;
    const std::string valid =
        GENERATE("open_file_cache_valid = 50ms\n", "open_file_cache_valid = 0\n", "open_file_cache = off\n");
    CAPTURE(valid);
    const std::size_t size = GENERATE(std::size_t{10}, large_size);
    folder.write("www/file", std::string(size, 'a'));
    const Server server(folder, {.execution = "workers = 1\n" + valid, .routes = serving().routes});
    const bool at_once = !contains(valid, "50ms");
    const auto becomes = [&](const std::string& body, int status = 200) {
        if (at_once) CHECK(server.get("/file").status == status);
        eventually("the file is the new one", [&] {
            const Response response = server.get("/file");
            return response.status == status && (status != 200 || response.body == body);
        });
        CHECK(server.get("/file").status == status);
    };
    const std::string first = server.get("/file").field("ETag");
    CHECK(server.get("/file").body == std::string(size, 'a'));
    folder.write("www/file", std::string(size + 1, 'b'));
    becomes(std::string(size + 1, 'b'));
    CHECK(server.get("/file").field("ETag") != first);
    folder.write("www/next", std::string(size, 'c'));
    fs::rename(folder.path("www/next"), folder.path("www/file"));
    becomes(std::string(size, 'c'));
    fs::remove(folder.path("www/file"));
    becomes("", 404);
    folder.write("www/file", "back");
    becomes("back");
}

TEST_CASE("a file that shrinks while it is sent ends that connection only", "[integration][files]") {
    const TemporaryFolder folder;
    const std::size_t size = 32 << 20;
    folder.write("www/shrinking", std::string(size, 'x'));
    folder.write("www/other", "other");
    const Server server(folder, {.execution = "workers = 1\n", .routes = serving().routes});
    Client other = server.connect();
    Client slow = server.connect_slow();
    slow.send(get("/shrinking"));
    CHECK(slow.head().status == 200);
    fs::resize_file(folder.path("www/shrinking"), size / 2);
    const std::size_t got = slow.rest().size();
    CHECK(got < size);
    other.send(get("/other"));
    CHECK(other.response().body == "other");
    CHECK(server.status().workers[0].restarts == 0);
}

TEST_CASE("a large download is exact for a slow reader, and others are served meanwhile",
          "[integration][files][concurrent]") {
    const TemporaryFolder folder;
    const std::string all = pattern(50'000'000);
    folder.write("www/large", all);
    folder.write("www/small", "small");
    const Server server(folder, {.execution = "workers = 1\n", .routes = serving().routes});
    Client slow = server.connect();
    slow.send(get("/large"));
    CHECK(slow.head().field("Content-Length") == std::to_string(all.size()));
    Client other = server.connect();
    std::string body;
    int served = 0, turns = 0;
    for (; body.size() < all.size(); ++turns) {
        const std::string more = slow.take(std::min<std::size_t>(1'000'000, all.size() - body.size()));
        if (more.empty()) break;
        body += more;
        other.send(get("/small"));
        served += other.response().body == "small" ? 1 : 0;
    }
    CHECK(served == turns);
    CHECK((body == all));
}

TEST_CASE("what is no readable file is refused, and stops nobody", "[integration][files]") {
    const TemporaryFolder folder;
    folder.write("www/closed/file", "x");
    folder.write("www/unreadable", "x");
    folder.write("www/ok", "ok");
    ::mkfifo(folder.path("www/fifo").c_str(), 0666);
    ::chmod(folder.path("www/unreadable").c_str(), 0);
    ::chmod(folder.path("www/closed").c_str(), 0);
    {
        // Workers give root away; a test that is not root cannot read these either.
        const Server server(folder,
                            {.execution = "workers = 1\n", .routes = serving("autoindex = html\n").routes});
        CHECK(server.get("/fifo").status == 403);
        CHECK(server.get("/unreadable").status == 403);
        CHECK(server.get("/closed/").status == 403);
        CHECK(server.get("/closed/file").status == 403);
        CHECK(server.get("/ok").body == "ok");
    }
    ::chmod(folder.path("www/closed").c_str(), 0755);
}

TEST_CASE("an empty file is a file", "[integration][files]") {
    const TemporaryFolder folder;
    folder.write("www/empty", "");
    const Server server(folder, serving());
    Client client = server.connect();
    client.send(get("/empty") + get("/empty", "Range: bytes=0-\r\n") + get("/empty"));
    const Response first = client.response();
    CHECK(first.status == 200);
    CHECK(first.field("Content-Length") == "0");
    CHECK(client.response().status == 416);
    CHECK(client.response().status == 200);
}

TEST_CASE("a route below a prefix finds its files with and without it", "[integration][files]") {
    const TemporaryFolder folder;
    folder.write("www/page", "in the root");
    folder.write("www/sub/page", "below");
    const Server server(
        folder, {.routes = "[route with]\npath = /sub/\nfiles = @folder@/www\n"
                           "[route without]\npath = /other/\nfiles = @folder@/www\nstrip_prefix = on\n"});
    CHECK(server.get("/sub/page").body == "below");
    CHECK(server.get("/other/page").body == "in the root");
    CHECK(server.get("/other/sub/page").body == "below");
    CHECK(server.get("/page").status == 404);
    CHECK(server.get("/other/sub").field("Location") == "/other/sub/");
}
