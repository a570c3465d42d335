#include "worker/http/fastcgi.h"

#include <algorithm>

namespace worker::http::fastcgi {
namespace {

constexpr std::uint8_t version = 1;
constexpr std::uint8_t keep_connection_flag = 1;
constexpr std::size_t message_bytes = 8;  // of the contents that are not a stream or a list

bool is_stream(Type type) noexcept {
    switch (type) {
        case Type::params:
        case Type::standard_in:
        case Type::standard_out:
        case Type::standard_error:
        case Type::data: return true;
        default: return false;
    }
}

std::uint8_t byte_at(std::string_view bytes, std::size_t at) noexcept {
    return static_cast<std::uint8_t>(bytes[at]);
}

void append_byte(std::string& out, std::size_t value) { out += static_cast<char>(value & 0xff); }

/// Returns what is behind it; 4 bytes at most.
char* write_length(char* to, std::size_t length) noexcept {
    if (length >= 0x80) {
        *to++ = static_cast<char>(length >> 24u | 0x80u);
        *to++ = static_cast<char>(length >> 16u);
        *to++ = static_cast<char>(length >> 8u);
    }
    *to++ = static_cast<char>(length);
    return to;
}

/// False: it is cut off.
bool take_length(std::string_view& bytes, std::size_t& length) noexcept {
    if (bytes.empty()) return false;
    length = byte_at(bytes, 0);
    if (length < 0x80) {
        bytes.remove_prefix(1);
        return true;
    }
    if (bytes.size() < 4) return false;
    length = (length & 0x7fu) << 24u | static_cast<std::size_t>(byte_at(bytes, 1)) << 16u |
             static_cast<std::size_t>(byte_at(bytes, 2)) << 8u | byte_at(bytes, 3);
    bytes.remove_prefix(4);
    return true;
}

}  // namespace

void RecordReader::reset() noexcept {
    have_ = content_ = padding_ = 0;
    whole_ = false;
    collected_.clear();
    piece_ = {};
}

RecordReader::Found RecordReader::next(std::string_view& bytes) {
    for (;;) {
        if (content_ > 0) {
            if (bytes.empty()) return Found::more;
            const std::string_view part = bytes.substr(0, content_);
            bytes.remove_prefix(part.size());
            content_ -= part.size();
            if (!whole_) {
                piece_.content = part;
                return Found::piece;
            }
            collected_.append(part);
        }
        if (content_ == 0 && padding_ > 0) {
            const std::size_t part = std::min(padding_, bytes.size());
            bytes.remove_prefix(part);
            padding_ -= part;
        }
        if (content_ > 0 || padding_ > 0) return Found::more;
        if (whole_) {
            whole_ = false;
            piece_.content = collected_;
            return Found::piece;
        }
        if (!read_header(bytes)) return Found::more;
        if (header_[0] != version) return Found::refused;
        if (piece_.ends_stream) return Found::piece;
    }
}

/// False: more must come.
bool RecordReader::read_header(std::string_view& bytes) {
    while (have_ < header_bytes) {
        if (bytes.empty()) return false;
        header_[have_++] = byte_at(bytes, 0);
        bytes.remove_prefix(1);
        if (header_[0] != version) return true;  // whoever speaks something else may say no more
    }
    have_ = 0;
    content_ = static_cast<std::size_t>(header_[4]) << 8u | header_[5];
    padding_ = header_[6];
    piece_ = {
        static_cast<Type>(header_[1]), static_cast<std::uint16_t>(header_[2] << 8u | header_[3]), {}, false};
    whole_ = !is_stream(piece_.type);
    piece_.ends_stream = !whole_ && content_ == 0;
    collected_.clear();
    return true;
}

void append_header(std::string& out, Type type, std::uint16_t request, std::size_t content) {
    const char header[header_bytes] = {static_cast<char>(version),
                                       static_cast<char>(type),
                                       static_cast<char>(request >> 8u),
                                       static_cast<char>(request & 0xff),
                                       static_cast<char>(content >> 8u),
                                       static_cast<char>(content),
                                       0,  // no padding: it is advice, and everybody reads byte by byte
                                       0};
    out.append(header, sizeof header);
}

void append_record(std::string& out, Type type, std::uint16_t request, std::string_view content) {
    append_header(out, type, request, content.size());
    out.append(content);
}

void append_stream(std::string& out, Type type, std::uint16_t request, std::string_view bytes) {
    while (!bytes.empty()) {
        const std::string_view part = bytes.substr(0, content_usual);
        append_record(out, type, request, part);
        bytes.remove_prefix(part.size());
    }
}

void append_begin_request(std::string& out, std::uint16_t request, const BeginRequest& begin) {
    append_header(out, Type::begin_request, request, message_bytes);
    append_byte(out, static_cast<std::uint16_t>(begin.role) >> 8u);
    append_byte(out, static_cast<std::uint16_t>(begin.role));
    append_byte(out, begin.keep_connection ? keep_connection_flag : 0u);
    out.append(5, '\0');
}

std::optional<BeginRequest> read_begin_request(std::string_view content) noexcept {
    if (content.size() != message_bytes) return std::nullopt;
    return BeginRequest{static_cast<Role>(byte_at(content, 0) << 8u | byte_at(content, 1)),
                        (byte_at(content, 2) & keep_connection_flag) != 0};
}

void append_end_request(std::string& out, std::uint16_t request, const EndRequest& end) {
    append_header(out, Type::end_request, request, message_bytes);
    append_byte(out, end.app_status >> 24u);
    append_byte(out, end.app_status >> 16u);
    append_byte(out, end.app_status >> 8u);
    append_byte(out, end.app_status);
    append_byte(out, static_cast<std::uint8_t>(end.protocol_status));
    out.append(3, '\0');
}

std::optional<EndRequest> read_end_request(std::string_view content) noexcept {
    if (content.size() != message_bytes) return std::nullopt;
    EndRequest end;
    for (std::size_t at = 0; at < 4; ++at) end.app_status = end.app_status << 8u | byte_at(content, at);
    end.protocol_status = static_cast<ProtocolStatus>(byte_at(content, 4));
    return end;
}

void append_unknown_type(std::string& out, Type type) {
    append_header(out, Type::unknown_type, management, message_bytes);
    append_byte(out, static_cast<std::uint8_t>(type));
    out.append(7, '\0');
}

void append_param(std::string& out, std::string_view name, std::string_view value) {
    char lengths[8];
    const char* end = write_length(write_length(lengths, name.size()), value.size());
    out.append(lengths, static_cast<std::size_t>(end - lengths)).append(name).append(value);
}

std::optional<Param> take_param(std::string_view& bytes) noexcept {
    std::string_view rest = bytes;
    std::size_t name = 0, value = 0;
    if (!take_length(rest, name) || !take_length(rest, value)) return std::nullopt;
    if (name > rest.size() || value > rest.size() - name) return std::nullopt;
    const Param param{rest.substr(0, name), rest.substr(name, value)};
    bytes = rest.substr(name + value);
    return param;
}

}  // namespace worker::http::fastcgi
