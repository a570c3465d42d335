// conf/upstream_types.h: the types of settings of upstreams, and of the routes that use them.
#pragma once

#include <string>
#include <vector>

#include "conf/setting.h"

namespace conf {

/// An address and its options, one a line: `127.0.0.1:9000 weight=2 backup down max_conns=100`.
struct PeerType {
    [[nodiscard]] Parsed<std::vector<UpstreamPeer>> parse(const Value& value) const;
    [[nodiscard]] std::string print(const UpstreamPeer& peer) const;
};

/// `round_robin`, `least_conn`, `random_two`, or `hash KEY` with a text of $variables.
struct BalanceType {
    [[nodiscard]] Parsed<Balance> parse(const Value& value) const;
    [[nodiscard]] std::string print(const Balance& balance) const;
};

/// `NAME`, `NAME=UPSTREAM`, `NAME=UPSTREAM/path`, several a line.
struct FanoutParts {
    [[nodiscard]] Parsed<std::vector<FanoutPart>> parse(const Value& value) const;
    [[nodiscard]] std::string print(const FanoutPart& part) const;
};

/// `timeout gateway server`, some of them, or `none`.
struct BreakerOnType {
    [[nodiscard]] Parsed<BreakerOn> parse(const Value& value) const;
    [[nodiscard]] std::string print(const BreakerOn& on) const;
};

/// `GET /path every 2s` or `tcp every 1s`, then in any order `timeout=1s rise=2 fall=3 port=N`, and for
/// GET and HEAD also `status=200-399 host=NAME body=TEXT`; or `off`. Without a timeout it is a second, or
/// `every` where that is shorter.
struct HealthCheckType {
    [[nodiscard]] Parsed<HealthCheck> parse(const Value& value) const;
    [[nodiscard]] std::string print(const HealthCheck& check) const;
};

/// Name servers, several a line: `127.0.0.1:5353 [::1]:5353 10.0.0.2`, without a port 53.
struct NameServers {
    [[nodiscard]] Parsed<std::vector<Address>> parse(const Value& value) const;
    [[nodiscard]] std::string print(const Address& server) const { return server.text(); }
};

/// `REGEX REPLACEMENT`: RE2, with \1 for a group.
struct RewriteType {
    [[nodiscard]] Parsed<Rewrite> parse(const Value& value) const;
    [[nodiscard]] std::string print(const Rewrite& rewrite) const;
};

/// `off`, or `cookie NAME` and attributes.
struct StickyType {
    [[nodiscard]] Parsed<Sticky> parse(const Value& value) const;
    [[nodiscard]] std::string print(const Sticky& sticky) const;
};

/// `FROM TO`, one a line.
struct CookieRewriteType {
    [[nodiscard]] Parsed<std::vector<CookieRewrite>> parse(const Value& value) const;
    [[nodiscard]] std::string print(const CookieRewrite& rewrite) const;
};

}  // namespace conf
