#include "tests/integration/proxied.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <sstream>

#include "tests/integration/check.h"

namespace integration {
namespace {

std::uint64_t status_bytes(pid_t pid, const std::string& name) {
    const std::string status = contents("/proc/" + std::to_string(pid) + "/status");
    const auto at = status.find(name + ":");
    if (at == std::string::npos) fail("no " + name + " of the worker");
    return std::strtoull(status.c_str() + at + name.size() + 1, nullptr, 10) * 1024;
}

}  // namespace

Setup passing_to(std::initializer_list<std::string> peers, const std::string& route_lines,
                 const std::string& upstream_lines) {
    std::string upstream = "[upstream origin]\n" + upstream_lines;
    for (const std::string& peer : peers) upstream += "peer = " + peer + "\n";
    return {.execution = "workers = 1\n",
            .routes = upstream + "[route all]\npath = /\nproxy = origin\n" + route_lines};
}

std::string nobody() { return "127.0.0.1:" + std::to_string(free_port()); }

std::string chunk(const std::string& text) {
    std::ostringstream size;
    size << std::hex << text.size();
    return size.str() + "\r\n" + text + "\r\n";
}

std::string post_chunks(const std::string& chunks, const std::string& coding) {
    return "POST /first HTTP/1.1\r\nHost: test\r\n" + coding + "\r\n" + chunks;
}

std::string numbers(std::size_t size) {
    std::string text;
    text.reserve(size + 32);
    for (std::size_t i = 0; text.size() < size; ++i) text += std::to_string(i * 7919) + ",";
    text.resize(size);
    return text;
}

Chunks take_chunks(Client& client) {
    Chunks chunks;
    const auto line = [&client] {
        std::string text;
        while (!text.ends_with("\r\n")) {
            const std::string byte = client.take(1);
            if (byte.empty()) return std::string();
            text += byte;
        }
        return text;
    };
    for (std::string size_line = line(); !size_line.empty(); size_line = line()) {
        const std::size_t size = std::strtoull(size_line.c_str(), nullptr, 16);
        if (size == 0) {
            std::string trailer = line();
            for (; trailer.size() > 2; trailer = line()) chunks.trailers += trailer;
            chunks.whole = trailer == "\r\n";
            return chunks;
        }
        const std::string piece = client.take(size + 2);
        chunks.payload += piece.substr(0, size);
        ++chunks.pieces;
        if (piece.size() < size + 2) return chunks;
        if (!piece.ends_with("\r\n")) fail("a chunk is longer than it says");
    }
    return chunks;
}

std::uint64_t resident_bytes(pid_t pid) { return status_bytes(pid, "VmRSS"); }

std::uint64_t resident_bytes_max(pid_t pid) { return status_bytes(pid, "VmHWM"); }

std::uint64_t processor_ms(pid_t pid) {
    const std::string stat = contents("/proc/" + std::to_string(pid) + "/stat");
    std::istringstream fields(stat.substr(stat.rfind(')') + 2));  // from the third, the state, on
    std::string skipped;
    for (int field = 3; field < 14; ++field) fields >> skipped;
    std::uint64_t user = 0, system = 0;
    fields >> user >> system;
    return (user + system) * 1000 / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
}

std::size_t descriptors(pid_t pid) {
    const std::filesystem::directory_iterator all("/proc/" + std::to_string(pid) + "/fd");
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

}  // namespace integration
