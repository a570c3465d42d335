// `fastcgi` and real programs: a PHP application of several files, and one that was written for libfcgi.
#include <sys/stat.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "tests/integration/check.h"
#include "tests/integration/fastcgi_origin.h"

using namespace integration;

namespace {

using nlohmann::json;

/// PHP, and a server with its application at /.
struct Site {
    explicit Site(const std::string& route_lines = "", const std::vector<std::string>& settings = {})
        : php(folder, settings),
          server(folder,
                 programs_at({php.address()}, "script_root = @folder@/app\nbody_max = 0\n" + route_lines)) {}

    /// Over a connection of its own, whole.
    Response ask(const std::string& request) const {
        Client client = server.connect();
        client.send(request);
        Response response = client.head();
        response.body =
            response.has("Transfer-Encoding") ? take_chunks(client).payload : body_of(client, response);
        return response;
    }
    Response at(const std::string& target, const std::string& lines = "") const {
        return ask(get(target, lines));
    }
    json told(const std::string& request) const { return json::parse(ask(request).body); }

    TemporaryFolder folder;
    Php php;
    Server server;

 private:
    static std::string body_of(Client& client, const Response& response) {
        const std::string length = response.field("Content-Length");
        return length.empty() ? std::string() : client.take(std::strtoull(length.c_str(), nullptr, 10));
    }
};

/// As a browser sends a form with a file.
std::string form(const std::string& title, const std::string& file, bool in_chunks = false) {
    const std::string body =
        "--edge\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\n" + title +
        "\r\n--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f.bin\"\r\n"
        "Content-Type: application/octet-stream\r\n\r\n" +
        file + "\r\n--edge--\r\n";
    const std::string head =
        "POST /form.php HTTP/1.1\r\nHost: test\r\nContent-Type: multipart/form-data; boundary=edge\r\n";
    if (in_chunks) return head + chunked + "\r\n" + chunk(body) + "0\r\n\r\n";
    return head + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

/// By PHP, so that neither side of a comparison is ours.
std::string sha1_of(const TemporaryFolder& folder, const std::string& bytes) {
    const std::string file = folder.write("hashed", bytes);
    return run({"sha1sum", file}).output.substr(0, 40);
}

}  // namespace

TEST_CASE("pages of a PHP application are served, its files included", "[integration][fastcgi][php]") {
    const Site site;
    const Response home = site.at("/");
    CHECK(home.status == 200);
    CHECK(home.field("Content-Type") == "text/html; charset=utf-8");
    CHECK(contains(home.body, "<h1>Home</h1>"));
    CHECK(home.field("X-Powered-By").starts_with("PHP/"));
    const Response info = site.at("/info.php");
    CHECK(contains(info.body, "phpinfo()"));
    CHECK(contains(info.body, "REDIRECT_STATUS"));
    CHECK(info.body.ends_with("</html>"));
    CHECK(site.at("/form.php").status == 200);
}

TEST_CASE("PHP hears of a request what its programs count on", "[integration][fastcgi][php]") {
    const Site site("fastcgi_param = APP_ENV testing\n");
    const json told = site.told(
        "PUT /server.php/more%20info/x?a=b&c[]=1&c[]=2 HTTP/1.1\r\nHost: a.example:8080\r\nContent-Length: "
        "4\r\n"
        "Content-Type: text/x\r\nAuthorization: Basic dXNlcjpwYXNz\r\nX-A: b\r\nX_A: c\r\nCookie: "
        "k=v\r\n\r\nbody");
    const json& server = told["server"];
    CHECK(server["REQUEST_METHOD"] == "PUT");
    CHECK(server["SCRIPT_NAME"] == "/server.php");
    CHECK(server["PATH_INFO"] == "/more info/x");
    CHECK(server["PHP_SELF"] == "/server.php/more info/x");
    CHECK(server["SCRIPT_FILENAME"] == site.folder.path("app/server.php"));
    CHECK(server["DOCUMENT_ROOT"] == site.folder.path("app"));
    CHECK(server["REQUEST_URI"] == "/server.php/more%20info/x?a=b&c[]=1&c[]=2");
    CHECK(server["QUERY_STRING"] == "a=b&c[]=1&c[]=2");
    CHECK(server["CONTENT_TYPE"] == "text/x");
    CHECK(server["CONTENT_LENGTH"] == "4");
    CHECK(server["SERVER_NAME"] == "a.example");
    CHECK(server["HTTP_HOST"] == "a.example:8080");
    CHECK(server["HTTP_X_A"] == "b");
    CHECK(server["PHP_AUTH_USER"] == "user");
    CHECK(server["APP_ENV"] == "testing");
    CHECK_FALSE(server.contains("HTTPS"));
    CHECK(told["get"]["c"] == json({"1", "2"}));
    CHECK(told["body"] == "body");
}

TEST_CASE("a form with a large upload arrives in PHP", "[integration][fastcgi][php]") {
    const Site site("chunked_max = 40m\n");
    const std::string file = numbers(20'000'000);
    for (const bool in_chunks : {false, true}) {
        const json told = site.told(form("a title", file, in_chunks));
        CHECK(told["title"] == "a title");
        CHECK(told["name"] == "f.bin");
        CHECK(told["size"] == file.size());
        CHECK(told["error"] == 0);
        CHECK(told["sha1"] == sha1_of(site.folder, file));
    }
}

TEST_CASE("a session of PHP goes on by its cookie", "[integration][fastcgi][php]") {
    const Site site;
    const Response first = site.at("/visits.php");
    CHECK(json::parse(first.body)["visits"] == 1);
    const std::string cookie = first.field("Set-Cookie");
    REQUIRE(cookie.starts_with("PHPSESSID="));
    const std::string line = "Cookie: " + cookie.substr(0, cookie.find(';')) + "\r\n";
    CHECK(json::parse(site.at("/visits.php", line).body)["visits"] == 2);
    CHECK(json::parse(site.at("/visits.php", line).body)["visits"] == 3);
    CHECK(json::parse(site.at("/visits.php").body)["visits"] == 1);
}

TEST_CASE("statuses, redirects and validators of PHP are the client's", "[integration][fastcgi][php]") {
    const Site site;
    for (const int status : {200, 201, 404, 418, 500, 503})
        CHECK(site.at("/answer.php?status=" + std::to_string(status)).status == status);
    CHECK(count(site.at("/answer.php").head, "Set-Cookie: ") == 2);
    const Response moved = site.at("/answer.php?location=/here&status=301");
    CHECK(moved.status == 301);
    CHECK(moved.field("Location") == "/here");
    CHECK(site.at("/answer.php?location=https://example.org/").status == 302);
    CHECK(site.at("/answer.php?etag=v1").field("ETag") == "\"v1\"");
    const Response same = site.at("/answer.php?etag=v1", "If-None-Match: \"v1\"\r\n");
    CHECK(same.status == 304);
    CHECK(same.body.empty());
}

TEST_CASE("HEAD of a PHP page is its head", "[integration][fastcgi][php]") {
    const Site site;
    Client client = site.server.connect();
    for (int i = 0; i < 3; ++i) {
        client.send("HEAD /download.php?bytes=100000&length=1 HTTP/1.1\r\nHost: test\r\n\r\n");
        const Response head = client.response(Body::none);
        CHECK(head.status == 200);
        CHECK(head.field("Content-Length") == "100000");
    }
    client.send(get("/answer.php"));
    CHECK(client.head().status == 200);  // and not what PHP would have said before
    CHECK(take_chunks(client).payload == "answered");
}

TEST_CASE("a large download of PHP arrives whole", "[integration][fastcgi][php]") {
    const Site site;
    const Response with_length = site.at("/download.php?bytes=60000000&length=1");
    CHECK(with_length.body.size() == 60'000'000);
    const Response without = site.at("/download.php?bytes=60000000");
    CHECK(without.has("Transfer-Encoding"));
    CHECK(without.body == with_length.body);
    CHECK(with_length.body.starts_with("5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9"));
    if (!sanitized()) CHECK(resident_bytes_max(site.server.status().workers.at(0).pid) < 64u << 20);
}

TEST_CASE("what PHP says aside is in the error log, and its fatal errors are 500",
          "[integration][fastcgi][php]") {
    const Site site;
    CHECK(site.at("/aside.php", "X-Request-Id: one\r\n").body == "said");
    CHECK(site.at("/fails.php", "X-Request-Id: two\r\n").status == 500);
    const std::string log = site.server.log();
    CHECK(contains(log, "id=\"one\" request=\"GET /aside.php\" text=\""));
    CHECK(contains(log, "said aside"));
    CHECK(contains(log, "id=\"two\" request=\"GET /fails.php\" text=\""));
    CHECK(contains(log, "nobody_has_written_this"));
}

TEST_CASE("what is no script is never run", "[integration][fastcgi][php]") {
    const Site site("", {"cgi.fix_pathinfo=1"});
    site.folder.write("app/upload.jpg", "<?php echo 'owned';");
    for (const char* target : {"/upload.jpg", "/upload.jpg/x.php", "/upload.jpg%00.php", "/none.php", "/none",
                               "/../app/index.php/../../outside.php", "/lib/.page.php", "/index.php%0a/x"}) {
        CAPTURE(target);
        const Response answer = site.at(target);
        CHECK((answer.status == 404 || answer.status == 400));
        CHECK_FALSE(contains(answer.body, "owned"));
    }
    CHECK(site.at("/private").status == 404);
}

TEST_CASE("folders, a fallback and a prefix of a PHP application", "[integration][fastcgi][php]") {
    const Site site("script_fallback = /server.php\n");
    site.folder.write("app/blog/index.php", "<?php echo 'blog at ', $_SERVER['SCRIPT_NAME'];");
    CHECK(site.at("/blog/").body == "blog at /blog/index.php");
    const Response folder = site.at("/blog?x=y");
    CHECK(folder.status == 301);
    CHECK(folder.field("Location") == "/blog/?x=y");
    const json told = site.told(get("/any/thing?a=b"));
    CHECK(told["server"]["SCRIPT_NAME"] == "/server.php");
    CHECK(told["server"]["REQUEST_URI"] == "/any/thing?a=b");
    CHECK_FALSE(told["server"].contains("PATH_INFO"));
    CHECK(told["get"]["a"] == "b");
}

TEST_CASE("a file that PHP names is sent by the server", "[integration][fastcgi][php]") {
    const Site site("internal_files = @folder@/app/private\n");
    const Response whole = site.at("/send.php?by=X-Accel-Redirect&file=/secret.txt&type=text/x");
    CHECK(whole.status == 200);
    CHECK(whole.body == "only for those who may");
    CHECK(whole.field("Content-Type").starts_with("text/x"));
    CHECK(whole.field("Content-Disposition") == "attachment; filename=\"it.txt\"");
    CHECK(whole.has("ETag"));
    CHECK_FALSE(whole.has("X-Accel-Redirect"));
    CHECK(site.at("/send.php?by=X-Sendfile&file=" + site.folder.path("app/private/secret.txt")).body ==
          whole.body);
    for (const std::string length : {"22", "5", "0", "1000000"}) {
        CAPTURE(length);
        const Response answer = site.at("/send.php?by=X-Sendfile&file=/secret.txt&length=" + length);
        CHECK(answer.status == 200);
        CHECK(answer.body == whole.body);
    }
    const Response part = site.at("/send.php?by=X-Sendfile&file=/secret.txt", "Range: bytes=0-3\r\n");
    CHECK(part.status == 206);
    CHECK(part.body == "only");
    CHECK(site.at("/send.php?by=X-Sendfile&file=secret.txt", "If-None-Match: " + whole.field("ETag") + "\r\n")
              .status == 304);
    for (const std::string file : {"/none.txt", "/../index.php", "/%2e%2e/index.php", "/etc/passwd",
                                   "http://a/b", "/", "/../../../../../../etc/passwd"}) {
        CAPTURE(file);
        for (const std::string by : {"X-Accel-Redirect", "X-Sendfile"}) {
            const Response answer = site.at("/send.php?by=" + by + "&file=" + file);
            CHECK(answer.status == 404);
            CHECK_FALSE(answer.has("Content-Disposition"));
            CHECK_FALSE(contains(answer.body, "root:"));
        }
    }
}

TEST_CASE("without internal_files what PHP names is sent by nobody", "[integration][fastcgi][php]") {
    const Site site;
    const Response answer = site.at("/send.php?by=X-Sendfile&file=/etc/passwd");
    CHECK(answer.body == "not this");
    CHECK_FALSE(answer.has("X-Sendfile"));
}

TEST_CASE("PHP serves on while its server reloads and restarts workers", "[integration][fastcgi][php]") {
    const Site site("fastcgi_keep = on\n");
    Client slow = site.server.connect();
    slow.send(get("/download.php?bytes=30000000&length=1"));
    CHECK(slow.head().status == 200);
    CHECK(site.server.command({"-s", "reload"}).status == 0);
    eventually("the old worker takes nobody any more",
               [&] { return contains(site.server.log(), "draining connections="); });
    CHECK(site.at("/").status == 200);
    CHECK(slow.take(30'000'000).size() == 30'000'000);
}

TEST_CASE("a program of libfcgi's on a Unix socket answers, with bodies and without",
          "[integration][fastcgi]") {
    const char* named = std::getenv("FCGI_ECHO");
    const std::string program = named != nullptr ? named : "build/tools/fcgi_echo";
    const TemporaryFolder folder;
    ::chmod(folder.path("").c_str(), 0755);
    const std::string socket = folder.path("echo.sock");
    const Process process({program, socket}, STDOUT_FILENO, STDERR_FILENO);
    eventually("it listens", [&] {
        struct stat status {};
        return ::stat(socket.c_str(), &status) == 0;
    });
    const Server server(folder, programs_at({"unix:" + socket}, "fastcgi_keep = on\nbody_max = 0\n"));
    Client client = server.connect();
    client.send(get("/a/b?c=d"));
    CHECK(client.head().status == 200);
    CHECK(take_chunks(client).payload == "GET /a/b c=d\n");
    const std::string body = numbers(5'000'000);
    client.send(post("/aside", body));
    CHECK(client.head().status == 200);
    CHECK(take_chunks(client).payload == "POST /aside \n" + body);
    CHECK(contains(server.log(), "text=\"missing: 0 bytes\""));
}
