// conf/http_types.h: the types of settings that only servers and routes have.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "conf/setting.h"

namespace conf {

/// `off`, or a path and a format: `combined`, `json`, or a text with $variables, best in quotes.
struct AccessLogType {
    [[nodiscard]] Parsed<AccessLog> parse(const Value& value) const;
    [[nodiscard]] std::string print(const AccessLog& log) const;
};

/// `Name: value`, one a line. What frames a message is not for the configuration to set.
struct HeaderType {
    bool variables = false;  ///< the value is a text with $variables
    [[nodiscard]] Parsed<std::vector<Header>> parse(const Value& value) const;
    [[nodiscard]] std::string print(const Header& header) const;
};

/// The value of one header field: no control characters, RFC 9110 5.5.
struct FieldValue {
    bool may_be_empty = false;
    [[nodiscard]] Parsed<std::string> parse(const Value& value) const;
    [[nodiscard]] std::string print(const std::string& text) const;
};

/// `404 500 /error.html`, one a line.
struct ErrorPageType {
    [[nodiscard]] Parsed<std::vector<ErrorPage>> parse(const Value& value) const;
    [[nodiscard]] std::string print(const ErrorPage& page) const;
};

/// A path of a server, as the router sees it.
struct RequestPath {
    [[nodiscard]] Parsed<std::string> parse(const Value& value) const;
    [[nodiscard]] std::string print(const std::string& path) const;
};

/// The name of one section.
struct SectionName {
    [[nodiscard]] Parsed<std::string> parse(const Value& value) const;
    [[nodiscard]] std::string print(const std::string& name) const { return name; }
};

/// Names of header fields, several a line.
struct FieldNames {
    [[nodiscard]] Parsed<std::vector<std::string>> parse(const Value& value) const;
    [[nodiscard]] std::string print(const std::string& name) const { return name; }
};

/// Statuses of responses, several a line.
struct Statuses {
    [[nodiscard]] Parsed<std::vector<std::uint16_t>> parse(const Value& value) const;
    [[nodiscard]] std::string print(std::uint16_t status) const { return std::to_string(status); }
};

/// Names of sections, several a line.
struct SectionNames {
    [[nodiscard]] Parsed<std::vector<std::string>> parse(const Value& value) const;
    [[nodiscard]] std::string print(const std::string& name) const { return name; }
};

/// `/prefix/`, `= /exact`, `~ REGEX`.
struct PathMatchType {
    [[nodiscard]] Parsed<PathMatch> parse(const Value& value) const;
    [[nodiscard]] std::string print(const PathMatch& path) const;
};

/// Methods, several a line; they are case-sensitive, RFC 9110 9.1.
struct Methods {
    [[nodiscard]] Parsed<std::vector<std::string>> parse(const Value& value) const;
    [[nodiscard]] std::string print(const std::string& method) const { return method; }
};

/// Names of files in a folder, several a line.
struct IndexNames {
    [[nodiscard]] Parsed<std::vector<std::string>> parse(const Value& value) const;
    [[nodiscard]] std::string print(const std::string& name) const;
};

/// `$path $path.html /index.html`, several a line.
struct TryList {
    [[nodiscard]] Parsed<std::vector<std::string>> parse(const Value& value) const;
    [[nodiscard]] std::string print(const std::string& attempt) const;
};

/// `200 "text"`, `204`: status and body.
struct RespondType {
    using Parts = std::tuple<std::uint16_t, std::string>;
    [[nodiscard]] Parsed<Parts> parse(const Value& value) const;
    [[nodiscard]] std::string print(const std::tuple<const std::uint16_t&, const std::string&>& parts) const;
};

/// `301 https://$host$uri`; without a status it is 302.
struct RedirectType {
    [[nodiscard]] Parsed<Redirect> parse(const Value& value) const;
    [[nodiscard]] std::string print(const Redirect& redirect) const;
};

/// The only thing that may stand there is `on`; the key chooses the handler.
struct On {
    struct Nothing {};
    [[nodiscard]] Parsed<Nothing> parse(const Value& value) const;
    [[nodiscard]] std::string print(const Nothing&) const { return "on"; }
};

/// A token of RFC 9110 5.6.2.
[[nodiscard]] bool is_token(std::string_view text);

}  // namespace conf
