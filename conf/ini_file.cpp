#include "conf/ini_file.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>
#define INI_HANDLER_LINENO 1
#include <ini.h>

#include "conf/words.h"

namespace conf {
namespace {

constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyz";

bool is_key(std::string_view text) {
    return !text.empty() && is_name(text) && text.find('.') == std::string_view::npos;
}

bool is_indented(std::string_view line) { return line.front() == ' ' || line.front() == '\t'; }

bool is_comment(std::string_view text) { return text.front() == ';' || text.front() == '#'; }

/// "[server x]" or "[reeve]", but not "[::1]:80".
bool looks_like_section(std::string_view text) {
    if (text.size() < 2 || text.front() != '[') return false;
    const auto end = text.find_first_not_of(letters, 1);
    return end != std::string_view::npos && end > 1 && (text[end] == ' ' || text[end] == ']');
}

/// The key of "name = x", empty when it is anything else.
std::string_view key_of(std::string_view text) {
    const auto separator = text.find('=');
    if (separator == std::string_view::npos) return {};
    const auto key = trimmed(text.substr(0, separator));
    return is_key(key) && letters.find(key.front()) != std::string_view::npos ? key : std::string_view();
}

/// Gives inih the lines it understands and takes back the settings it finds.
class Feed {
 public:
    Feed(std::string_view text, IniText& into) : text_(text), into_(into), open_(&into.top) {}

    /// inih's `ini_reader`: the next line with its line end into `buffer`, or nullptr at the end.
    char* next(char* buffer, int size) {
        if (text_.empty()) return nullptr;
        ++line_;
        const auto end = text_.find('\n');
        auto line = text_.substr(0, end);
        text_.remove_prefix(end == std::string_view::npos ? text_.size() : end + 1);
        if (!line.empty() && line.back() == '\r') line.remove_suffix(1);

        auto vetted = vet(line);
        vetted.resize(
            std::min(vetted.size(), static_cast<std::size_t>(size) - 2));  // never: vet keeps it shorter
        vetted += '\n';
        std::memcpy(buffer, vetted.c_str(), vetted.size() + 1);
        return buffer;
    }

    void on_setting(std::string_view key, std::string_view value) {
        if (open_ != nullptr) open_->push_back({std::string(key), std::string(value), line_, continued_});
    }

    void complain(std::string message) { into_.complaints.push_back({line_, std::move(message)}); }

 private:
    enum class Above { nothing, setting, refused };

    /// The line as inih may have it; empty when there is nothing in it or it was refused.
    std::string vet(std::string_view line) {
        if (line.size() > line_bytes_max)
            return refuse(fmt::format("the line is longer than {} bytes", line_bytes_max));
        const auto text = trimmed(line);
        if (text.empty() || is_comment(text)) return {};
        for (const char c : line)
            if (c != '\t' && has_control_character({&c, 1}))
                return refuse(fmt::format("control character 0x{:02x}", static_cast<unsigned char>(c)));
        if (is_indented(line)) return vet_continued(text, line);
        if (text.front() == '[') return vet_section(text);
        return vet_setting(text);
    }

    std::string vet_section(std::string_view text) {
        above_ = Above::nothing;
        open_ = nullptr;
        continued_ = false;
        const auto bare = without_comment(text);
        const auto header = trimmed(bare.value_or(text));
        const auto inside = header.substr(1, header.find(']') - 1);
        if (header.size() != inside.size() + 2) {
            complain(header.find(']') == std::string_view::npos
                         ? fmt::format("section {} is not closed: `]` is missing", shown(header))
                         : fmt::format("text behind the section header {}", shown(header)));
            return {};
        }
        if (inside.size() > name_bytes_max) {
            complain(fmt::format("section {} is longer than {} characters", shown(inside), name_bytes_max));
            return {};
        }
        const auto blank = inside.find_first_of(" \t");
        const auto kind = inside.substr(0, blank);
        const auto name =
            blank == std::string_view::npos ? std::string_view() : trimmed(inside.substr(blank));
        if (!is_name(kind) || (!name.empty() && !is_name(name))) {
            complain(fmt::format(
                "section {} is not [kind name]: names are made of letters, digits, `_`, `.` and `-`",
                shown(header)));
            return {};
        }
        into_.sections.push_back({std::string(kind), std::string(name), line_, {}});
        open_ = &into_.sections.back().settings;
        return std::string(header);
    }

    std::string vet_setting(std::string_view text) {
        const auto separator = text.find_first_of("=:");
        if (separator == std::string_view::npos || text[separator] != '=')
            return refuse(fmt::format("{} is not `key = value`", shown(text)));
        const auto key = trimmed(text.substr(0, separator));
        if (!is_key(key)) return refuse(fmt::format("{} is not a key", shown(key)));
        if (key.size() > name_bytes_max)
            return refuse(fmt::format("key {} is longer than {} characters", shown(key), name_bytes_max));
        const auto value = without_comment(text.substr(separator + 1));
        if (!value) return refuse(fmt::format("{}: {}", key, value.error()));
        above_ = Above::setting;
        continued_ = false;
        return fmt::format("{} ={}", key, *value);
    }

    std::string vet_continued(std::string_view text, std::string_view line) {
        if (above_ == Above::refused) return {};
        if (above_ == Above::nothing)
            return refuse(
                "an indented line continues the setting above, and there is none; begin at the first column");
        if (looks_like_section(text)) return refuse("a section header must begin at the first column");
        if (const auto key = key_of(text); !key.empty())
            return refuse(fmt::format(
                "an indented line continues the setting above; begin `{}` at the first column", key));
        const auto value = without_comment(line);
        if (!value) return refuse(value.error());
        continued_ = true;
        return std::string(*value);
    }

    std::string refuse(std::string message) {
        complain(std::move(message));
        above_ = Above::refused;
        return {};
    }

    std::string_view text_;
    IniText& into_;
    std::vector<IniSetting>* open_;  ///< of the section we are in; nullptr when that was refused
    std::uint32_t line_ = 0;
    Above above_ = Above::nothing;
    bool continued_ = false;
};

/// inih's knobs are variables of the library; ours are the only calls of it in the process.
void set_up_inih() {
    ini_use_stack = false;
    ini_allow_realloc = true;
    ini_initial_alloc = static_cast<int>(line_bytes_max) + 64;  // a whole line in one read
    ini_max_line = ini_initial_alloc;
    ini_allow_multiline = true;
    ini_allow_inline_comments = false;  // they know no quotes: `without_comment` has taken them off
    ini_stop_on_first_error = false;
    ini_allow_no_value = false;
}

}  // namespace

bool is_name(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
               c == '.' || c == '-';
    });
}

IniText read_ini(std::string_view text) {
    IniText result;
    if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
    if (const auto nul = text.find('\0'); nul != std::string_view::npos) {
        const auto line = std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(nul), '\n') + 1;
        result.complaints.push_back(
            {static_cast<std::uint32_t>(line), "a NUL byte: this is not a text file"});
        return result;
    }

    set_up_inih();
    Feed feed(text, result);
    const auto reader = [](char* buffer, int size, void* stream) {
        return static_cast<Feed*>(stream)->next(buffer, size);
    };
    const auto handler = [](void* user, const char*, const char* key, const char* value, int) {
        static_cast<Feed*>(user)->on_setting(key, value);
        return 1;
    };
    if (ini_parse_stream(reader, &feed, handler, &feed) != 0) feed.complain("a line above could not be read");
    return result;
}

}  // namespace conf
