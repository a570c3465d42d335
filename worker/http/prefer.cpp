#include "worker/http/prefer.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "worker/http/host.h"
#include "worker/http/list.h"

namespace worker::http {
namespace {

constexpr std::int64_t wait_most = 1'000'000;  // nobody waits that long; more is as much

std::optional<std::chrono::seconds> parse_wait(std::string_view text) {
    if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
    if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
    std::int64_t seconds = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (failure != std::errc()) seconds = wait_most;  // digits, and too many
    return std::chrono::seconds(std::min(seconds, wait_most));
}

}  // namespace

void Preferences::add(std::string_view value) {
    List members(value);
    while (const auto member = members.next()) {
        // parameters mean nothing to those that are known here
        const auto preference = trim(member->substr(0, member->find(';')));
        const auto equals = preference.find('=');
        const auto name = trim(preference.substr(0, equals));
        if (equals_ignore_case(name, "respond-async")) respond_async_ = true;
        if (!equals_ignore_case(name, "wait") || wait_said_) continue;
        wait_said_ = true;
        if (equals != std::string_view::npos) wait_ = parse_wait(trim(preference.substr(equals + 1)));
    }
}

}  // namespace worker::http
