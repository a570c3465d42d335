#include "master/lab/generator.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <array>
#include <deque>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "ipc/clock.h"
#include "ipc/unique_fd.h"
#include "master/lab/answer.h"

namespace master::lab {
namespace {

constexpr std::uint64_t never = ~std::uint64_t{0};
constexpr std::uint64_t warm_limit_us = 10'000'000;
constexpr std::uint64_t wait_min_us = 500'000, wait_max_us = 2'000'000;
constexpr int look_ms = 100;  // for `stop`, at least
constexpr std::uint64_t timer_data = never;

std::string request_for(const std::string& target) {
    return "GET " + target + " HTTP/1.1\r\nHost: lab\r\n\r\n";
}

/// Blocks, but never long: it is our own machine. Non-blocking afterwards.
ipc::Result<ipc::UniqueFd> connect_to(std::uint16_t port) {
    ipc::UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) return ipc::system_error("socket");
    const int on = 1;
    (void)::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0 &&
        errno != EINPROGRESS)
        return ipc::system_error(fmt::format("connect to port {}", port));
    return socket;
}

}  // namespace

/// One run.
//   arrival ──a client of its group is free──▶ sent ──answer──▶ free ──▶ the next that waits
//      └──none is──▶ waits in the group ──┘       └──it broke──▶ a new connection, free
class Generator::Running {
 public:
    explicit Running(const Generator& of) : of_(of), groups_(groups_of(of.load_)), lines_(groups_.size()) {
        requests_.reserve(of.load_.streams.size());
        for (const Stream& stream : of.load_.streams) requests_.push_back(request_for(stream.target));
        clients_.resize(of.load_.clients());
        for (std::uint32_t group = 0; group < groups_.size(); ++group)
            for (std::uint32_t i = 0; i < groups_[group].count; ++i)
                clients_[groups_[group].first + i].group = group;
    }

    ipc::Result<Outcome> run() {
        if (auto opened = open(); !opened) return tl::make_unexpected(std::move(opened.error()));
        if (auto warmed = warm(); !warmed) return tl::make_unexpected(std::move(warmed.error()));
        outcome_.samples.reserve(of_.arrivals_.size());
        for (std::uint32_t i = 0; i < clients_.size(); ++i) lines_[clients_[i].group].idle.push_back(i);
        begun_us_ = ipc::monotonic_us();
        const auto span = static_cast<std::uint64_t>(of_.load_.seconds * 1e6);
        const std::uint64_t end = begun_us_ + span + std::clamp(span / 2, wait_min_us, wait_max_us);
        while (next_ < of_.arrivals_.size() || open_ > 0) {
            const auto now = ipc::monotonic_us();
            if (of_.stop_ || now >= end) break;
            if (std::exchange(uneven_, false)) level();
            send_due(now);
            const std::uint64_t due =
                next_ < of_.arrivals_.size() ? begun_us_ + of_.arrivals_[next_].at_us : never;
            if (auto heard = wait(std::min(due, end)); !heard)
                return tl::make_unexpected(std::move(heard.error()));
        }
        outcome_.stopped = of_.stop_;
        give_up();
        return std::move(outcome_);
    }

 private:
    struct Asked {
        std::uint64_t at_us = 0;
        std::uint32_t stream = 0;
    };
    struct Client {
        ipc::UniqueFd socket;
        Answer answer;
        std::optional<Asked> asked;
        std::uint32_t group = 0;
        bool warming = false;
    };
    struct Line {
        std::deque<std::uint32_t> idle;  ///< whoever has rested longest is next
        std::deque<Asked> waiting;
    };

    ipc::Result<void> open() {
        poll_ = ipc::UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
        timer_ = ipc::UniqueFd(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
        if (!poll_ || !timer_) return ipc::system_error("epoll");
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.u64 = timer_data;
        if (::epoll_ctl(poll_.get(), EPOLL_CTL_ADD, timer_.get(), &event) < 0)
            return ipc::system_error("epoll_ctl");
        return {};
    }

    ipc::Result<void> connect(std::uint32_t index) {
        Client& client = clients_[index];
        auto socket = connect_to(of_.port_);
        if (!socket) return tl::make_unexpected(std::move(socket.error()));
        client.socket = std::move(*socket);
        client.answer.clear();
        epoll_event event{};
        event.events = EPOLLIN | EPOLLRDHUP;
        event.data.u64 = index;
        if (::epoll_ctl(poll_.get(), EPOLL_CTL_ADD, client.socket.get(), &event) < 0)
            return ipc::system_error("epoll_ctl");
        return {};
    }

    /// One client after the other is connected, so that whoever deals connections out does it in order; and
    /// each has its first answer before time begins.
    ipc::Result<void> warm() {
        const std::uint64_t end = ipc::monotonic_us() + warm_limit_us;
        const std::string request = request_for("/warm");
        for (std::uint32_t i = 0; i < clients_.size(); ++i) {
            if (auto connected = connect(i); !connected) return connected;
            clients_[i].warming = true;
            ++warming_;
            if (!write(clients_[i], request)) return ipc::failure("the server closes connections");
            // A few at once: processes that are started for them need not be waited for one by one.
            while (warming_ > (i + 1 < clients_.size() ? 3u : 0u)) {
                if (of_.stop_) return {};
                if (ipc::monotonic_us() > end)
                    return ipc::failure(fmt::format("the server does not answer {} clients", i + 1));
                if (auto heard = wait(end); !heard) return heard;
            }
        }
        return {};
    }

    /// What is due by now.
    void send_due(std::uint64_t now) {
        while (next_ < of_.arrivals_.size() && begun_us_ + of_.arrivals_[next_].at_us <= now) {
            const Arrival& arrival = of_.arrivals_[next_++];
            Line& line = lines_[arrival.group];
            ++open_;
            if (line.idle.empty()) {
                line.waiting.push_back({arrival.at_us, arrival.stream});
                continue;
            }
            const auto client = line.idle.front();
            line.idle.pop_front();
            const auto sent = ipc::monotonic_us() - begun_us_;
            outcome_.lateness.add(sent > arrival.at_us ? sent - arrival.at_us : 0);
            send(client, {arrival.at_us, arrival.stream});
        }
    }

    void send(std::uint32_t index, const Asked& asked) {
        clients_[index].asked = asked;
        if (write(clients_[index], requests_[asked.stream])) return;
        note(index, Sample::End::failed);
        if (!again(index)) return;
        lines_[clients_[index].group].idle.push_back(index);
        uneven_ = true;  // others may wait for this one
    }

    /// Lines in which somebody waits though a client is idle. Each sends one at most: where a server is gone
    /// this fails again, and is tried in the next turn.
    void level() {
        for (Line& line : lines_) {
            for (auto idle = line.idle.size(); idle > 0 && !line.waiting.empty(); --idle) {
                const auto client = line.idle.front();
                line.idle.pop_front();
                const Asked next = line.waiting.front();
                line.waiting.pop_front();
                send(client, next);
            }
        }
    }

    /// A request fits into an empty socket.
    static bool write(Client& client, const std::string& request) {
        for (int patience = 0; client.socket && patience < look_ms; ++patience) {
            const auto sent = ::send(client.socket.get(), request.data(), request.size(), MSG_NOSIGNAL);
            if (sent == static_cast<ssize_t>(request.size())) return true;
            if (sent >= 0 || (errno != EAGAIN && errno != EINTR)) return false;
            epoll_event none{};  // it is not connected yet
            ipc::UniqueFd one(::epoll_create1(EPOLL_CLOEXEC));
            none.events = EPOLLOUT;
            if (::epoll_ctl(one.get(), EPOLL_CTL_ADD, client.socket.get(), &none) < 0) return false;
            (void)::epoll_wait(one.get(), &none, 1, 1);
        }
        return false;
    }

    ipc::Result<void> wait(std::uint64_t until_us) {
        itimerspec when{};
        when.it_value.tv_sec = static_cast<time_t>(until_us / 1'000'000);
        when.it_value.tv_nsec = static_cast<long>(until_us % 1'000'000 * 1000);
        if (::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &when, nullptr) < 0)
            return ipc::system_error("timerfd_settime");
        std::array<epoll_event, 64> events;
        const int count = ::epoll_wait(poll_.get(), events.data(), events.size(), look_ms);
        if (count < 0 && errno != EINTR) return ipc::system_error("epoll_wait");
        for (int i = 0; i < count; ++i) {
            const auto data = events[static_cast<std::size_t>(i)].data.u64;
            if (data != timer_data) {
                hear(static_cast<std::uint32_t>(data));
                continue;
            }
            std::uint64_t times = 0;
            (void)!::read(timer_.get(), &times, sizeof times);
        }
        return {};
    }

    void hear(std::uint32_t index) {
        Client& client = clients_[index];
        std::array<char, 16 * 1024> bytes;
        const auto got = ::recv(client.socket.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (got <= 0) return broken(index);
        const auto whole = client.answer.take({bytes.data(), static_cast<std::size_t>(got)});
        if (!whole) return;
        if (whole->status == 0 || (!client.warming && !client.asked)) return broken(index);
        if (client.warming) {
            client.warming = false;
            --warming_;
        } else {
            note(index, whole->status / 100 == 2 ? Sample::End::answered
                        : whole->status == 503   ? Sample::End::refused
                                                 : Sample::End::failed);
        }
        if (whole->closes && !again(index)) return;
        if (begun_us_ != 0) rest(index);
    }

    /// An idle connection may be closed: it is opened anew.
    void broken(std::uint32_t index) {
        Client& client = clients_[index];
        const bool was_idle = !client.asked && !client.warming;
        if (client.asked) note(index, Sample::End::failed);
        if (!again(index)) return;
        if (client.warming) {
            if (!write(client, request_for("/warm"))) client.socket.reset();
        } else if (!was_idle) {
            rest(index);
        }
    }

    /// False: the server is not there any more, and neither is this client.
    bool again(std::uint32_t index) {
        clients_[index].socket.reset();
        return connect(index).has_value();
    }

    void note(std::uint32_t index, Sample::End end) {
        const Asked asked = *std::exchange(clients_[index].asked, std::nullopt);
        const auto now = ipc::monotonic_us() - begun_us_;
        outcome_.samples.push_back(
            {asked.at_us, now > asked.at_us ? now - asked.at_us : 0, asked.stream, index, end});
        --open_;
    }

    void rest(std::uint32_t index) {
        Line& line = lines_[clients_[index].group];
        if (line.waiting.empty()) return line.idle.push_back(index);
        const Asked next = line.waiting.front();
        line.waiting.pop_front();
        send(index, next);
    }

    /// Nobody waits any more. Those that were not even sent when we were stopped say nothing.
    void give_up() {
        const auto now = ipc::monotonic_us() - begun_us_;
        const auto note_open = [&](const Asked& asked, std::uint32_t client) {
            outcome_.samples.push_back({asked.at_us, now > asked.at_us ? now - asked.at_us : 0, asked.stream,
                                        client, Sample::End::unanswered});
        };
        for (std::uint32_t i = 0; i < clients_.size(); ++i)
            if (clients_[i].asked) note_open(*clients_[i].asked, i);
        for (std::size_t group = 0; group < lines_.size(); ++group)
            for (const Asked& asked : lines_[group].waiting) note_open(asked, groups_[group].first);
    }

    const Generator& of_;
    std::vector<Group> groups_;
    std::vector<Line> lines_;  ///< by group
    std::vector<std::string> requests_;
    std::vector<Client> clients_;
    ipc::UniqueFd poll_, timer_;
    Outcome outcome_;
    std::size_t next_ = 0;  ///< arrival
    std::size_t open_ = 0;  ///< arrived and not over
    std::size_t warming_ = 0;
    std::uint64_t begun_us_ = 0;  ///< 0: not yet
    bool uneven_ = false;
};

Generator::Generator(std::uint16_t port, const Load& load, const std::vector<Arrival>& arrivals,
                     const std::atomic<bool>& stop)
    : port_(port), load_(load), arrivals_(arrivals), stop_(stop) {}

Generator::~Generator() = default;

ipc::Result<Outcome> Generator::run() { return Running(*this).run(); }

}  // namespace master::lab
