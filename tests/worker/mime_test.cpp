#include <catch2/catch.hpp>

#include "worker/handler/mime.h"

using worker::handler::mime_type;

TEST_CASE("the extension decides, in any case", "[handler][mime]") {
    CHECK(mime_type("index.html") == "text/html; charset=utf-8");
    CHECK(mime_type("INDEX.HTM") == "text/html; charset=utf-8");
    CHECK(mime_type("/srv/www/site.Css") == "text/css; charset=utf-8");
    CHECK(mime_type("app.mjs") == "text/javascript; charset=utf-8");
    CHECK(mime_type("data.json") == "application/json");
    CHECK(mime_type("a.png") == "image/png");
    CHECK(mime_type("font.woff2") == "font/woff2");
    CHECK(mime_type("site.webmanifest") == "application/manifest+json");
    CHECK(mime_type("program.wasm") == "application/wasm");
    CHECK(mime_type("7.7z") == "application/x-7z-compressed");
}

TEST_CASE("only the last extension counts", "[handler][mime]") {
    CHECK(mime_type("archive.tar.gz") == "application/gzip");
    CHECK(mime_type("page.html.txt") == "text/plain; charset=utf-8");
}

TEST_CASE("what has no known extension is a stream of bytes", "[handler][mime]") {
    for (const char* name : {"", "README", "name.", ".html", "/a/.html", "a.b/c", "x.unknown", "x.htmlx",
                             "x.ht", "x.an-extension-longer-than-any-we-know", ".", "/", "x.ht\xC3\xA9"}) {
        CAPTURE(name);
        CHECK(mime_type(name) == "application/octet-stream");
    }
}
