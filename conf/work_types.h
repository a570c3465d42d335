// conf/work_types.h: how `work` is written, in the configuration and in a query.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "conf/setting.h"

namespace conf {

/// Of one request.
constexpr std::chrono::microseconds work_time_max = std::chrono::minutes(1);

/// `us`, `ms` or `s`: 200us, 5ms, 1s; 0; at most `work_time_max`.
[[nodiscard]] Parsed<std::chrono::microseconds> parse_work_time(std::string_view text);

/// `cpu=5ms wait=20ms`, either or both, in any order; `none`.
struct WorkType {
    [[nodiscard]] Parsed<WorkAmount> parse(const Value& value) const;
    [[nodiscard]] std::string print(const WorkAmount& amount) const;
};

/// What `cpu=TIME` and `wait=TIME` in a query ask for; the rest is as in `usual`. What is no such time says
/// nothing.
[[nodiscard]] WorkAmount work_by_query(std::string_view query, const WorkAmount& usual);

}  // namespace conf
