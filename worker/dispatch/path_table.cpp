#include "worker/dispatch/path_table.h"

#include <re2/re2.h>

#include <algorithm>

namespace worker::dispatch {
namespace {

/// What the route answers to; empty: anything. HEAD comes with GET (RFC 9110 9.3.2).
std::vector<std::string_view> methods_of(const conf::Route& route) {
    using Handler = conf::Route::Handler;
    std::vector<std::string_view> methods(route.methods.begin(), route.methods.end());
    if (methods.empty()) {
        switch (route.handler) {
            case Handler::files:
            case Handler::health:
            case Handler::status:
            case Handler::metrics: methods = {"GET"}; break;
            case Handler::enqueue: methods = {"POST"}; break;
            case Handler::jobs: methods = {"GET", "POST", "DELETE"}; break;
            case Handler::respond:
            case Handler::redirect:
            case Handler::proxy:
            case Handler::fanout:
            case Handler::fastcgi:
            case Handler::pool:
            case Handler::module:
            case Handler::work: break;
        }
    }
    const auto get = std::find(methods.begin(), methods.end(), "GET");
    if (get != methods.end() && std::find(methods.begin(), methods.end(), "HEAD") == methods.end())
        methods.insert(get + 1, "HEAD");
    return methods;
}

void allow(std::string& list, std::string_view method) {
    if (!list.empty()) list += ", ";
    list += method;
}

}  // namespace

PathTable::Path& PathTable::path_of(const conf::Route& route, const re2::RE2* regex) {
    using Kind = conf::PathMatch::Kind;
    const std::string_view text = route.path.text;
    const auto next = static_cast<std::uint32_t>(paths_.size());
    std::uint32_t path = next;
    switch (route.path.kind) {
        case Kind::exact: path = exact_.emplace(text, next).first->second; break;
        case Kind::regex: {
            const auto same = [&](const Pattern& pattern) { return pattern.text == text; };
            const auto known = std::find_if(patterns_.begin(), patterns_.end(), same);
            if (known == patterns_.end())
                patterns_.push_back({text, regex, next});
            else
                path = known->path;
            break;
        }
        case Kind::prefix: {
            const auto same = [&](const Prefix& prefix) { return prefix.text == text; };
            const auto known = std::find_if(prefixes_.begin(), prefixes_.end(), same);
            if (known == prefixes_.end())
                prefixes_.push_back({text, next, -1});
            else
                path = known->path;
            break;
        }
    }
    if (path == next) paths_.emplace_back();
    return paths_[path];
}

void PathTable::add(const conf::Route& route, std::uint32_t index, const re2::RE2* regex) {
    path_of(route, regex).choices.push_back({index, methods_of(route)});
}

void PathTable::finish() {
    for (Path& path : paths_) {
        std::stable_partition(path.choices.begin(), path.choices.end(),
                              [](const Choice& choice) { return !choice.methods.empty(); });
        std::vector<std::string_view> methods;
        for (const Choice& choice : path.choices)
            methods.insert(methods.end(), choice.methods.begin(), choice.methods.end());
        methods.push_back("OPTIONS");
        for (auto method = methods.begin(); method != methods.end(); ++method)
            if (std::find(methods.begin(), method, *method) == method) allow(path.allow, *method);
    }
    link_prefixes();
}

/// In sorted order what begins with a text follows it directly, so a stack of the open ones knows the parent.
void PathTable::link_prefixes() {
    std::sort(prefixes_.begin(), prefixes_.end(),
              [](const Prefix& a, const Prefix& b) { return a.text < b.text; });
    for (std::size_t i = 1; i < prefixes_.size(); ++i) {
        auto shorter = static_cast<std::int32_t>(i - 1);
        while (shorter >= 0 &&
               !prefixes_[i].text.starts_with(prefixes_[static_cast<std::size_t>(shorter)].text))
            shorter = prefixes_[static_cast<std::size_t>(shorter)].shorter;
        prefixes_[i].shorter = shorter;
    }
}

/// Every text between the longest prefix of `path` and `path` itself begins with that prefix, so the last
/// text that is not after `path` is either the one or leads to it by its shorter ones.
const PathTable::Path* PathTable::longest_prefix(std::string_view path) const {
    const auto after =
        std::upper_bound(prefixes_.begin(), prefixes_.end(), path,
                         [](std::string_view text, const Prefix& prefix) { return text < prefix.text; });
    for (auto i = static_cast<std::int32_t>(after - prefixes_.begin()) - 1; i >= 0;) {
        const Prefix& prefix = prefixes_[static_cast<std::size_t>(i)];
        if (path.starts_with(prefix.text)) return &paths_[prefix.path];
        i = prefix.shorter;
    }
    return nullptr;
}

const PathTable::Path* PathTable::find(std::string_view path) const {
    if (!exact_.empty())
        if (const auto found = exact_.find(path); found != exact_.end()) return &paths_[found->second];
    for (const Pattern& pattern : patterns_)
        if (re2::RE2::PartialMatch(re2::StringPiece(path.data(), path.size()), *pattern.regex))
            return &paths_[pattern.path];
    return longest_prefix(path);
}

Match PathTable::match(std::string_view path, std::string_view method) const {
    const Path* const found = find(path);
    if (!found) return {};
    for (const Choice& choice : found->choices) {
        if (choice.methods.empty() ||
            std::find(choice.methods.begin(), choice.methods.end(), method) != choice.methods.end())
            return {.kind = Match::Kind::found, .route = choice.route};
    }
    return {.kind = Match::Kind::method, .allow = found->allow};
}

}  // namespace worker::dispatch
