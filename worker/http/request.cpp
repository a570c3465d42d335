#include "worker/http/request.h"

#include <functional>

namespace worker::http {

void Request::clear() noexcept {
    Head::clear();
    method_span = target_span = {};
    target = {};
    host = {};
}

std::string_view Request::origin_target() const noexcept {
    const std::string_view raw = raw_target();
    if (target.authority.empty()) return raw;
    const std::size_t authority = raw.find("://");
    const std::size_t begin = raw.find_first_of("/?", authority == raw.npos ? 0 : authority + 3);
    return begin == raw.npos ? std::string_view("/") : raw.substr(begin);
}

bool Request::is_idempotent() const noexcept {
    const std::string_view name = method();
    return name == "GET" || name == "HEAD" || name == "PUT" || name == "DELETE" || name == "OPTIONS";
}

void Request::keep() {
    if (head == nullptr || head == kept_.data()) return;
    const char* from = head;
    kept_.assign(head, head + head_size);
    head = kept_.data();
    rebase_target(from, head);
}

/// The normalised target may be views into the head; what lies elsewhere stays.
void Request::rebase_target(const char* from, const char* to) noexcept {
    const auto moved = [&](std::string_view& text) {
        const std::less_equal<> not_after;
        if (text.data() == nullptr || !not_after(from, text.data()) ||
            !not_after(text.data(), from + head_size))
            return;
        text = {to + (text.data() - from), text.size()};
    };
    moved(target.path);
    moved(target.query);
    moved(target.authority);
    moved(host);
}

}  // namespace worker::http
