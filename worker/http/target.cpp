#include "worker/http/target.h"

#include <array>
#include <cstddef>
#include <cstdint>

#include "worker/http/host.h"

namespace worker::http {
namespace {

/// What each raw byte means to the scan of a path.
enum class Byte : std::uint8_t { plain, slash, percent, question, refused };

constexpr std::array<Byte, 256> bytes = [] {
    std::array<Byte, 256> table{};
    for (unsigned c = 0; c <= 0x20; ++c) table[c] = Byte::refused;
    table[0x7f] = table['#'] = table['\\'] = Byte::refused;
    table['/'] = Byte::slash;
    table['%'] = Byte::percent;
    table['?'] = Byte::question;
    return table;
}();

Byte byte_of(char c) { return bytes[static_cast<unsigned char>(c)]; }

/// 0 to 15, or -1.
int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    const char letter = lower(c);
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

bool valid_query(std::string_view query) {
    for (const char c : query) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte <= 0x20 || byte == 0x7f || c == '#') return false;
    }
    return true;
}

/// How far the path reaches, and whether it is normal as it stands.
struct Scan {
    std::size_t end = 0;
    bool normal = true;  ///< errs on the side of false
    bool valid = true;
};

Scan scan(std::string_view raw) {
    Scan seen;
    for (std::size_t i = 0; i < raw.size(); ++i) {
        const Byte byte = byte_of(raw[i]);
        if (byte == Byte::plain) continue;  // nearly all: kept out of the jump below
        switch (byte) {
            case Byte::plain: break;
            case Byte::slash:
                if (i + 1 < raw.size() && (raw[i + 1] == '/' || raw[i + 1] == '.')) seen.normal = false;
                break;
            case Byte::percent: seen.normal = false; break;
            case Byte::question: seen.end = i; return seen;
            case Byte::refused: seen.valid = false; return seen;
        }
    }
    seen.end = raw.size();
    return seen;
}

/// Writes a path segment by segment. `out` is as long as the raw path, which is never shorter.
class Writer {
 public:
    explicit Writer(char* out) : out_(out) { out_[0] = '/'; }

    /// The next byte of the decoded path. False: the path climbs above its root.
    bool put(char c) {
        if (c != '/') {
            out_[size_++] = c;
            return true;
        }
        if (!close_segment()) return false;
        if (size_ > segment_) out_[size_++] = '/';  // an empty one adds no slash of its own
        segment_ = size_;
        return true;
    }
    bool finish() { return close_segment(); }
    [[nodiscard]] std::size_t size() const { return size_; }

 private:
    /// Takes "." and ".." back. Cannot read before the first slash: ".." is refused there.
    bool close_segment() {
        const std::string_view segment(out_ + segment_, size_ - segment_);
        if (segment == ".") size_ = segment_;
        if (segment != "..") return true;
        if (segment_ == 1) return false;
        size_ = segment_ - 1;
        while (out_[size_ - 1] != '/') --size_;
        segment_ = size_;
        return true;
    }

    char* out_;
    std::size_t size_ = 1;
    std::size_t segment_ = 1;  ///< where the current segment begins, after its slash
};

/// Decodes and cleans `raw`, which begins with "/" and was scanned, into `scratch`.
bool normalise(std::string_view raw, std::string& scratch) {
    scratch.resize(raw.size());
    Writer out(scratch.data());
    for (std::size_t i = 1; i < raw.size(); ++i) {
        char c = raw[i];
        if (c == '%') {
            if (raw.size() - i < 3) return false;
            const int high = hex_value(raw[i + 1]), low = hex_value(raw[i + 2]);
            if (high < 0 || low < 0) return false;
            const int value = high * 16 + low;
            if (value < 0x20 || value == 0x7f) return false;
            c = static_cast<char>(value);
            i += 2;
        }
        if (!out.put(c)) return false;
    }
    if (!out.finish()) return false;
    scratch.resize(out.size());
    return true;
}

/// `raw` begins with "/".
std::optional<Target> parse_origin(std::string_view raw, std::string& scratch) {
    const Scan seen = scan(raw);
    if (!seen.valid) return std::nullopt;

    Target target;
    target.path = raw.substr(0, seen.end);
    if (!seen.normal) {
        if (!normalise(target.path, scratch)) return std::nullopt;
        target.path = scratch;
    }
    if (seen.end < raw.size()) {
        target.has_query = true;
        target.query = raw.substr(seen.end + 1);
        if (!valid_query(target.query)) return std::nullopt;
    }
    return target;
}

/// What follows "http://" or "https://"; nullopt: neither.
std::optional<std::string_view> after_scheme(std::string_view raw) {
    for (const std::string_view scheme : {"http://", "https://"})
        if (equals_ignore_case(raw.substr(0, scheme.size()), scheme)) return raw.substr(scheme.size());
    return std::nullopt;
}

/// `rest` is the absolute form without its scheme: authority, path, query.
std::optional<Target> parse_absolute(std::string_view method, std::string_view rest, std::string& scratch) {
    const std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
    if (authority.empty() || !valid_host(authority)) return std::nullopt;
    rest.remove_prefix(authority.size());

    std::optional<Target> target;
    if (rest.starts_with('/')) {
        target = parse_origin(rest, scratch);
    } else if (rest.empty()) {
        target = Target{.path = "/", .asterisk = method == "OPTIONS"};
    } else if (rest.front() == '?' && valid_query(rest.substr(1))) {
        target = Target{.path = "/", .query = rest.substr(1), .has_query = true};
    }
    if (target) target->authority = authority;
    return target;
}

}  // namespace

std::optional<Target> parse_target(std::string_view method, std::string_view raw, std::string& scratch) {
    if (method == "CONNECT") return std::nullopt;
    if (raw.starts_with('/')) return parse_origin(raw, scratch);
    if (raw == "*" && method == "OPTIONS") return Target{.path = "/", .asterisk = true};
    if (const auto rest = after_scheme(raw)) return parse_absolute(method, *rest, scratch);
    return std::nullopt;
}

}  // namespace worker::http
