// conf/limit_types.h: `limit_rate` and `limit_conn`: what they hold (to move to conf/config.h) and how they
// are written.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "conf/setting.h"

namespace conf {

/// Whom a limit counts together: those with the same value of a variable.
struct LimitKey {
    enum class Kind : std::uint8_t { remote_addr, server_name, host, uri, header };
    Kind kind = Kind::remote_addr;
    std::string header;  ///< its name in lower case, with `-`; empty for the other kinds
    bool operator==(const LimitKey&) const = default;
};

/// `limit_rate = 10/s burst=20 key=$remote_addr`.
struct RateLimit {
    std::uint32_t requests = 1;   ///< in each `per`, evenly spread
    std::chrono::seconds per{1};  ///< 1, 60 or 3600
    std::uint32_t burst = 0;      ///< how many may come before their time: `burst + 1` at once
    LimitKey key;
    bool operator==(const RateLimit&) const = default;
};

/// `limit_conn = 10 key=$remote_addr`.
struct ConnLimit {
    std::uint32_t max = 1;  ///< requests at once
    LimitKey key;
    bool operator==(const ConnLimit&) const = default;
};

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
