#include "worker/handler/merge.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

namespace worker::handler {
namespace {

using Parsed = nlohmann::json;

/// Listens to nlohmann's parser, which has its own stack and leaves ours alone, and ends it at the limit.
class Nesting {
 public:
    bool start_object(std::size_t) { return ++depth_ <= json_depth_max; }
    bool start_array(std::size_t) { return ++depth_ <= json_depth_max; }
    bool end_object() { return leave(); }
    bool end_array() { return leave(); }
    bool parse_error(std::size_t, const std::string&, const Parsed::exception&) { return false; }

    bool null() { return true; }
    bool boolean(bool) { return true; }
    bool number_integer(Parsed::number_integer_t) { return true; }
    bool number_unsigned(Parsed::number_unsigned_t) { return true; }
    bool number_float(Parsed::number_float_t, const std::string&) { return true; }
    bool string(std::string&) { return true; }
    bool binary(Parsed::binary_t&) { return true; }
    bool key(std::string&) { return true; }

 private:
    bool leave() {
        --depth_;
        return true;
    }
    std::size_t depth_ = 0;
};

/// The value in a body, as it can stand inside another; nullopt when there is none.
std::optional<std::string_view> json_value(std::string_view body) {
    constexpr std::string_view space = " \t\r\n", mark = "\xEF\xBB\xBF";
    if (body.starts_with(mark)) body.remove_prefix(mark.size());
    body.remove_prefix(std::min(body.find_first_not_of(space), body.size()));
    body = body.substr(0, body.find_last_not_of(space) + 1);
    if (body.empty()) return "null";

    // The parser skips a mark, and takes NUL for the end whatever follows: `1 NUL ,"admin":true` passes.
    if (body.starts_with(mark) || body.find('\0') != body.npos) return std::nullopt;
    Nesting nesting;
    if (!Parsed::sax_parse(body, &nesting)) return std::nullopt;
    return body;
}

/// The parts as they count: with the value for a body where JSON is asked for, and none of them pending.
std::vector<Part> judge(Merge merge, std::span<const Part> parts) {
    std::vector<Part> judged(parts.begin(), parts.end());
    const bool json = merge == Merge::object || merge == Merge::array;
    for (Part& part : judged) {
        if (part.state == PartState::pending) part.state = PartState::cancelled;
        if (part.state != PartState::ok || !json) continue;
        const auto value = json_value(part.body);
        part.body = value.value_or("");
        if (!value) part.state = PartState::malformed;
    }
    return judged;
}

std::size_t count(std::span<const Part> parts, PartState state) {
    return static_cast<std::size_t>(std::ranges::count(parts, state, &Part::state));
}

bool is_missing(const Part& part) { return part.state != PartState::ok && part.state != PartState::pending; }

bool lacks_required(std::span<const Part> parts) {
    return std::ranges::any_of(parts, [](const Part& part) { return part.required && is_missing(part); });
}

std::string_view word(PartState state) {
    switch (state) {
        case PartState::pending: return "pending";
        case PartState::ok: return "ok";
        case PartState::timeout: return "timeout";
        case PartState::connect: return "connect";
        case PartState::reset: return "reset";
        case PartState::status: return "status";
        case PartState::too_large: return "too_large";
        case PartState::malformed: return "malformed";
        case PartState::refused: return "refused";
        case PartState::cancelled: return "cancelled";
    }
    std::abort();
}

/// A name as a token of HTTP (RFC 9110 5.6.2); "%" is one of its bytes and is escaped too, so none collide.
std::string token(std::string_view name) {
    constexpr std::string_view plain =
        "!#$&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    std::string text;
    for (const char c : name) {
        if (plain.find(c) != plain.npos)
            text += c;
        else
            text += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return text;
}

std::string summary(std::string_view verdict, std::span<const Part> parts) {
    return fmt::format("{}; ok={}/{}", verdict, count(parts, PartState::ok), parts.size());
}

/// "; missing=prices:timeout,stock:status", or nothing.
std::string missing(std::span<const Part> parts) {
    std::string text;
    for (const Part& part : parts) {
        if (!is_missing(part)) continue;
        text.append(text.empty() ? "; missing=" : ",").append(token(part.name));
        text.append(":").append(word(part.state));
    }
    return text;
}

Merged failed(std::span<const Part> parts, bool quorum_missing) {
    std::size_t timeout = 0, refused = 0, other = 0;
    for (const Part& part : parts) {
        if (!is_missing(part) || part.state == PartState::cancelled) continue;
        if (!part.required && !quorum_missing) continue;
        ++(part.state == PartState::timeout ? timeout : part.state == PartState::refused ? refused : other);
    }
    Merged merged{.status = 502, .fanout_field = summary("failed", parts) + missing(parts)};
    if (timeout > 0)
        merged.status = 504;
    else if (refused > 0 && other == 0)
        merged.status = 503;
    return merged;
}

/// A control character would break the header: better no type than that.
std::string_view harmless(std::string_view content_type) {
    const auto control = [](unsigned char byte) { return (byte < 0x20 && byte != '\t') || byte == 0x7f; };
    return std::ranges::any_of(content_type, control) ? std::string_view() : content_type;
}

std::string_view common_type(std::span<const Part> parts) {
    std::optional<std::string_view> common;
    for (const Part& part : parts) {
        if (part.state != PartState::ok || part.body.empty()) continue;
        const std::string_view type = harmless(part.content_type);
        if (type.empty() || type != common.value_or(type)) return "application/octet-stream";
        common = type;
    }
    return common.value_or("application/octet-stream");
}

/// Empty, with room for all bodies, and for what goes around them where names are short.
std::string roomy(std::span<const Part> parts) {
    std::size_t size = 2;
    for (const Part& part : parts) size += part.name.size() + part.body.size() + 8;
    std::string text;
    text.reserve(size);
    return text;
}

std::string as_object(std::span<const Part> parts) {
    std::string body = roomy(parts);
    for (const Part& part : parts) {
        if (part.state != PartState::ok) continue;
        body += body.empty() ? "{" : ",";
        body += Parsed(part.name).dump(-1, ' ', false, Parsed::error_handler_t::replace);
        body.append(":").append(part.body);
    }
    body += body.empty() ? "{}" : "}";
    return body;
}

std::string as_array(std::span<const Part> parts) {
    std::string body = roomy(parts);
    for (const Part& part : parts) {
        body += body.empty() ? "[" : ",";
        body += part.state == PartState::ok ? part.body : "null";
    }
    body += body.empty() ? "[]" : "]";
    return body;
}

std::string as_concat(std::span<const Part> parts) {
    std::string body = roomy(parts);
    for (const Part& part : parts)
        if (part.state == PartState::ok) body += part.body;
    return body;
}

Merged take_first(std::span<const Part> parts) {
    const Part* first = nullptr;
    for (const Part& part : parts)
        if (part.state == PartState::ok && (!first || part.arrival < first->arrival)) first = &part;
    if (!first) return failed(parts, true);
    return {.status = first->status != 0 ? first->status : std::uint16_t{200},
            .content_type = std::string(harmless(first->content_type)),
            .body = std::string(first->body),
            .fanout_field = summary("complete", parts) + "; from=" + token(first->name),
            .cacheable = count(parts, PartState::ok) == parts.size()};
}

}  // namespace

Merged merge(const MergeRules& rules, std::span<const Part> parts) {
    const std::vector<Part> judged = judge(rules.merge, parts);
    if (rules.merge == Merge::first) return take_first(judged);
    const std::size_t ok = count(judged, PartState::ok);
    if (ok < rules.quorum || lacks_required(judged)) return failed(judged, ok < rules.quorum);

    const bool complete = ok == judged.size();
    Merged merged{.status = complete ? std::uint16_t{200} : rules.partial_status,
                  .content_type = "application/json",
                  .fanout_field = summary(complete ? "complete" : "partial", judged) + missing(judged),
                  .cacheable = complete};
    switch (rules.merge) {
        case Merge::object: merged.body = as_object(judged); break;
        case Merge::array: merged.body = as_array(judged); break;
        case Merge::concat:
            merged.content_type = common_type(judged);
            merged.body = as_concat(judged);
            break;
        case Merge::first: break;  // taken above
    }
    return merged;
}

bool decided(const MergeRules& rules, std::span<const Part> parts) {
    const std::size_t ok = count(parts, PartState::ok);
    const std::size_t pending = count(parts, PartState::pending);
    if (pending == 0) return true;
    if (rules.merge == Merge::first) return ok > 0;
    return ok + pending < rules.quorum || lacks_required(parts);
}

}  // namespace worker::handler
