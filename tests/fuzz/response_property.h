// tests/fuzz/response_property.h: what holds for responses of peers, whatever the bytes and however they
// arrive.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/fuzz/property.h"
#include "worker/http/response_parser.h"

namespace fuzz {

/// What a connection's bytes were taken for.
struct Answers {
    std::vector<std::string>
        responses;        ///< of each that is whole: status, framing, fields, payload, trailers
    std::string payload;  ///< of the last one, which is not whole
    bool refused = false;
    bool operator==(const Answers&) const = default;
};

constexpr std::uint64_t response_head_max = 1024;

inline std::string_view name(worker::http::Framing framing) {
    switch (framing) {
        case worker::http::Framing::none: return "none";
        case worker::http::Framing::length: return "length";
        case worker::http::Framing::chunked: return "chunked";
        case worker::http::Framing::until_end: return "until_end";
    }
    std::abort();
}

/// The lines of a header or of trailers, each ended by CR LF, with neither and no NUL inside, none folded.
inline std::vector<std::string_view> clean_lines(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const std::size_t end = text.find_first_of(std::string_view("\r\n\0", 3));
        require(end != text.npos && text.substr(end, 2) == "\r\n");
        lines.push_back(text.substr(0, end));
        require(!lines.back().starts_with(' ') && !lines.back().starts_with('\t'));
        text.remove_prefix(end + 2);
    }
    return lines;
}

inline std::string fields_of(const worker::http::ResponseHead& head) {
    std::string text;
    for (const auto& field : head.fields)
        text.append(head.view(field.name)).append(": ").append(head.view(field.value)).append("\r\n");
    return text;
}

/// Written anew from its parts, a head is the same head.
inline void require_same_again(const worker::http::ResponseHead& head, bool bodiless,
                               const worker::http::ResponseParser& parser) {
    const auto lines = clean_lines({head.head, head.head_size});
    require(lines.size() == head.fields.size() + 2 && lines.back().empty());
    const std::string fields = fields_of(head);
    require(clean_lines(fields).size() == head.fields.size());
    std::string again = "HTTP/1." + std::to_string(head.minor) + " " + std::to_string(head.status) + "\r\n";
    again.append(fields).append("\r\n");

    worker::http::ResponseHead other;
    worker::http::ResponseParser second;
    second.reset(other, bodiless, again.size());
    require(second.head(again) == worker::http::Parsed::head);
    require(other.head_size == again.size() && other.status == head.status && other.minor == head.minor);
    require(fields_of(other) == fields);
    require(second.framing() == parser.framing() && second.keep_alive() == parser.keep_alive());
    require(second.content_length() == parser.content_length());
}

/// Takes a chunked body apart as RFC 9112 7.1 has it, by rules as simple as they are strict. What was taken
/// for one body is one, to the last byte.
inline void require_chunks(std::string_view bytes, std::string_view payload) {
    const auto line = [&bytes] {
        const std::size_t end = bytes.find_first_of(std::string_view("\r\n\0", 3));
        require(end != bytes.npos && bytes.substr(end, 2) == "\r\n");
        const std::string_view found = bytes.substr(0, end);
        bytes.remove_prefix(end + 2);
        return found;
    };
    for (;;) {
        const std::string_view sized = line();
        std::uint64_t size = 0;
        const auto [end, error] = std::from_chars(sized.data(), sized.data() + sized.size(), size, 16);
        require(error == std::errc() && size <= payload.size());
        const std::string_view extensions = sized.substr(static_cast<std::size_t>(end - sized.data()));
        require(extensions.empty() || extensions.starts_with(';') || extensions.starts_with(' '));
        if (size == 0) break;
        require(bytes.substr(0, size) == payload.substr(0, size));
        require(bytes.substr(size, 2) == "\r\n");
        bytes.remove_prefix(size + 2);
        payload.remove_prefix(size);
    }
    for (std::string_view trailer = line(); !trailer.empty(); trailer = line())
        require(!trailer.starts_with(' ') && !trailer.starts_with('\t'));
    require(bytes.empty() && payload.empty());
}

/// Reads responses as a call does that gets `step` bytes at a time. `bodiless`: they answer HEAD.
inline Answers hear(std::string_view bytes, std::size_t step, bool bodiless) {
    using worker::http::Framing;
    using worker::http::Parsed;
    Answers answers;
    worker::http::ResponseHead head;
    worker::http::ResponseParser parser;
    std::string described, chunks;  // of the response under way; all its framing and payload
    std::uint64_t remaining = 0;
    bool in_body = false;
    const auto begin = [&] {
        parser.reset(head, bodiless, response_head_max);
        described.clear();
        chunks.clear();
        answers.payload.clear();
        in_body = false;
    };
    const auto end = [&](std::string_view trailers) {
        answers.responses.push_back(described + answers.payload + "\r\n" + std::string(trailers));
        begin();
    };
    begin();
    std::vector<char> pending;  // moves at each step, as it does between turns
    for (std::size_t at = 0; at < bytes.size(); at += step) {
        const std::string_view piece = bytes.substr(at, step);
        std::vector<char> moved(pending);
        moved.insert(moved.end(), piece.begin(), piece.end());
        pending.swap(moved);
        while (!pending.empty()) {
            std::size_t taken = 0;
            if (!in_body) {
                const Parsed parsed = parser.head(pending);
                require(parsed != Parsed::complete);
                if (parsed == Parsed::more) {
                    require(pending.size() < response_head_max);
                    break;
                }
                if (parsed == Parsed::refused) {
                    require(!parser.complaint().empty());
                    answers.refused = true;
                    answers.payload.clear();
                    return answers;
                }
                taken = head.head_size;
                require(taken <= pending.size() && taken <= response_head_max);
                require_same_again(head, bodiless, parser);
                described = std::to_string(head.status) + " " + std::string(name(parser.framing())) +
                            (parser.keep_alive() ? " keeps\r\n" : " ends\r\n") + fields_of(head) + "\r\n";
                remaining = parser.content_length();
                in_body = true;
                if (parser.framing() == Framing::none) end("");
            } else if (parser.framing() == Framing::chunked) {
                const Parsed parsed = parser.body(pending, taken);
                if (parsed == Parsed::refused) {
                    answers.refused = true;
                    answers.payload.clear();
                    return answers;
                }
                require(taken <= pending.size() && (parsed == Parsed::complete || taken == pending.size()));
                chunks.append(pending.data(), taken);
                for (const std::string_view payload : parser.payload()) answers.payload.append(payload);
                if (parsed == Parsed::complete) {
                    require_chunks(chunks, answers.payload);
                    for (const auto trailer : clean_lines(parser.trailers())) require(trailer.find(':') > 0);
                    end(parser.trailers());
                }
            } else {
                const bool counted = parser.framing() == Framing::length;
                taken = counted ? static_cast<std::size_t>(std::min<std::uint64_t>(remaining, pending.size()))
                                : pending.size();
                answers.payload.append(pending.data(), taken);
                remaining -= counted ? taken : 0;
                if (counted && remaining == 0) end("");
            }
            pending.erase(pending.begin(), pending.begin() + static_cast<std::ptrdiff_t>(taken));
        }
    }
    return answers;
}

/// However the bytes are cut, they are the same responses.
inline void check_response(std::string_view bytes) {
    for (const bool bodiless : {false, true}) {
        const Answers whole = hear(bytes, std::max<std::size_t>(bytes.size(), 1), bodiless);
        for (const std::size_t step : {1u, 2u, 3u, 7u}) require(hear(bytes, step, bodiless) == whole);
    }
}

}  // namespace fuzz
