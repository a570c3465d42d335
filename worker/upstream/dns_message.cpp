// worker/upstream/dns_message.cpp: every read is checked; names follow pointers backwards only.
#include "worker/upstream/dns_message.h"

#include <algorithm>

namespace worker::upstream {
namespace {

constexpr std::size_t header_bytes = 12, name_bytes_max = 255, label_bytes_max = 63;
constexpr std::uint16_t type_cname = 5, class_in = 1;
constexpr std::uint32_t ttl_max = 0x7fffffff;  // RFC 2181 8: what is larger is 0
constexpr std::size_t cnames_max = 16;

class Reader {
 public:
    explicit Reader(std::span<const std::uint8_t> message) : message_(message) {}

    [[nodiscard]] bool failed() const noexcept { return failed_; }
    [[nodiscard]] std::size_t at() const noexcept { return at_; }
    void go_to(std::size_t at) noexcept {
        failed_ = failed_ || at > message_.size();
        at_ = at;
    }
    std::uint8_t byte() noexcept {
        if (failed_ || at_ >= message_.size()) return failed_ = true, std::uint8_t{0};
        return message_[at_++];
    }
    std::uint16_t number16() noexcept {
        const std::uint16_t high = byte();
        return static_cast<std::uint16_t>(high << 8 | byte());
    }
    std::uint32_t number32() noexcept {
        const std::uint32_t high = number16();
        return high << 16 | number16();
    }
    /// Lower case, without the dot of the root. Of two names that read the same, bytes may differ: dots
    /// within labels are refused.
    std::string name() {
        std::string text;
        std::size_t end = 0, limit = at_;
        for (;;) {
            const std::size_t here = at_;
            const std::uint8_t length = byte();
            if (failed_) return {};
            if (length == 0) break;
            if ((length & 0xc0) == 0xc0) {
                const std::size_t target = static_cast<std::size_t>(length & 0x3f) << 8 | byte();
                if (end == 0) end = at_;
                // strictly backwards, so that it comes to an end
                if (failed_ || target >= std::min(limit, here)) return failed_ = true, std::string();
                limit = at_ = target;
                continue;
            }
            if (length > label_bytes_max || text.size() + length + 1 > name_bytes_max)
                return failed_ = true, std::string();
            if (!text.empty()) text += '.';
            for (std::uint8_t count = 0; count < length; ++count) {
                char c = static_cast<char>(byte());
                if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
                if (c <= ' ' || c > '~' || c == '.') return failed_ = true, std::string();
                text += c;
            }
        }
        if (end != 0) at_ = end;
        return text;
    }

 private:
    std::span<const std::uint8_t> message_;
    std::size_t at_ = 0;
    bool failed_ = false;
};

struct Found {
    std::string owner;
    std::uint32_t ttl;
    DnsRecord record;
};

/// The data of one record, exactly `size` bytes.
std::optional<DnsRecord> read_record(Reader& in, DnsType type, std::size_t size) {
    DnsRecord record;
    const std::size_t end = in.at() + size;
    if (type == DnsType::srv) {
        record.priority = in.number16();
        record.weight = in.number16();
        record.port = in.number16();
        record.target = in.name();
    } else {
        if (size != (type == DnsType::a ? 4u : 16u)) return std::nullopt;
        for (std::size_t at = 0; at < size; ++at) record.address[at] = in.byte();
    }
    if (in.failed() || in.at() != end) return std::nullopt;
    return record;
}

}  // namespace

std::optional<DnsAnswer> read_dns_answer(std::span<const std::uint8_t> message, DnsType type) {
    Reader in(message);
    (void)in.number16();  // its id: compared by whoever received it
    const std::uint16_t flags = in.number16();
    const std::uint16_t questions = in.number16(), answers = in.number16();
    in.go_to(header_bytes);
    const bool is_response = (flags & 0x8000) != 0, is_cut = (flags & 0x0200) != 0;
    if (in.failed() || !is_response || is_cut || questions != 1) return std::nullopt;
    std::string wanted = in.name();
    if (in.number16() != static_cast<std::uint16_t>(type) || in.number16() != class_in || in.failed())
        return std::nullopt;

    std::vector<Found> found;
    std::vector<std::pair<std::string, std::pair<std::string, std::uint32_t>>> cnames;
    for (std::uint16_t count = 0; count < answers; ++count) {
        auto owner = in.name();
        const std::uint16_t kind = in.number16(), in_class = in.number16();
        std::uint32_t ttl = in.number32();
        if (ttl > ttl_max) ttl = 0;
        const std::size_t size = in.number16(), end = in.at() + size;
        if (in.failed()) return std::nullopt;
        if (in_class == class_in && kind == type_cname && cnames.size() < cnames_max) {
            auto target = in.name();
            if (in.failed() || in.at() != end) return std::nullopt;
            cnames.emplace_back(std::move(owner), std::pair(std::move(target), ttl));
        } else if (in_class == class_in && kind == static_cast<std::uint16_t>(type)) {
            auto record = read_record(in, type, size);
            if (!record) return std::nullopt;
            if (found.size() < dns_records_max) found.push_back({std::move(owner), ttl, std::move(*record)});
        }
        in.go_to(end);
        if (in.failed()) return std::nullopt;
    }

    DnsAnswer answer;
    answer.ttl = ttl_max;
    for (std::size_t steps = 0; steps <= cnames.size(); ++steps) {  // a ring of them ends too
        for (auto& one : found) {
            if (one.owner != wanted) continue;
            answer.ttl = std::min(answer.ttl, one.ttl);
            answer.records.push_back(std::move(one.record));
        }
        const auto next = std::find_if(cnames.begin(), cnames.end(),
                                       [&](const auto& cname) { return cname.first == wanted; });
        if (!answer.records.empty() || next == cnames.end()) break;
        answer.ttl = std::min(answer.ttl, next->second.second);
        wanted = next->second.first;
    }
    if (answer.records.empty()) answer.ttl = 0;
    return answer;
}

}  // namespace worker::upstream
