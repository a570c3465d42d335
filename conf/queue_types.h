// conf/queue_types.h: the types of settings of queues and of the store.
#pragma once

#include <string>
#include <vector>

#include "conf/setting.h"

namespace conf {

/// `sqlite:PATH`; a relative path counts from the configuration's folder. Or see conf/postgres_url.h.
struct StoreUrl {
    [[nodiscard]] Parsed<std::string> parse(const Value& value) const;
    [[nodiscard]] std::string print(const std::string& url) const { return as_word(url); }
};

/// `NAME /path?query`.
struct QueueUpstreamType {
    [[nodiscard]] Parsed<QueueUpstream> parse(const Value& value) const;
    [[nodiscard]] std::string print(const QueueUpstream& upstream) const;
};

/// `1s..1h`, or one time for both.
struct BackOffType {
    [[nodiscard]] Parsed<BackOff> parse(const Value& value) const;
    [[nodiscard]] std::string print(const BackOff& backoff) const;
};

/// `100000 1g`: jobs and bytes of their bodies.
struct QueueSizeType {
    [[nodiscard]] Parsed<QueueSize> parse(const Value& value) const;
    [[nodiscard]] std::string print(const QueueSize& size) const;
};

/// -100 to 100.
struct PriorityType {
    [[nodiscard]] Parsed<std::int32_t> parse(const Value& value) const;
    [[nodiscard]] std::string print(std::int32_t priority) const { return std::to_string(priority); }
};

/// What follows `Bearer ` in Authorization (RFC 6750 2.1), 16 to 256 bytes.
struct BearerToken {
    [[nodiscard]] Parsed<std::string> parse(const Value& value) const;
    [[nodiscard]] std::string print(const std::string& token) const;
};

/// Beginnings of URLs, several a line: `http://hooks.example.org:8080/jobs/`.
struct CallbackUrls {
    [[nodiscard]] Parsed<std::vector<std::string>> parse(const Value& value) const;
    [[nodiscard]] std::string print(const std::string& url) const { return url; }
};

/// 16 to 256 printable characters.
struct SigningSecret {
    [[nodiscard]] Parsed<std::string> parse(const Value& value) const;
    [[nodiscard]] std::string print(const std::string& secret) const;
};

/// Addresses and networks, several a line: `127.0.0.1 10.0.0.0/8 ::1`.
struct Networks {
    [[nodiscard]] Parsed<std::vector<std::string>> parse(const Value& value) const;
    [[nodiscard]] std::string print(const std::string& network) const { return network; }
};

}  // namespace conf
