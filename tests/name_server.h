// tests/name_server.h: a name server on loopback that answers as it is told, also wrongly, or not at all.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "ipc/unique_fd.h"

namespace test {

constexpr std::uint16_t dns_a = 1, dns_cname = 5, dns_aaaa = 28, dns_srv = 33;

inline std::string dns_number(std::uint16_t number) {
    return {static_cast<char>(number >> 8), static_cast<char>(number & 0xff)};
}
inline std::string dns_name(const std::string& name) {
    std::string wire;
    for (std::size_t begin = 0; begin < name.size();) {
        const auto end = std::min(name.find('.', begin), name.size());
        wire += static_cast<char>(end - begin);
        wire += name.substr(begin, end - begin);
        begin = end + 1;
    }
    return wire + '\0';
}

/// One record of an answer.
struct DnsData {
    std::uint16_t type = dns_a;
    std::uint32_t ttl = 60;
    std::string data;   ///< as it goes over the wire
    std::string owner;  ///< empty: the name that was asked for
};

inline DnsData a(const std::string& address, std::uint32_t ttl = 60) {
    DnsData record{dns_a, ttl, std::string(4, '\0'), {}};
    if (::inet_pton(AF_INET, address.c_str(), record.data.data()) != 1) throw std::runtime_error(address);
    return record;
}
inline DnsData aaaa(const std::string& address, std::uint32_t ttl = 60) {
    DnsData record{dns_aaaa, ttl, std::string(16, '\0'), {}};
    if (::inet_pton(AF_INET6, address.c_str(), record.data.data()) != 1) throw std::runtime_error(address);
    return record;
}
inline DnsData srv(std::uint16_t priority, std::uint16_t weight, std::uint16_t port,
                   const std::string& target, std::uint32_t ttl = 60) {
    return {
        dns_srv, ttl, dns_number(priority) + dns_number(weight) + dns_number(port) + dns_name(target), {}};
}
inline DnsData cname(const std::string& owner, const std::string& target, std::uint32_t ttl = 60) {
    return {dns_cname, ttl, dns_name(target), owner};
}

/// A whole answer to a question for that name.
inline std::string dns_message(std::uint16_t id, const std::string& name, std::uint16_t type,
                               const std::vector<DnsData>& records, std::uint16_t flags = 0x8180) {
    std::string message = dns_number(id) + dns_number(flags) + dns_number(1) +
                          dns_number(static_cast<std::uint16_t>(records.size())) + dns_number(0) +
                          dns_number(0) + dns_name(name) + dns_number(type) + dns_number(1);
    for (const auto& record : records)
        message += (record.owner.empty() ? std::string("\xc0\x0c", 2) : dns_name(record.owner)) +
                   dns_number(record.type) + dns_number(1) +
                   dns_number(static_cast<std::uint16_t>(record.ttl >> 16)) +
                   dns_number(static_cast<std::uint16_t>(record.ttl)) +
                   dns_number(static_cast<std::uint16_t>(record.data.size())) + record.data;
    return message;
}

/// Has a thread; by UDP only.
class NameServer {
 public:
    enum class Mood : std::uint8_t {
        well,
        failing,  ///< SERVFAIL
        silent,
        garbage,   ///< the right head, then nonsense
        cut,       ///< the answer ends in the middle of a record
        truncated  ///< says TC, and nobody listens for TCP
    };

    NameServer() : socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        if (::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
            ::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
            throw std::runtime_error("no port for a name server");
        port_ = ntohs(address.sin_port);
        thread_ = std::thread([this] { run(); });
    }
    ~NameServer() {
        leaving_ = true;
        thread_.join();
    }
    NameServer(const NameServer&) = delete;
    NameServer& operator=(const NameServer&) = delete;

    [[nodiscard]] std::uint16_t port() const { return port_; }
    [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
    /// What there is of a name; of other types nothing, of other names NXDOMAIN.
    void set(const std::string& name, std::vector<DnsData> records) {
        const std::lock_guard lock(mutex_);
        names_[name] = std::move(records);
    }
    void be(Mood mood) { mood_ = mood; }
    /// Of questions of that type only; 0: of all.
    void be(Mood mood, std::uint16_t type) {
        moody_type_ = type;
        mood_ = mood;
    }
    [[nodiscard]] int asked() const { return asked_; }

 private:
    void run() {
        while (!leaving_) {
            pollfd waiting{.fd = socket_.get(), .events = POLLIN, .revents = 0};
            if (::poll(&waiting, 1, 20) != 1) continue;
            char bytes[1024];
            sockaddr_in from{};
            socklen_t from_size = sizeof from;
            const auto got = ::recvfrom(socket_.get(), bytes, sizeof bytes, 0,
                                        reinterpret_cast<sockaddr*>(&from), &from_size);
            if (got < 17) continue;
            const auto reply = answer({bytes, static_cast<std::size_t>(got)});
            ++asked_;
            if (!reply.empty())
                ::sendto(socket_.get(), reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from),
                         from_size);
        }
    }

    std::string answer(const std::string& question) {
        const auto number = [&](std::size_t at) {
            return static_cast<std::uint16_t>(static_cast<unsigned char>(question[at]) << 8 |
                                              static_cast<unsigned char>(question[at + 1]));
        };
        std::string name;
        std::size_t at = 12;
        while (at < question.size() && question[at] != '\0') {
            const auto size = static_cast<unsigned char>(question[at]);
            if (!name.empty()) name += '.';
            name += question.substr(at + 1, size);
            at += size + 1u;
        }
        if (at + 5 > question.size()) return {};
        const auto id = number(0), type = number(at + 1);
        const std::uint16_t moody = moody_type_;
        const Mood mood = moody == 0 || moody == type ? mood_.load() : Mood::well;
        if (mood == Mood::silent) return {};
        if (mood == Mood::failing) return dns_message(id, name, type, {}, 0x8182);
        if (mood == Mood::truncated) return dns_message(id, name, type, {}, 0x8380);
        const std::lock_guard lock(mutex_);
        const auto known = names_.find(name);
        if (known == names_.end()) return dns_message(id, name, type, {}, 0x8183);
        std::vector<DnsData> records;
        for (const auto& record : known->second)
            if (record.type == type || record.type == dns_cname) records.push_back(record);
        auto message = dns_message(id, name, type, records);
        if (mood == Mood::cut) message.resize(message.size() - (records.empty() ? 0 : 3));
        if (mood == Mood::garbage) message = dns_message(id, name, type, {}) + std::string(40, '\xee');
        if (mood == Mood::garbage) message[7] = '\x03';  // answers that it claims to have
        return message;
    }

    ipc::UniqueFd socket_;
    std::uint16_t port_ = 0;
    std::atomic<bool> leaving_{false};
    std::atomic<Mood> mood_{Mood::well};
    std::atomic<std::uint16_t> moody_type_{0};
    std::atomic<int> asked_{0};
    std::mutex mutex_;
    std::map<std::string, std::vector<DnsData>> names_;
    std::thread thread_;
};

}  // namespace test
