#include "worker/jobs/stored_request.h"

namespace worker::jobs {
namespace {

constexpr char request_version = 1;
constexpr std::size_t fixed_bytes = 4;  // version, wire, size of what is hidden
constexpr std::size_t hidden_most = 0xffff;

}  // namespace

std::string pack(const StoredRequest& request) {
    const auto hidden = std::string_view(request.hidden).substr(0, hidden_most);
    std::string bytes;
    bytes.reserve(fixed_bytes + hidden.size() + request.head.size());
    bytes += request_version;
    bytes += static_cast<char>(request.wire);
    bytes += static_cast<char>(hidden.size() & 0xff);
    bytes += static_cast<char>(hidden.size() >> 8);
    bytes.append(hidden).append(request.head);
    return bytes;
}

std::optional<StoredRequest> unpack(std::string_view bytes) {
    if (bytes.size() < fixed_bytes || bytes[0] != request_version) return std::nullopt;
    StoredRequest request;
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(bytes[at]); };
    if (byte(1) > static_cast<unsigned char>(StoredRequest::Wire::fastcgi)) return std::nullopt;
    request.wire = static_cast<StoredRequest::Wire>(byte(1));
    const auto hidden = static_cast<std::size_t>(byte(2)) | static_cast<std::size_t>(byte(3)) << 8;
    if (bytes.size() - fixed_bytes < hidden) return std::nullopt;
    request.hidden = bytes.substr(fixed_bytes, hidden);
    request.head = bytes.substr(fixed_bytes + hidden);
    return request;
}

}  // namespace worker::jobs
