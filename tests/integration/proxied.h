// tests/integration/proxied.h: a server with a proxy, its answers, and what its worker costs.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>

#include "tests/integration/origin.h"
#include "tests/integration/server.h"

namespace integration {

/// One worker, [upstream origin] with a line for each peer ("127.0.0.1:9000 weight=2"), and a route for all
/// paths.
[[nodiscard]] Setup passing_to(std::initializer_list<std::string> peers, const std::string& route_lines = "",
                               const std::string& upstream_lines = "");

/// An address where nobody listens.
[[nodiscard]] std::string nobody();

// What messages are made of.
inline const std::string ok = "HTTP/1.1 200 OK\r\n";
inline const std::string chunked = "Transfer-Encoding: chunked\r\n";
[[nodiscard]] std::string chunk(const std::string& text);
/// POST /first, chunked or in another coding.
[[nodiscard]] std::string post_chunks(const std::string& chunks, const std::string& coding = chunked);
/// Text that does not repeat itself.
[[nodiscard]] std::string numbers(std::size_t size);

/// Body of a chunked response.
struct Chunks {
    std::string payload;
    std::string trailers;  ///< lines, each with its CR LF
    std::size_t pieces = 0;
    bool whole = false;  ///< the last chunk came
};
[[nodiscard]] Chunks take_chunks(Client& client);

/// What a process holds and has used, by /proc.
[[nodiscard]] std::uint64_t resident_bytes(pid_t pid);
/// The most that it ever was.
[[nodiscard]] std::uint64_t resident_bytes_max(pid_t pid);
[[nodiscard]] std::uint64_t processor_ms(pid_t pid);
[[nodiscard]] std::size_t descriptors(pid_t pid);

}  // namespace integration
