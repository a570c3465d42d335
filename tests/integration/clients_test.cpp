// Clients that others wrote. A tool that is missing fails the test: `make deps` installs it.
#include "tests/integration/check.h"
#include "tests/integration/server.h"

using namespace integration;

namespace {

std::string digits(std::size_t size) {
    std::string text;
    for (std::size_t i = 0; text.size() < size; ++i) text += std::to_string(i) + " ";
    text.resize(size);
    return text;
}

class Site {
 public:
    Site() : text_(digits(300'000)) {
        folder_.write("www/text.txt", text_);
        server_.emplace(
            folder_,
            Setup{.server = "body_max = 4m\n",
                  .routes = "[route files]\npath = /\nfiles = @folder@/www\n"
                            "[route up]\npath = /up\nmethods = POST PUT\nrespond = 201 \"stored\"\n"});
    }

    [[nodiscard]] Ran curl(std::vector<std::string> words, const std::string& target = "/text.txt") const {
        words.insert(words.begin(), {"curl", "--silent", "--show-error", "--max-time", "60"});
        words.push_back("http://127.0.0.1:" + std::to_string(server_->port()) + target);
        const Ran ran = run(words);
        if (ran.status == 127) fail("curl is not installed");
        return ran;
    }
    [[nodiscard]] const std::string& text() const { return text_; }
    [[nodiscard]] const TemporaryFolder& folder() const { return folder_; }

 private:
    TemporaryFolder folder_;
    std::string text_;
    std::optional<Server> server_;
};

}  // namespace

TEST_CASE("curl downloads a file, whole and in part", "[integration][clients]") {
    const Site site;
    const Ran whole = site.curl({});
    CHECK(whole.status == 0);
    CHECK((whole.output == site.text()));
    CHECK(site.curl({"--range", "1000-1999"}).output == site.text().substr(1000, 1000));
    CHECK(site.curl({"--range", "-7"}).output == site.text().substr(site.text().size() - 7));
    CHECK(contains(site.curl({"--head"}).output, "Content-Length: 300000\r\n"));
}

TEST_CASE("curl keeps its connection", "[integration][clients]") {
    const Site site;
    const std::string url = site.curl({"--write-out", "%{url_effective}", "--output", "/dev/null"}).output;
    const Ran three = site.curl({"--output", "/dev/null", "--output", "/dev/null", "--output", "/dev/null",
                                 "--write-out", "%{http_code} %{num_connects}\n", url, url});
    CHECK(three.output == "200 1\n200 0\n200 0\n");
}

TEST_CASE("curl gets the compressed file and unpacks it", "[integration][clients]") {
    const Site site;
    for (const std::string tool : {"gzip", "brotli"}) {
        const Ran packed = run({tool, "--keep", "--force", site.folder().path("www/text.txt")});
        if (packed.status != 0) fail(tool + " does not pack: " + packed.errors);
    }
    const Ran plain = site.curl({"--write-out", "%{size_download}", "--output", "/dev/null"});
    CHECK(plain.output == "300000");
    const Ran raw =
        site.curl({"--header", "Accept-Encoding: gzip", "--dump-header", "-", "--output", "/dev/null"});
    CHECK(contains(raw.output, "Content-Encoding: gzip\r\n"));
    CHECK(contains(raw.output, "Vary: Accept-Encoding\r\n"));
    CHECK((site.curl({"--compressed"}).output == site.text()));
}

TEST_CASE("curl uploads, also when it asks first", "[integration][clients]") {
    const Site site;
    const std::string upload = "@" + site.folder().path("www/text.txt");
    for (const std::string expect : {"Expect: 100-continue", "Expect:"})
        for (const std::string framing : {"X-Framing: length", "Transfer-Encoding: chunked"}) {
            CAPTURE(expect, framing);
            const Ran ran = site.curl({"--data-binary", upload, "--header", expect, "--header", framing,
                                       "--write-out", " %{http_code}"},
                                      "/up");
            CHECK(ran.status == 0);
            CHECK(ran.output == "stored 201");
        }
    const std::string large = site.folder().write("large", std::string(5 << 20, 'x'));
    const Ran refused = site.curl(
        {"--data-binary", "@" + large, "--output", "/dev/null", "--write-out", "%{http_code}"}, "/up");
    CHECK(refused.output == "413");
}
