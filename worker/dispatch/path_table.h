// worker/dispatch/path_table.h: finds the route for a path and a method within one virtual server.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "conf/config.h"

namespace re2 {
class RE2;
}

namespace worker::dispatch {

/// What a path and a method come to.
struct Match {
    enum class Kind : std::uint8_t {
        found,  ///< `route` serves it
        none,   ///< no route has this path: 404
        method  ///< the path is known, not with this method: 405, or the answer to OPTIONS
    };
    Kind kind = Kind::none;
    std::uint32_t route = 0;      ///< index into config.routes; for `found`
    std::string_view allow = {};  ///< for `method`: the value of Allow; lives as long as the router
};

/// Filled once, then only read. The path decides first, as in nginx: an exact path, else the first regular
/// expression that is found anywhere in it (in the order of adding), else the longest prefix. A prefix is a
/// plain string: "/a" is one of "/ab". Only then the method decides, among the routes that have that same
/// path: those that name their methods before those that take any, else in the order of adding.
class PathTable {
 public:
    /// `route` must outlive this, and so must `regex`, which is null unless the route's path is one.
    void add(const conf::Route& route, std::uint32_t index, const re2::RE2* regex);
    /// After the last `add`, before the first `match`.
    void finish();

    /// Allocates nothing.
    [[nodiscard]] Match match(std::string_view path, std::string_view method) const;

 private:
    /// One route that serves a path.
    struct Choice {
        std::uint32_t route;
        std::vector<std::string_view> methods;  ///< empty: any
    };
    /// All routes that have the same path.
    struct Path {
        std::vector<Choice> choices;
        std::string allow;
    };
    struct Prefix {
        std::string_view text;
        std::uint32_t path;    ///< index into paths_
        std::int32_t shorter;  ///< index into prefixes_ of the longest other prefix of `text`; -1: none
    };
    struct Pattern {
        std::string_view text;
        const re2::RE2* regex;
        std::uint32_t path;
    };

    [[nodiscard]] Path& path_of(const conf::Route& route, const re2::RE2* regex);
    [[nodiscard]] const Path* find(std::string_view path) const;
    [[nodiscard]] const Path* longest_prefix(std::string_view path) const;
    void link_prefixes();

    std::vector<Path> paths_;
    std::unordered_map<std::string_view, std::uint32_t> exact_;
    std::vector<Pattern> patterns_;
    std::vector<Prefix> prefixes_;  ///< sorted by text once finished
};

}  // namespace worker::dispatch
