#include "conf/http_types.h"

#include <algorithm>
#include <memory>

#include <fmt/format.h>
#include <re2/re2.h>

#include "conf/ini_file.h"
#include "conf/log_variables.h"
#include "conf/text_variables.h"
#include "conf/types.h"
#include "conf/units.h"

namespace conf {
namespace {

using Strings = std::vector<std::string>;

/// Every word of `value` through `parse`; fails with the first complaint.
template <class Parse>
Parsed<Strings> each_word(const Value& value, Parse parse) {
    const auto words = split_words(value.text);
    if (!words) return tl::unexpected(words.error());
    Strings all;
    for (const auto& word : *words) {
        Parsed<std::string> one = parse(word.text);
        if (!one) return tl::unexpected(one.error());
        all.push_back(std::move(*one));
    }
    return all;
}

/// Header text may hold tabs, but no other control character.
bool is_field_value(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) {
        return c == '\t' || !has_control_character({&c, 1});
    });
}

/// A segment that normalising takes out of every request: empty, but for the last, or dots.
bool has_idle_segment(std::string_view path) {
    for (std::size_t begin = 1; begin <= path.size();) {
        const auto end = std::min(path.find('/', begin), path.size());
        const auto segment = path.substr(begin, end - begin);
        if (segment == "." || segment == ".." || (segment.empty() && end < path.size())) return true;
        begin = end + 1;
    }
    return false;
}

/// A path as the router sees it: decoded, without empty, `.` or `..` segments.
Parsed<std::string> request_path(std::string text) {
    if (!text.starts_with('/')) return tl::unexpected(fmt::format("{} does not begin with `/`", shown(text)));
    if (has_control_character(text))
        return tl::unexpected(fmt::format("a control character in the path {}", shown(text)));
    if (has_idle_segment(text))
        return tl::unexpected(
            fmt::format("{} can never match: requests come without `//`, `/./` and `/../`", shown(text)));
    return text;
}

/// Whether `text` holds no variable but $path, all that `try` knows.
bool only_path_variable(std::string_view text) {
    constexpr std::string_view known = "$path";
    for (auto at = text.find('$'); at != std::string_view::npos; at = text.find('$', at + 1))
        if (text.substr(at, known.size()) != known) return false;
    return true;
}

Parsed<std::string> regex(std::string text) {
    constexpr std::size_t regex_bytes_max = 4096;
    if (text.empty()) return tl::unexpected<std::string>("an empty regular expression");
    if (text.size() > regex_bytes_max)
        return tl::unexpected(fmt::format("a regular expression longer than {} bytes", regex_bytes_max));
    if (has_control_character(text))
        return tl::unexpected<std::string>("a control character in the regular expression");
    RE2::Options quiet;
    quiet.set_log_errors(false);
    const RE2 compiled(text, quiet);
    if (!compiled.ok())
        return tl::unexpected(
            fmt::format("{} is not a regular expression: {}", shown(text), compiled.error()));
    return text;
}

}  // namespace

bool is_token(std::string_view text) {
    constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
    return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               marks.find(c) != marks.npos;
    });
}

Parsed<AccessLog> AccessLogType::parse(const Value& value) const {
    if (value.text == "off") return AccessLog{};
    const auto where = split_word(value.text);
    if (!where) return tl::unexpected(where.error());
    AccessLog log;
    if (const auto& name = where->first.text; name == "stdout" || name == "stderr") {
        log.path = name;
    } else {
        auto path = absolute_path(name, value.folder);
        if (!path) return tl::unexpected(path.error());
        log.path = std::move(*path);
    }
    if (where->rest.empty()) return log;

    auto format = free_text(where->rest);
    if (!format) return tl::unexpected(format.error());
    if (const auto wrong = log_format_complaint(*format); !wrong.empty()) return tl::unexpected(wrong);
    log.format = std::move(*format);
    return log;
}

std::string AccessLogType::print(const AccessLog& log) const {
    if (log.path.empty()) return "off";
    const bool named = log.format == "combined" || log.format == "json";
    return fmt::format("{} {}", as_word(log.path), named ? log.format : conf::quoted(log.format));
}

Parsed<std::vector<Header>> HeaderType::parse(const Value& value) const {
    static constexpr std::string_view framing[] = {"connection", "content-length",    "keep-alive", "te",
                                                   "trailer",    "transfer-encoding", "upgrade"};
    const auto colon = value.text.find(':');
    if (colon == std::string_view::npos)
        return tl::unexpected(fmt::format("{} is not `Name: value`", shown(value.text)));
    Header header{std::string(trimmed(value.text.substr(0, colon))), {}};
    if (!is_token(header.name))
        return tl::unexpected(fmt::format("{} is not the name of a header", shown(header.name)));
    if (std::find(std::begin(framing), std::end(framing), lower_case(header.name)) != std::end(framing))
        return tl::unexpected(fmt::format("`{}` frames the message and is not free to set", header.name));
    auto text = FieldValue{true}.parse({value.text.substr(colon + 1), value.folder});
    if (!text) return tl::unexpected(text.error());
    header.value = std::move(*text);
    if (variables)
        if (const auto split = split_text(header.value); !split) return tl::unexpected(split.error());
    return std::vector{std::move(header)};
}

std::string HeaderType::print(const Header& header) const {
    return fmt::format("{}: {}", header.name, as_text(header.value));
}

Parsed<std::string> FieldValue::parse(const Value& value) const {
    auto text = free_text(value.text);
    if (!text) return text;
    if (!is_field_value(*text))
        return tl::unexpected(fmt::format("a control character in the header value {}", shown(*text)));
    if (trimmed(*text).empty() && !may_be_empty) return tl::unexpected<std::string>("an empty header value");
    return std::string(trimmed(*text));
}

std::string FieldValue::print(const std::string& text) const { return text.empty() ? text : as_text(text); }

Parsed<std::vector<ErrorPage>> ErrorPageType::parse(const Value& value) const {
    const auto words = split_words(value.text);
    if (!words) return tl::unexpected(words.error());
    if (words->size() < 2)
        return tl::unexpected(fmt::format("{} is not `STATUS... /page`", shown(value.text)));
    ErrorPage page;
    for (auto word = words->begin(); word != words->end() - 1; ++word) {
        const auto status = parse_number(word->text, 400, 599);
        if (!status) return tl::unexpected("status " + status.error());
        page.statuses.push_back(static_cast<std::uint16_t>(*status));
    }
    auto target = request_path(words->back().text);
    if (!target) return tl::unexpected(target.error());
    page.target = std::move(*target);
    return std::vector{std::move(page)};
}

std::string ErrorPageType::print(const ErrorPage& page) const {
    return fmt::format("{} {}", fmt::join(page.statuses, " "), as_word(page.target));
}

Parsed<std::string> RequestPath::parse(const Value& value) const {
    auto word = only_word(value.text, "path");
    if (!word) return word;
    return request_path(std::move(*word));
}

std::string RequestPath::print(const std::string& path) const { return path.empty() ? path : as_word(path); }

Parsed<std::string> SectionName::parse(const Value& value) const {
    auto word = only_word(value.text, "name");
    if (word && !is_name(*word))
        return tl::unexpected(fmt::format("{} is not the name of a section", shown(*word)));
    return word;
}

Parsed<Strings> FieldNames::parse(const Value& value) const {
    return each_word(value, [](const std::string& word) -> Parsed<std::string> {
        if (!is_token(word))
            return tl::unexpected(fmt::format("{} is not the name of a header", shown(word)));
        return word;
    });
}

Parsed<std::vector<std::uint16_t>> Statuses::parse(const Value& value) const {
    const auto words = split_words(value.text);
    if (!words) return tl::unexpected(words.error());
    std::vector<std::uint16_t> all;
    for (const auto& word : *words) {
        const auto status = parse_number(word.text, 400, 599);
        if (!status) return tl::unexpected("status " + status.error());
        all.push_back(static_cast<std::uint16_t>(*status));
    }
    return all;
}

Parsed<Strings> SectionNames::parse(const Value& value) const {
    return each_word(value, [](const std::string& word) -> Parsed<std::string> {
        if (!is_name(word))
            return tl::unexpected(fmt::format("{} is not the name of a section", shown(word)));
        return word;
    });
}

Parsed<PathMatch> PathMatchType::parse(const Value& value) const {
    const char mark = value.text.front();
    if (mark == '~') {
        auto text = free_text(value.text.substr(1)).and_then(regex);
        if (!text) return tl::unexpected(text.error());
        return PathMatch{PathMatch::Kind::regex, std::move(*text)};
    }
    auto text = only_word(mark == '=' ? value.text.substr(1) : value.text, "path").and_then(request_path);
    if (!text) return tl::unexpected(text.error());
    return PathMatch{mark == '=' ? PathMatch::Kind::exact : PathMatch::Kind::prefix, std::move(*text)};
}

std::string PathMatchType::print(const PathMatch& path) const {
    switch (path.kind) {
        case PathMatch::Kind::prefix: return as_word(path.text);
        case PathMatch::Kind::exact: return "= " + as_word(path.text);
        case PathMatch::Kind::regex: return "~ " + as_text(path.text);
    }
    std::abort();
}

Parsed<Strings> Methods::parse(const Value& value) const {
    return each_word(value, [](const std::string& word) -> Parsed<std::string> {
        if (!is_token(word)) return tl::unexpected(fmt::format("{} is not a method", shown(word)));
        if (std::any_of(word.begin(), word.end(), [](char c) { return c >= 'a' && c <= 'z'; }))
            return tl::unexpected(fmt::format("{}: methods are written in upper case", shown(word)));
        return word;
    });
}

Parsed<Strings> IndexNames::parse(const Value& value) const {
    return each_word(value, [](const std::string& word) -> Parsed<std::string> {
        if (word.empty() || word == "." || word == ".." || word.find('/') != std::string::npos ||
            has_control_character(word))
            return tl::unexpected(fmt::format("{} is not the name of a file in a folder", shown(word)));
        return word;
    });
}

std::string IndexNames::print(const std::string& name) const {
    return name == "off" ? conf::quoted(name) : as_word(name);
}

Parsed<Strings> TryList::parse(const Value& value) const {
    return each_word(value, [](const std::string& word) -> Parsed<std::string> {
        if (word.starts_with('=')) {
            const auto status = parse_number(std::string_view(word).substr(1), 400, 599);
            if (!status) return tl::unexpected("status " + status.error());
        } else if (!(word.starts_with('/') || word.starts_with('$')) || !only_path_variable(word) ||
                   has_control_character(word)) {
            return tl::unexpected(
                fmt::format("{} is neither a path with $path nor a status like =404", shown(word)));
        }
        return word;
    });
}

std::string TryList::print(const std::string& attempt) const { return as_word(attempt); }

Parsed<RespondType::Parts> RespondType::parse(const Value& value) const {
    const auto words = split_words(value.text);
    if (!words) return tl::unexpected(words.error());
    const auto status = parse_number(words->at(0).text, 200, 599);
    if (!status || words->at(0).quoted)
        return tl::unexpected("status " +
                              (status ? shown(value.text) + " stands in quotes" : status.error()));
    if (words->size() == 1) return Parts{static_cast<std::uint16_t>(*status), ""};
    if (words->size() > 2 || !words->at(1).quoted)
        return tl::unexpected<std::string>("the body is one text in quotes");
    if ((*status == 204 || *status == 304) && !words->at(1).text.empty())
        return tl::unexpected(fmt::format("status {} has no body", *status));
    if (const auto split = split_text(words->at(1).text); !split) return tl::unexpected(split.error());
    return Parts{static_cast<std::uint16_t>(*status), words->at(1).text};
}

std::string RespondType::print(const std::tuple<const std::uint16_t&, const std::string&>& parts) const {
    const auto& [status, body] = parts;
    return body.empty() ? std::to_string(status) : fmt::format("{} {}", status, conf::quoted(body));
}

Parsed<Redirect> RedirectType::parse(const Value& value) const {
    auto words = split_words(value.text);
    if (!words) return tl::unexpected(words.error());
    Redirect redirect;
    if (words->size() > 2) return tl::unexpected<std::string>("more than a status and a location");
    if (words->size() == 2) {
        static constexpr std::string_view known[] = {"301", "302", "303", "307", "308"};
        const auto& status = words->front().text;
        if (std::find(std::begin(known), std::end(known), status) == std::end(known))
            return tl::unexpected(not_one_of(status, known));
        redirect.status = static_cast<std::uint16_t>(parse_number(status, 301, 308).value());
    }
    redirect.location = std::move(words->back().text);
    if (redirect.location.empty() || redirect.location.find(' ') != std::string::npos ||
        has_control_character(redirect.location))
        return tl::unexpected(fmt::format("{} is not a location", shown(redirect.location)));
    if (words->size() == 1 && redirect.location.find_first_not_of("0123456789") == std::string::npos)
        return tl::unexpected<std::string>("a status, and no location to go to");
    if (const auto split = split_text(redirect.location); !split) return tl::unexpected(split.error());
    return redirect;
}

std::string RedirectType::print(const Redirect& redirect) const {
    return fmt::format("{} {}", redirect.status, as_word(redirect.location));
}

Parsed<On::Nothing> On::parse(const Value& value) const {
    if (value.text != "on")
        return tl::unexpected(fmt::format("{} is not `on`; leave the key out instead", shown(value.text)));
    return Nothing{};
}

}  // namespace conf
