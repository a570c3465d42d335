#include "worker/dispatch/host_table.h"

#include <cstddef>

#include "worker/http/host.h"

namespace worker::dispatch {
namespace {

/// Longer names do not exist (RFC 1035 2.3.4: 255 bytes).
constexpr std::size_t name_bytes_max = 255;

}  // namespace

void HostTable::add(const conf::Server& server, std::uint32_t index, const conf::Listen& listen) {
    for (const std::string_view name : server.hosts) {
        if (name.starts_with("*."))
            suffixes_.emplace(name.substr(1), index);  // emplace: the first server to name it has it
        else if (name.ends_with(".*"))
            prefixes_.emplace(name.substr(0, name.size() - 1), index);
        else
            exact_.emplace(name, index);
    }
    const Claim claim = listen.fallback        ? Claim::marked
                        : server.hosts.empty() ? Claim::nameless
                                               : Claim::first;
    if (servers_ == 0 || claim > claim_) {
        fallback_ = index;
        claim_ = claim;
    }
    ++servers_;
}

std::uint32_t HostTable::find(std::string_view host) const {
    if (servers_ == 1 || host.empty() || host.size() > name_bytes_max) return fallback_;
    char text[name_bytes_max];
    return find_lower(http::lower(host, text));
}

std::uint32_t HostTable::find_lower(std::string_view host) const {
    if (const auto found = exact_.find(host); found != exact_.end()) return found->second;
    if (!suffixes_.empty()) {
        // a "*" stands for at least one byte; the leftmost dot leaves the longest suffix
        for (std::size_t dot = host.find('.', 1); dot != host.npos; dot = host.find('.', dot + 1))
            if (const auto found = suffixes_.find(host.substr(dot)); found != suffixes_.end())
                return found->second;
    }
    if (!prefixes_.empty()) {
        for (std::size_t dot = host.rfind('.'); dot != host.npos && dot > 0; dot = host.rfind('.', dot - 1))
            if (const auto found = prefixes_.find(host.substr(0, dot + 1)); found != prefixes_.end())
                return found->second;
    }
    return fallback_;
}

}  // namespace worker::dispatch
