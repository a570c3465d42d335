// conf/limit_types.h: how `limit_rate` and `limit_conn` are written.
#pragma once

#include <string>

#include "conf/setting.h"

namespace conf {

/// `N/s`, `N/m` or `N/h`, then `burst=N` and `key=$VARIABLE` in any order. Without `burst` all that a unit of
/// time allows may come at once: 10/s is ten a second, in one moment or spread, so burst=9.
struct RateType {
    [[nodiscard]] Parsed<RateLimit> parse(const Value& value) const;
    [[nodiscard]] std::string print(const RateLimit& limit) const;
};

/// `N`, then `key=$VARIABLE`.
struct ConnLimitType {
    [[nodiscard]] Parsed<ConnLimit> parse(const Value& value) const;
    [[nodiscard]] std::string print(const ConnLimit& limit) const;
};

}  // namespace conf
