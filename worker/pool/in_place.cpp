#include "worker/pool/in_place.h"

#include <poll.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <exception>
#include <utility>

#include "ipc/clock.h"
#include "worker/http/head.h"
#include "worker/http/host.h"
#include "worker/jobs/plain_text.h"
#include "worker/jobs/progress_lines.h"

namespace worker::pool {
namespace {

/// Ten words of progress a second, and twenty at once: whoever is told passes on one a second.
constexpr std::uint64_t word_ms = 100, words_ms = 20 * word_ms;

bool is_line(std::string_view text) {
    return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

/// How the answer is framed, and its status, is for us to say, as in workers.
bool is_for_us(std::string_view name) {
    const http::Known known = http::known_field(name);
    return known == http::Known::content_length || known == http::Known::transfer_encoding ||
           http::equals_ignore_case(name, "status");
}

}  // namespace

bool wait_for_more(FastcgiRequest& request, int leave, int limit_ms) {
    std::array<pollfd, 2> waiting{{{request.fd(), POLLIN, 0}, {leave, POLLIN, 0}}};
    const int ready = ::poll(waiting.data(), waiting.size(), limit_ms);
    if (ready > 0 && waiting[1].revents != 0) request.give_up();
    if (ready > 0 && waiting[0].revents != 0) request.receive();
    return !request.gone();
}

std::string cgi_head_of(const reeve::Response& response, std::optional<std::uint64_t> length) {
    std::string head = fmt::format("Status: {}\r\n", response.status);
    for (const reeve::Field& field : response.fields) {
        if (!http::is_token(field.name) || !is_line(field.value))
            throw reeve::Failed(500, "its header has a field that is none");
        if (is_for_us(field.name)) continue;
        head.append(field.name).append(": ").append(field.value).append("\r\n");
    }
    if (length) head.append(fmt::format("Content-Length: {}\r\n", *length));
    return head.append("\r\n");
}

bool InPlace::sleep(reeve::detail::Wait&, reeve::milliseconds time) {
    tell_progress();
    const auto due =
        ipc::monotonic_ms() + static_cast<std::uint64_t>(std::max<std::int64_t>(0, time.count()));
    for (;;) {
        const auto now = ipc::monotonic_ms();
        if (now >= due || request_.gone()) return request_.gone();
        (void)wait(static_cast<int>(std::min<std::uint64_t>(due - now, 1'000'000)));
    }
}

bool InPlace::fetch(reeve::detail::Wait&, std::string_view, const reeve::Question&, reeve::Answer&,
                    reeve::detail::Outcome& outcome) {
    outcome = {500, "fetch is for handlers that run in workers"};
    return false;
}

bool InPlace::compute(reeve::detail::Wait&, std::string_view, std::string_view function,
                      std::string_view bytes, std::string& result, reeve::detail::Outcome& outcome) {
    const reeve::Function* known = module_.function(function);
    if (known == nullptr) {
        outcome = {500, fmt::format("there is no function `{}`", function)};
    } else {
        try {
            result = (*known)(bytes);
        } catch (const std::exception& thrown) {
            outcome = {500, thrown.what()};
        }
    }
    return request_.gone();
}

bool InPlace::blocking(reeve::detail::Wait&, std::string_view, const std::shared_ptr<reeve::detail::Job>& job,
                       reeve::detail::Outcome&) {
    job->run();
    return request_.gone();
}

bool InPlace::read(reeve::detail::Wait&, std::optional<std::string>& piece) {
    piece.reset();
    while (request_.body().empty() && !request_.body_ended() && wait(-1)) {
    }
    if (!request_.body().empty()) piece.emplace(std::exchange(request_.body(), {}));
    return request_.gone();
}

void InPlace::begin(const reeve::Response& head, std::optional<std::uint64_t> length) {
    if (for_ == For::job) throw reeve::Failed(500, "a job has no response to begin");
    if (begun_) throw reeve::Failed(500, "the response has begun already");
    const std::string lines = cgi_head_of(head, length);
    begun_ = true;
    request_.write(lines);
    request_.write(head.body);
}

bool InPlace::write(reeve::detail::Wait&, std::string_view bytes) {
    if (!begun_) throw reeve::Failed(500, "the response has not begun");
    request_.write(bytes);
    return request_.gone();
}

void InPlace::log(reeve::Level, std::string_view text) {
    std::string line(text);
    if (!line.ends_with('\n')) line += '\n';
    request_.complain(line);
}

bool InPlace::enqueue(reeve::detail::Wait&, std::string_view, std::string&&, const reeve::JobOptions&,
                      reeve::Enqueued&, reeve::detail::Refusal& refusal) {
    refusal = {reeve::NotEnqueued::Reason::no_queue, "enqueue is for handlers that run in workers"};
    return false;
}

void InPlace::progress(std::string_view text) {
    const auto now = ipc::monotonic_ms();
    progress_.emplace(jobs::plain_text(text));
    if (credit_ms_ > now + words_ms) return;
    credit_ms_ = std::max(credit_ms_, now) + word_ms;
    tell_progress();
}

void InPlace::tell_progress() {
    if (!progress_) return;
    request_.complain(std::string(jobs::ProgressLines::mark).append(*progress_).append("\n"));
    progress_.reset();
}

bool InPlace::ending() {
    if (progress_ && credit_ms_ <= ipc::monotonic_ms() + words_ms) tell_progress();
    return !wait(0);
}

/// More of the body may have come; while nobody reads it, it stays in the socket.
bool InPlace::wait(int limit_ms) {
    if (request_.body().empty() || request_.body_ended()) return wait_for_more(request_, leave_, limit_ms);
    pollfd leaving{leave_, POLLIN, 0};
    if (::poll(&leaving, 1, limit_ms) > 0) request_.give_up();
    return !request_.gone();
}

}  // namespace worker::pool
