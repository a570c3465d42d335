#include "worker/jobs/postgres_bell.h"

#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>
#include <utility>

namespace worker::jobs {
namespace {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

constexpr milliseconds told_every{50}, first_again{200}, last_again{5000}, look_every{10'000};
constexpr milliseconds longest_wait{2000};  ///< whoever ends it waits for so long, at worst
constexpr std::size_t words_max = 1000;     ///< beyond these who listens has to look by itself
constexpr std::size_t word_max = 200;

// A word is "q QUEUE", or "c FENCE ID"; one message has many of them, a line each.
constexpr const char* notify =
    "SELECT pg_notify('reeve_jobs', string_agg(w, E'\\n')) FROM ("
    "SELECT w, (row_number() OVER () - 1) / 30 AS message "
    "FROM regexp_split_to_table(convert_from($1::bytea, 'UTF8'), E'\\n') AS w) s GROUP BY message";

/// What can be in a word without being taken for anything else.
bool is_plain_word(std::string_view text) {
    return !text.empty() && text.size() <= word_max && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
               c == '_' || c == '.';
    });
}

struct FreeNotify {
    void operator()(PGnotify* note) const noexcept { PQfreemem(note); }
};

}  // namespace

PostgresBell::PostgresBell(execution::Loop& loop, std::string url, milliseconds timeout, Heard heard)
    : terms_{.url = std::move(url), .name = "reeve bell", .timeout = std::min(timeout, longest_wait)},
      heard_(std::move(heard)),
      awake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    if (!awake_) std::abort();
    mailbox_.attach(loop);
    thread_ = std::thread([this] { live(); });
}

PostgresBell::~PostgresBell() {
    hush();
    thread_.join();
    mailbox_.detach();
}

void PostgresBell::hush() {
    {
        const std::lock_guard lock(mutex_);
        over_ = true;
    }
    (void)::eventfd_write(awake_.get(), 1);
}

void PostgresBell::ring(const std::string& queue) {
    if (is_plain_word(queue)) say("q " + queue);
}

void PostgresBell::cancel(const std::string& id, std::int64_t fence) {
    if (is_plain_word(id)) say("c " + std::to_string(fence) + " " + id);
}

void PostgresBell::say(std::string word) {
    {
        const std::lock_guard lock(mutex_);
        if (words_.size() >= words_max || !words_.insert(std::move(word)).second) return;
    }
    (void)::eventfd_write(awake_.get(), 1);
}

void PostgresBell::on_word(const std::string& word) {
    if (is_over()) return;
    if (word.empty()) return heard_.queue({});
    if (word.starts_with("q ")) return heard_.queue(word.substr(2));
    const auto space = word.find(' ', 2);
    if (!word.starts_with("c ") || space == std::string::npos) return;
    std::int64_t fence = 0;
    const auto [end, failure] = std::from_chars(word.data() + 2, word.data() + space, fence);
    if (failure == std::errc() && end == word.data() + space) heard_.cancel(word.substr(space + 1), fence);
}

// ---- the thread ---------------------------------------------------------------------------------------

bool PostgresBell::is_over() {
    const std::lock_guard lock(mutex_);
    return over_;
}

void PostgresBell::live() {
    milliseconds again{0};
    while (!is_over()) {
        auto connection = PostgresConnection::open(terms_);
        // what is told need not outlive the power
        if (connection) {
            (*connection)->limit(terms_.timeout);
            if ((*connection)->run_script("SET synchronous_commit = off; LISTEN reeve_jobs")) {
                again = milliseconds(0);
                mailbox_.post([this] { on_word({}); });  // what was said meanwhile nobody has heard
                attend(**connection);
                if (!is_over()) spdlog::warn("the bell of the database is silent, will connect again");
            }
        }
        again = std::clamp(2 * again, first_again, last_again);
        wait(-1, again);
    }
}

/// Until it is over, or the connection is.
void PostgresBell::attend(PostgresConnection& connection) {
    auto told = SteadyClock::now() - told_every;
    while (!is_over()) {
        if (!connection.alive()) return;
        while (const std::unique_ptr<PGnotify, FreeNotify> note{PQnotifies(connection.get())}) {
            if (note->be_pid == connection.backend().pid) continue;
            const std::string_view words(note->extra);
            for (std::size_t from = 0; from <= words.size();) {
                const auto to = std::min(words.find('\n', from), words.size());
                if (to > from)
                    mailbox_.post(
                        [this, word = std::string(words.substr(from, to - from))] { on_word(word); });
                from = to + 1;
            }
        }
        bool any = false;
        {
            const std::lock_guard lock(mutex_);
            any = !words_.empty();
        }
        milliseconds time = look_every;
        if (any) {
            time = std::chrono::duration_cast<milliseconds>(told + told_every - SteadyClock::now());
            if (time <= milliseconds(0)) {
                if (!tell(connection)) return;
                told = SteadyClock::now();
                continue;
            }
        }
        // (when words wait for their time the eventfd has nothing new to say)
        wait(PQsocket(connection.get()), time);
    }
}

bool PostgresBell::tell(PostgresConnection& connection) {
    std::string all;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& word : words_) all += (all.empty() ? "" : "\n") + word;
        words_.clear();
    }
    connection.limit(terms_.timeout);
    PostgresParams params;
    params.bytes(all);
    (void)connection.run(notify, params);  // a message that is lost is lost
    return !connection.broken();
}

void PostgresBell::wait(int fd, milliseconds time) {
    std::array<pollfd, 2> both{
        {{.fd = awake_.get(), .events = POLLIN, .revents = 0}, {.fd = fd, .events = POLLIN, .revents = 0}}};
    (void)::poll(both.data(), both.size(), static_cast<int>(time.count()));
    eventfd_t count = 0;
    (void)::eventfd_read(awake_.get(), &count);
}

}  // namespace worker::jobs
