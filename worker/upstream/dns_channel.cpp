// worker/upstream/dns_channel.cpp: c-ares says what it waits for, we say what has come.
#include "worker/upstream/dns_channel.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

namespace worker::upstream {
namespace {

constexpr int tries = 2;  // of each server

// The sockets are ours, so that they are made as the sandbox wants them.
ares_socket_t open_socket(int family, int type, int protocol, void*) {
    return ::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
}
int close_socket(ares_socket_t fd, void*) { return ::close(fd); }
int connect_socket(ares_socket_t fd, const sockaddr* address, ares_socklen_t size, void*) {
    return ::connect(fd, address, size);
}
ares_ssize_t receive(ares_socket_t fd, void* bytes, size_t size, int flags, sockaddr* from,
                     ares_socklen_t* from_size, void*) {
    return ::recvfrom(fd, bytes, size, flags, from, from_size);
}
ares_ssize_t send_vector(ares_socket_t fd, const iovec* parts, int count, void*) {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(parts);  // sendmsg() does not change them
    message.msg_iovlen = static_cast<std::size_t>(count);
    return ::sendmsg(fd, &message, MSG_NOSIGNAL);
}
constexpr ares_socket_functions socket_functions{open_socket, close_socket, connect_socket, receive,
                                                 send_vector};

ipc::Error complaint(const char* doing, int status) {
    return {std::string(doing) + ": " + ::ares_strerror(status), {}};
}

}  // namespace

ipc::Result<std::unique_ptr<DnsChannel>> DnsChannel::make(const conf::Resolver& resolver,
                                                          execution::Loop& loop) {
    std::unique_ptr<DnsChannel> made(new DnsChannel(loop));
    ares_options options{};
    options.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES;
    options.timeout = static_cast<int>(resolver.timeout.count());
    options.tries = tries;
    options.sock_state_cb = &DnsChannel::on_socket_state;
    options.sock_state_cb_data = made.get();
    const int wanted = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
    if (const int status = ::ares_init_options(&made->channel_, &options, wanted); status != ARES_SUCCESS) {
        made->channel_ = nullptr;
        return tl::make_unexpected(complaint("prepare to ask name servers", status));
    }
    ::ares_set_socket_functions(made->channel_, &socket_functions, nullptr);
    std::string servers;
    for (const conf::Address& server : resolver.servers)
        servers += (servers.empty() ? "" : ",") + server.text();
    if (!servers.empty())
        if (const int status = ::ares_set_servers_ports_csv(made->channel_, servers.c_str());
            status != ARES_SUCCESS)
            return tl::make_unexpected(complaint("set name servers", status));
    return made;
}

DnsChannel::DnsChannel(execution::Loop& loop)
    : loop_(loop), timer_(ipc::Event::timer<&DnsChannel::on_time>(this, loop.base())) {}

DnsChannel::~DnsChannel() {
    for (Question& question : questions_) question.asker = nullptr;
    if (channel_ != nullptr) ::ares_destroy(channel_);  // calls back for all of them
}

void DnsChannel::ask(const std::string& name, DnsType type, DnsAsker& asker, std::uint32_t tag) {
    questions_.push_back({*this, &asker, type, tag});
    ::ares_query(channel_, name.c_str(), ns_c_in, static_cast<int>(type), &DnsChannel::on_result,
                 &questions_.back());
    plan();
}

void DnsChannel::forget(const DnsAsker& asker) noexcept {
    for (Question& question : questions_)
        if (question.asker == &asker) question.asker = nullptr;
}

void DnsChannel::on_result(void* data, int status, int, unsigned char* bytes, int size) {
    auto& question = *static_cast<Question*>(data);
    const Question asked = question;
    asked.channel.questions_.remove_if([&](const Question& one) { return &one == &question; });
    if (asked.asker == nullptr) return;
    if (status == ARES_ENOTFOUND || status == ARES_ENODATA) return asked.asker->on_answer(asked.tag, {}, {});
    if (status != ARES_SUCCESS) {
        std::string why = ::ares_strerror(status);
        if (status == ARES_ETIMEOUT) why = "no name server answers in time";
        return asked.asker->on_answer(asked.tag, {}, why);
    }
    const auto answer = read_dns_answer({bytes, static_cast<std::size_t>(size)}, asked.type);
    if (!answer) return asked.asker->on_answer(asked.tag, {}, "the answer is malformed");
    asked.asker->on_answer(asked.tag, *answer, {});
}

void DnsChannel::on_socket_state(void* self, int fd, int readable, int writable) {
    auto& channel = *static_cast<DnsChannel*>(self);
    if (const auto known = channel.sockets_.find(fd); known != channel.sockets_.end()) {
        known->second->event.disarm();
        channel.closed_.push_back(std::move(known->second));
        channel.sockets_.erase(known);
    }
    if (readable == 0 && writable == 0) return;
    auto watched = std::make_unique<Watched>(Watched{channel, fd});
    const short interest =
        static_cast<short>(EV_PERSIST | (readable != 0 ? EV_READ : 0) | (writable != 0 ? EV_WRITE : 0));
    watched->event = ipc::Event::calling<&Watched::on_io>(watched.get(), channel.loop_.base(), fd, interest);
    watched->event.arm();
    channel.sockets_[fd] = std::move(watched);
}

void DnsChannel::on_io(int fd, short what) {
    loop_.enter();
    ::ares_process_fd(channel_, (what & EV_READ) != 0 ? fd : ARES_SOCKET_BAD,
                      (what & EV_WRITE) != 0 ? fd : ARES_SOCKET_BAD);
    plan();
}

void DnsChannel::on_time(short) {
    loop_.enter();
    closed_.clear();
    ::ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    plan();
}

/// When c-ares wants to look whether something took too long; at once, where sockets are to be freed.
void DnsChannel::plan() {
    timeval wait{};
    const timeval* next = ::ares_timeout(channel_, nullptr, &wait);
    if (!closed_.empty()) return timer_.arm(std::chrono::milliseconds(0));
    if (next == nullptr) return timer_.disarm();
    timer_.arm(std::chrono::milliseconds(next->tv_sec * 1000 + next->tv_usec / 1000 + 1));
}

}  // namespace worker::upstream
