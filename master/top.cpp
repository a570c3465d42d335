// master/top.cpp: a pure picture, and a terminal that is left as it was found.
#include "master/top.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spdlog/fmt/fmt.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "ipc/clock.h"
#include "ipc/histogram.h"
#include "ipc/unique_fd.h"
#include "master/control_client.h"

namespace master {
namespace {

using Json = nlohmann::json;
using std::chrono::milliseconds;

double number(const Json& object, const char* name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_number() ? found->get<double>() : 0;
}

std::string word(const Json& object, const char* name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : "-";
}

Json part(const Json& object, const char* name) {
    const auto found = object.find(name);
    return found != object.end() ? *found : Json();
}

/// Of the same process: one of another pid starts anew.
std::string key_of(const Json& worker) {
    return fmt::format("{}/{}", number(worker, "generation"), number(worker, "pid"));
}

/// What has grown, a second; none on the first frame, or when it began anew.
class Rates {
 public:
    Rates(const Json& before, milliseconds between) : seconds_(static_cast<double>(between.count()) / 1000) {
        if (!before.is_object()) return;
        master_ = part(before, "master");
        for (const auto& worker : part(before, "workers")) workers_[key_of(worker)] = worker;
    }
    [[nodiscard]] std::optional<double> of_master(const Json& now, const char* name) const {
        return rate(master_, now, name);
    }
    [[nodiscard]] const Json& master() const noexcept { return master_; }
    [[nodiscard]] std::optional<double> of_worker(const Json& now, const char* name) const {
        const auto found = workers_.find(key_of(now));
        return found == workers_.end() ? std::nullopt : rate(found->second, now, name);
    }

 private:
    [[nodiscard]] std::optional<double> rate(const Json& before, const Json& now, const char* name) const {
        if (!before.is_object() || seconds_ <= 0) return std::nullopt;
        const double grown = number(now, name) - number(before, name);
        if (grown < 0) return std::nullopt;
        return grown / seconds_;
    }

    double seconds_;
    Json master_;
    std::map<std::string, Json> workers_;
};

std::string shown(std::optional<double> rate, double factor = 1) {
    return rate ? fmt::format("{:.0f}", *rate * factor) : "-";
}

std::string mebibytes(double bytes) { return fmt::format("{:.1f}M", bytes / (1024.0 * 1024.0)); }

std::string worker_line(const Json& worker, const Rates& rates) {
    const auto responses = part(worker, "responses_total");
    return fmt::format(
        "{:>6} {:>8} {:>4} {:<11} {:>7} {:>9} {:>5} {:>8} {:>8} {:>8}  {}", number(worker, "slot"),
        number(worker, "pid"), number(worker, "generation"), word(worker, "state"),
        number(worker, "connections"), shown(rates.of_worker(worker, "requests_total")),
        shown(rates.of_worker(worker, "cpu_seconds"), 100), mebibytes(number(worker, "rss_bytes")),
        responses.is_object() ? number(responses, "4xx") : 0,
        responses.is_object() ? number(responses, "5xx") : 0, word(worker, "in_flight"));
}

std::vector<std::string> head_lines(const Json& status, const Rates& rates) {
    const auto master = part(status, "master");
    if (!master.is_object()) return {"the master says nothing of itself"};
    const auto responses = part(master, "responses_total");
    const auto of = [&](const char* name) { return responses.is_object() ? number(responses, name) : 0; };
    return {fmt::format("reeve {}  pid {}  {}  generation {}  up {:.0f}s  reloads {} ok {} failed",
                        word(master, "version"), number(master, "pid"), word(master, "state"),
                        number(master, "generation"), number(master, "age_seconds"),
                        number(master, "reloads_total"), number(master, "reload_failures_total")),
            fmt::format("requests {:.0f}  {}/s   accepted {}/s   out {} KiB/s   2xx {:.0f} 3xx {:.0f} 4xx "
                        "{:.0f} 5xx {:.0f}",
                        number(master, "requests_total"), shown(rates.of_master(master, "requests_total")),
                        shown(rates.of_master(master, "accepted_total")),
                        shown(rates.of_master(master, "bytes_out_total"), 1.0 / 1024), of("2xx"), of("3xx"),
                        of("4xx"), of("5xx"))};
}

/// The bound of the bucket that holds this share of the requests that came since `before`.
std::string latency(const Json& before, const Json& now, double share) {
    const auto counts_of = [](const Json& master) {
        std::vector<double> counts;
        for (const auto& count : master.is_object() ? part(master, "latency_buckets") : Json())
            counts.push_back(count.is_number() ? count.get<double>() : 0);
        return counts;
    };
    auto counts = counts_of(now);
    const auto earlier = counts_of(before);
    double all = 0;
    for (std::size_t bucket = 0; bucket < counts.size(); ++bucket) {
        if (bucket < earlier.size() && earlier[bucket] <= counts[bucket]) counts[bucket] -= earlier[bucket];
        all += counts[bucket];
    }
    double seen = 0;
    for (std::size_t bucket = 0; bucket < counts.size(); ++bucket) {
        seen += counts[bucket];
        if (all == 0 || seen < all * share) continue;
        const auto bound = ipc::Histogram::bound_us(std::min(bucket, ipc::Histogram::buckets - 2));
        const bool beyond = bucket + 1 >= counts.size();
        return fmt::format("{}{:.1f}ms", beyond ? ">" : "<", static_cast<double>(bound) / 1000);
    }
    return "-";
}

std::string listeners_line(const Json& status) {
    std::string line = "waiting:";
    for (const auto& listener : part(status, "listeners"))
        line += fmt::format(" {} {:.0f}", word(listener, "address"), number(listener, "pending"));
    return line;
}

std::string fit(std::vector<std::string> lines, TopSize size) {
    if (size.lines != 0 && lines.size() > size.lines) {
        const auto left_out = lines.size() - size.lines + 1;
        lines.resize(size.lines - 1);
        lines.push_back(fmt::format("... {} more", left_out));
    }
    std::string text;
    for (auto& line : lines) {
        for (char& c : line)
            if (c < ' ' || c > '~') c = '?';
        text += line.substr(0, size.columns) + "\n";
    }
    return text;
}

/// The alternate screen, keys one by one; all given back at the end.
class Terminal {
 public:
    Terminal() {
        if (::isatty(STDOUT_FILENO) == 0) return;
        is_one_ = true;
        std::fputs("\033[?1049h\033[?25l", stdout);
        if (::tcgetattr(STDIN_FILENO, &before_) == 0) {
            has_keys_ = true;
            termios keys = before_;
            keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
            ::tcsetattr(STDIN_FILENO, TCSANOW, &keys);
        }
    }
    ~Terminal() {
        if (has_keys_) ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
        if (is_one_) std::fputs("\033[?25h\033[?1049l", stdout);
        std::fflush(stdout);
    }
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;

    [[nodiscard]] TopSize size() const {
        winsize window{};
        if (!is_one_ || ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) < 0 || window.ws_col == 0)
            return {.columns = 200, .lines = 0};
        return {.columns = window.ws_col, .lines = std::max<std::size_t>(window.ws_row, 5) - 1};
    }
    void show(const std::string& frame) const {
        if (is_one_) std::fputs("\033[H\033[J", stdout);
        std::fputs(frame.c_str(), stdout);
        if (!is_one_) std::fputs("\n", stdout);
        std::fflush(stdout);
    }
    [[nodiscard]] bool has_keys() const noexcept { return has_keys_; }

 private:
    bool is_one_ = false;
    bool has_keys_ = false;
    termios before_{};
};

/// Until the time is over (true), or somebody wants to leave (false). A change of size ends it early.
bool wait(int signals, bool keys, milliseconds time) {
    const auto end = ipc::monotonic_ms() + static_cast<std::uint64_t>(time.count());
    for (;;) {
        const auto now = ipc::monotonic_ms();
        if (now >= end) return true;
        std::array<pollfd, 2> waiting{{{signals, POLLIN, 0}, {keys ? STDIN_FILENO : -1, POLLIN, 0}}};
        if (::poll(waiting.data(), waiting.size(), static_cast<int>(end - now)) < 0 && errno != EINTR)
            return true;
        if (waiting[0].revents != 0) {
            signalfd_siginfo signal{};
            if (::read(signals, &signal, sizeof signal) == sizeof signal)
                return signal.ssi_signo == static_cast<std::uint32_t>(SIGWINCH);
        }
        if (waiting[1].revents != 0) {
            char key = 0;
            if (::read(STDIN_FILENO, &key, 1) != 1) keys = false;
            if (key == 'q') return false;
        }
    }
}

}  // namespace

ipc::Result<std::string> top_frame(const std::string& before, const std::string& now, milliseconds between,
                                   TopSize size) {
    const auto status = Json::parse(now, nullptr, false);
    if (!status.is_object()) return ipc::failure("the master's answer is not understood");
    const Rates rates(before.empty() ? Json() : Json::parse(before, nullptr, false), between);
    auto lines = head_lines(status, rates);
    const auto master = part(status, "master");
    lines.push_back(fmt::format("latency p50 {}  p90 {}  p99 {}   {}", latency(rates.master(), master, 0.5),
                                latency(rates.master(), master, 0.9), latency(rates.master(), master, 0.99),
                                listeners_line(status)));
    lines.emplace_back();
    lines.push_back(fmt::format("{:>6} {:>8} {:>4} {:<11} {:>7} {:>9} {:>5} {:>8} {:>8} {:>8}  {}", "worker",
                                "pid", "gen", "state", "conns", "req/s", "cpu%", "rss", "4xx", "5xx",
                                "in flight"));
    for (const auto& worker : part(status, "workers"))
        if (worker.is_object()) lines.push_back(worker_line(worker, rates));
    return fit(std::move(lines), size);
}

ipc::Result<void> run_top(const TopOptions& options) {
    sigset_t wanted;
    ::sigemptyset(&wanted);
    for (const int signal : {SIGINT, SIGTERM, SIGWINCH}) ::sigaddset(&wanted, signal);
    ::sigprocmask(SIG_BLOCK, &wanted, nullptr);
    const ipc::UniqueFd signals(::signalfd(-1, &wanted, SFD_NONBLOCK | SFD_CLOEXEC));
    if (!signals) return ipc::system_error("signalfd");

    std::string before;
    std::uint64_t asked_ms = 0;
    std::optional<Terminal> terminal;
    for (std::uint64_t frame = 1;; ++frame) {
        auto now = control(options.control, "status json");
        if (!now) return tl::make_unexpected(std::move(now.error()));
        const auto now_ms = ipc::monotonic_ms();
        if (!terminal) terminal.emplace();  // not before there is something to show
        const auto picture = top_frame(before, *now, milliseconds(now_ms - asked_ms), terminal->size());
        if (!picture) return tl::make_unexpected(picture.error());
        terminal->show(*picture);
        before = std::move(*now);
        asked_ms = now_ms;
        if (frame == options.frames) return {};
        if (!wait(signals.get(), terminal->has_keys(), options.interval)) return {};
    }
}

}  // namespace master
