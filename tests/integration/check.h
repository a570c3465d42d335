// tests/integration/check.h: how helpers wait and fail, without the test framework's large header.
#pragma once

#include <chrono>
#include <functional>
#include <string>

namespace integration {

using Clock = std::chrono::steady_clock;

/// How long anything may take before it counts as never: long, because sanitizers and busy machines are slow.
constexpr std::chrono::seconds patience{60};

/// Ends the test as failed.
[[noreturn]] void fail(const std::string& why);
/// Fails the test and lets it go on; for destructors too. Main thread only.
void complain(const std::string& why);

/// Asks again and again until it is so; fails the test when `patience` ends.
void eventually(const std::string& what, const std::function<bool()>& is_so);

/// What is left of `patience` since `start`, for poll(2).
[[nodiscard]] int milliseconds_left(Clock::time_point start);

/// The whole file; empty when there is none.
[[nodiscard]] std::string contents(const std::string& path);
/// How often `part` stands in `text`, without overlap.
[[nodiscard]] std::size_t count(const std::string& text, const std::string& part);
[[nodiscard]] bool contains(const std::string& text, const std::string& part);

}  // namespace integration
