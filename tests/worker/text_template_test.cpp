#include "worker/handler/text_template.h"

using worker::handler::append_escaped;
using worker::handler::Escape;
using worker::handler::TextTemplate;

namespace {

std::string filled(std::string_view text, Escape escape, std::string_view path) {
    worker::http::Exchange exchange;
    exchange.request.target.path = path;
    exchange.request.target.query = "a=1&b=<x>";
    exchange.request.target.has_query = true;
    std::string out;
    TextTemplate(text, escape).append(out, exchange, {.slot = 3, .pid = 42}, worker::execution::Clock());
    return out;
}

}  // namespace

TEST_CASE("variables are filled in and dollars stay dollars", "[handler]") {
    CHECK(filled("worker $worker pid ${pid}0 $$1", Escape::none, "/") == "worker 3 pid 420 $1");
    CHECK(filled("$path$is_args$args", Escape::none, "/a b") == "/a b?a=1&b=<x>");
    CHECK(TextTemplate("no variables", Escape::none).constant());
    CHECK_FALSE(TextTemplate("$pid", Escape::none).constant());
}

TEST_CASE("what a client sent cannot leave the place it was put into", "[handler]") {
    CHECK(filled("<p>$path</p>", Escape::html, "/<script>\"'&") == "<p>/&lt;script&gt;&quot;&#39;&amp;</p>");
    CHECK(filled("{\"p\":\"$path\"}", Escape::json, "/\"\\\x01") == "{\"p\":\"/\\\"\\\\\\u0001\"}");
    CHECK(filled("/new$uri", Escape::uri, "/a b\xc3\xa4%?#<") == "/new/a%20b%C3%A4%25%3F%23%3C");
    for (int byte = 0; byte < 256; ++byte) {
        const char c = static_cast<char>(byte);
        std::string uri;
        append_escaped(uri, {&c, 1}, Escape::uri);
        for (const char out : uri)
            CHECK((out > ' ' && out < '\x7f' && out != '"' && out != '<' && out != '>'));
    }
}

TEST_CASE("an unknown variable or half a one is refused", "[handler]") {
    for (const char* text : {"$nope", "$", "${pid", "${}", "a$ b", "$Pid"}) {
        CAPTURE(text);
        CHECK_FALSE(conf::split_text(text).has_value());
    }
}
