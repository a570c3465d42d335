// tests/fuzz/callback_url_property.h: what holds for URLs of callbacks, whatever the bytes.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "conf/callbacks.h"
#include "tests/fuzz/property.h"
#include "worker/http/target.h"

namespace fuzz {

/// What parses reads back the same, ends no line, and has a host and nothing else in its place. What is
/// allowed is below what is allowed also to a peer that decodes and normalises all it gets.
inline void check_callback_url(std::string_view bytes) {
    const auto url = conf::parse_callback_url(bytes);
    conf::QueueCallbacks callbacks;
    callbacks.urls = {"http://hooks/jobs/"};
    const auto allowed = conf::callback_url(callbacks, bytes);
    require(!allowed || url);
    if (!url) return;
    require(conf::parse_callback_url(url->text()) == url);
    require(!url->authority.empty() && url->authority.find_first_of("/?#@\\ ") == std::string::npos);
    require(url->target.starts_with('/'));
    const auto text = url->text();
    require(std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; }));
    if (!allowed) return;
    require(allowed->authority == "hooks");
    std::string scratch;
    const auto target = worker::http::parse_target("POST", allowed->target, scratch);
    require(target.has_value() && target->path.starts_with("/jobs/"));
}

}  // namespace fuzz
