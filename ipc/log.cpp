// ipc/log.cpp: spdlog's default logger over one plain write(2) a line.
#include "ipc/log.h"

#include <fcntl.h>
#include <poll.h>
#include <spdlog/sinks/sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <time.h>
#include <algorithm>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

namespace ipc {
namespace {

/// What fits into a pipe in one piece, so that a line is written whole or not at all.
constexpr std::size_t line_bytes_max = 4096;
constexpr int stuck_reader_ms = 100;

constexpr std::array<std::string_view, 7> level_names{"trace", "debug",    "info", "warn",
                                                      "error", "critical", "off"};

std::string_view level_name(int level) {
    return level >= 0 && level < static_cast<int>(level_names.size())
               ? level_names[static_cast<std::size_t>(level)]
               : "info";
}

std::string time_text(std::int64_t nanoseconds) {
    const auto seconds = static_cast<time_t>(nanoseconds / 1'000'000'000);
    tm parts{};
    ::gmtime_r(&seconds, &parts);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                       parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                       nanoseconds % 1'000'000'000 / 1'000'000);
}

/// Control characters become \n or \x1b, so that a line stays one line and a terminal stays sane.
std::string escaped(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '\n')
            out += "\\n";
        else if (byte < 0x20 || byte == 0x7f)
            out += fmt::format("\\x{:02x}", byte);
        else
            out += c;
    }
    return out;
}

/// Writes without a lock: one line is one write to a descriptor in append mode.
class LineSink final : public spdlog::sinks::sink {
 public:
    LineSink(LogPlan plan, std::string role, UniqueFd owned, int fd)
        : plan_(std::move(plan)), role_(std::move(role)), owned_(std::move(owned)), fd_(fd) {}

    void log(const spdlog::details::log_msg& message) override {
        const auto since = message.time.time_since_epoch();
        const auto time = std::chrono::duration_cast<std::chrono::nanoseconds>(since).count();
        const std::string_view text(message.payload.data(), message.payload.size());
        if (const auto lost = lost_.exchange(0, std::memory_order_relaxed); lost != 0) {
            const auto note = fmt::format("log lines were lost lines={}", lost);
            if (!write(log_line(plan_, role_, ::getpid(), time, spdlog::level::warn, note)))
                lost_.fetch_add(lost, std::memory_order_relaxed);
        }
        if (!write(log_line(plan_, role_, ::getpid(), time, message.level, text)))
            lost_.fetch_add(1, std::memory_order_relaxed);
    }
    void flush() override {}
    void set_pattern(const std::string&) override {}
    void set_formatter(std::unique_ptr<spdlog::formatter>) override {}

    [[nodiscard]] int fd() const noexcept { return fd_; }
    [[nodiscard]] bool serves(const LogPlan& plan, const std::string& role) const {
        return role == role_ && plan.json == plan_.json && plan.level == plan_.level;
    }
    /// Puts another file under the same number: other threads write to the one or the other, never to none.
    [[nodiscard]] bool exchange(int other) noexcept { return owned_ && ::dup3(other, fd_, O_CLOEXEC) >= 0; }

 private:
    [[nodiscard]] bool write(const std::string& line) const noexcept {
        pollfd ready{.fd = fd_, .events = POLLOUT, .revents = 0};
        if (::poll(&ready, 1, stuck_reader_ms) != 1) return false;
        return ::write(fd_, line.data(), line.size()) == static_cast<ssize_t>(line.size());
    }

    const LogPlan plan_;
    const std::string role_;
    const UniqueFd owned_;
    const int fd_;
    std::atomic<std::uint64_t> lost_{0};
};

std::shared_ptr<LineSink> current_sink() {
    const auto logger = spdlog::default_logger();
    if (!logger || logger->sinks().size() != 1) return nullptr;
    return std::dynamic_pointer_cast<LineSink>(logger->sinks().front());
}

/// The descriptor to write to, ours to close; none for stderr, which a daemon may still redirect.
Result<UniqueFd> descriptor_for(const LogPlan& plan, int fd) {
    if (fd < 0 || plan.path == "stderr") return open_log_file(plan.path);
    UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
    if (!copy) return system_error("copy the descriptor of the error log");
    return copy;
}

}  // namespace

std::string log_line(const LogPlan& plan, std::string_view role, int pid, std::int64_t time, int level,
                     std::string_view message) {
    // Escaping may make six bytes of one, so cut first; what is cut shows.
    const bool cut = message.size() > line_bytes_max / 8;
    const auto compose = [&](std::string_view shown) {
        if (!plan.json)
            return fmt::format("{} {} {}[{}] {}", time_text(time), level_name(level), role, pid,
                               escaped(shown));
        const nlohmann::ordered_json object{{"time", time_text(time)},
                                            {"level", level_name(level)},
                                            {"role", role},
                                            {"pid", pid},
                                            {"message", shown}};
        return object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
    };
    std::string line = compose(message.substr(0, line_bytes_max - 256));
    if (cut && line.size() >= line_bytes_max) line = compose(message.substr(0, line_bytes_max / 8));
    line += '\n';
    return line;
}

Result<UniqueFd> open_log_file(const std::string& path) {
    if (path == "stderr") return UniqueFd();
    // Non-blocking: opening a FIFO that nobody reads is an error then, not a wait without end.
    UniqueFd file(
        ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0644));
    if (!file) return system_error("open " + path);
    return file;
}

Result<void> open_log(const LogPlan& plan, const std::string& role, int fd) {
    auto file = descriptor_for(plan, fd);
    if (!file) return tl::make_unexpected(std::move(file.error()));
    const int target = *file ? file->get() : STDERR_FILENO;

    if (const auto sink = current_sink(); sink && sink->serves(plan, role)) {
        if (sink->fd() == target || sink->exchange(target)) return {};
    }
    auto sink = std::make_shared<LineSink>(plan, role, std::move(*file), target);
    auto logger = std::make_shared<spdlog::logger>("", std::move(sink));
    logger->set_level(static_cast<spdlog::level::level_enum>(plan.level));
    spdlog::set_default_logger(std::move(logger));
    return {};
}

void set_log_level(int level) {
    spdlog::default_logger()->set_level(static_cast<spdlog::level::level_enum>(level));
}

std::optional<int> log_level(std::string_view word) {
    constexpr std::array<std::string_view, 7> words{"trace", "debug",    "info", "warn",
                                                    "error", "critical", "off"};
    const auto found = std::find(words.begin(), words.end(), word);
    if (found == words.end()) return std::nullopt;
    return static_cast<int>(found - words.begin());
}

int log_descriptor() {
    const auto sink = current_sink();
    return sink ? sink->fd() : -1;
}

}  // namespace ipc

// All that logs formats by this one; ipc/pch.h tells the others.
template void fmt::detail::vformat_to<char>(
    fmt::detail::buffer<char>&, fmt::basic_string_view<char>,
    fmt::basic_format_args<FMT_BUFFER_CONTEXT(fmt::type_identity_t<char>)>, fmt::detail::locale_ref);
