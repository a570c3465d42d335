// conf/address.h: what `listen` says.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "conf/setting.h"

namespace conf {

/// `HOST:PORT`, `*:PORT`, `PORT`, `[IPV6]:PORT` or `unix:PATH`. Hosts are numeric, or `localhost`.
[[nodiscard]] Parsed<Address> parse_address(std::string_view text, std::string_view folder);

/// An address and its options, one a line: `0.0.0.0:8080 backlog=511 default`.
struct ListenType {
    [[nodiscard]] Parsed<std::vector<Listen>> parse(const Value& value) const;
    [[nodiscard]] std::string print(const Listen& listen) const;
};

/// Host names of a server, several a line: lower case, `*.example.org`, `example.*`.
struct HostNames {
    [[nodiscard]] Parsed<std::vector<std::string>> parse(const Value& value) const;
    [[nodiscard]] std::string print(const std::string& host) const { return host; }
};

}  // namespace conf
