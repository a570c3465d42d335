#include "worker/http/plain_page.h"

#include <map>
#include <string>

#include "worker/http/status.h"

namespace worker::http {
namespace {

std::string make(Status status) {
    const std::string title = std::to_string(status) + " " + std::string(reason(status));
    return "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>" + title +
           "</title>\n<meta name=\"viewport\" content=\"width=device-width\">\n"
           "<style>:root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;display:grid;"
           "min-height:90vh;place-content:center;text-align:center}h1{font-weight:600;margin:0}"
           "p{opacity:.6}</style>\n<h1>" +
           title + "</h1>\n<p>reeve</p></html>\n";
}

}  // namespace

PlainPage plain_page(Status status) {
    // Constant after its first use, whoever asks: a table of texts, not state.
    static const std::map<Status, std::string> pages = [] {
        std::map<Status, std::string> made;
        for (Status code = 300; code < 600; ++code)
            if (!reason(code).empty()) made.emplace(code, make(code));
        return made;
    }();
    const auto page = pages.find(status);
    if (page == pages.end() || status == 304) return {};
    return {"Content-Type: text/html; charset=utf-8\r\n", page->second};
}

}  // namespace worker::http
