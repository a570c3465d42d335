#include "worker/handler/job_following.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <variant>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "ipc/clock.h"
#include "ipc/keyed_hash.h"
#include "worker/handler/job_json.h"
#include "worker/handler/job_request.h"
#include "worker/http/host.h"

namespace worker::handler {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds first_look{25}, longest_look{1000};      ///< of those who are not told
constexpr milliseconds told_first_look{2000}, told_look{5000};  ///< of those who are
constexpr std::uint64_t heartbeat_ms = 15'000;                  ///< so that nobody between takes it for dead
constexpr std::string_view come_back = "retry: 1000\n\n";       ///< milliseconds

std::string line_of(const jobs::View& job, std::string_view path) {
    return job_json(job, path).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string_view last_event_id(const http::Request& request) {
    for (const auto& field : request.fields)
        if (http::equals_ignore_case(request.view(field.name), "last-event-id"))
            return request.view(field.value);
    return {};
}

}  // namespace

void JobsRoute::Following::wait(JobsRoute& route, Visit& visit, milliseconds time) {
    auto made = std::unique_ptr<Following>(new Following(route, visit, false, time));
    auto& its = *made;
    visit.part = std::move(made);
    its.look();
}

void JobsRoute::Following::stream(JobsRoute& route, Visit& visit) {
    auto made = std::unique_ptr<Following>(new Following(route, visit, true, milliseconds(0)));
    auto& its = *made;
    visit.part = std::move(made);
    its.asked_ = true;
    its.watches_ = route.watching_.watch(visit.name, its);
    if (!its.watches_)
        return route.refuse_for_now(
            visit, route.watching_.leaving() ? "this process takes leave" : "too many follow jobs");
    its.look();
}

JobsRoute::Following::Following(JobsRoute& route, Visit& visit, bool streams, milliseconds time)
    : route_(route),
      visit_(visit),
      streams_(streams),
      until_ms_(ipc::monotonic_ms() + static_cast<std::uint64_t>(time.count())) {}

JobsRoute::Following::~Following() { on_end(); }

void JobsRoute::Following::on_end() noexcept {
    ended_ = true;
    if (std::exchange(watches_, false)) route_.watching_.unwatch(visit_.name, *this);
}

// ---- what happens -----------------------------------------------------------------------------------------

void JobsRoute::Following::on_changed() {
    delay_ = milliseconds(0);
    look();
}

void JobsRoute::Following::on_leaving() {
    until_ms_ = 0;
    if (begun_) return end_stream();
    if (!streams_) look();
}

void JobsRoute::Following::on_room() {
    if (std::exchange(stale_, false)) look();
}

void JobsRoute::Following::on_time() {
    if (begun_ && ipc::monotonic_ms() - said_ms_ >= heartbeat_ms && visit_.exchange().unsent() == 0)
        say(": still here\n\n");
    look();
}

void JobsRoute::Following::look() {
    if (ended_) return;
    if (looking_) {
        again_ = true;
        return;
    }
    looking_ = true;
    jobs::Get get;
    get.id = visit_.name;
    route_.ask(
        visit_, std::move(get),
        [this](Visit&, jobs::Operation&& over) { on_shown(std::get<jobs::Get>(over)); },
        [this](Visit&, const ipc::Error& why) { on_failed(why); });
}

void JobsRoute::Following::on_shown(const jobs::Get& get) {
    looking_ = false;
    if (streams_)
        show_event(get);
    else
        show_once(get);
    if (ended_) return;
    if (std::exchange(again_, false)) return look();
    rest();
}

/// The store may be back while the client is there yet.
void JobsRoute::Following::on_failed(const ipc::Error& why) {
    looking_ = again_ = false;
    if (!begun_) return route_.refuse_for_now(visit_, public_reason(why.text()));
    rest();
}

void JobsRoute::Following::rest() {
    if (!std::exchange(asked_, true)) {  // most are over when they are looked at first
        watches_ = route_.watching_.watch(visit_.name, *this);
        if (watches_) return look();  // it may have changed before we were heard
    }
    const auto first = watches_ ? told_first_look : first_look, longest = watches_ ? told_look : longest_look;
    delay_ = std::clamp(delay_ * 3 / 2, first, longest);
    auto time = delay_;
    if (!streams_) time = std::min(time, milliseconds(until_ms_ - std::min(until_ms_, ipc::monotonic_ms())));
    visit_.wake_after(std::max(time, milliseconds(1)));
}

// ---- one answer -------------------------------------------------------------------------------------------

void JobsRoute::Following::show_once(const jobs::Get& get) {
    if (!get.answer.found) return route_.refuse(visit_, 404, "there is no such job, or not any more");
    const bool over = jobs::is_over(get.answer.job.state);
    if (!over && ipc::monotonic_ms() < until_ms_ && !route_.watching_.leaving()) return;
    if (!over) visit_.exchange().response.add_field("Retry-After", "1");
    route_.answer(visit_, 200, line_of(get.answer.job, route_.path_));
}

// ---- events -----------------------------------------------------------------------------------------------

void JobsRoute::Following::show_event(const jobs::Get& get) {
    if (!get.answer.found) {
        if (!begun_) return route_.refuse(visit_, 404, "there is no such job, or not any more");
        say(fmt::format("event: gone\ndata: {{\"id\":\"{}\"}}\n\n", visit_.name));
        return route_.finish(visit_);
    }
    const auto& job = get.answer.job;
    tell(job, {job.state, job.attempts_made, job.progress, job.cancelling});
}

/// Its `id` is of what it says, so that whoever comes back is told nothing twice; and where that is the end,
/// 204 keeps it from coming back again (HTML 9.2.2).
void JobsRoute::Following::tell(const jobs::View& job, Told now) {
    const bool over = jobs::is_over(now.state);
    const auto id = fmt::format("{}-{}-{:x}", state_name(now.state), now.attempts,
                                now.progress.empty() && !now.cancelling
                                    ? 0
                                    : ipc::siphash({0x65766e74, now.cancelling ? 1u : 0u}, now.progress));
    if (!told_ && !begun_) {
        const bool known = last_event_id(visit_.exchange().request) == id;
        if (known && over) return route_.answer(visit_, 204, event_stream, std::string());
        begin_stream();
        if (known) told_ = now;
    }
    if (begun_ && route_.watching_.leaving()) return end_stream();  // it has begun too late to be told
    if (told_ == now) return;
    if (visit_.exchange().unsent() > 0 && told_) {
        stale_ = true;
        return;
    }
    const char* const what = !told_ || told_->state != now.state ? "state"
                             : told_->attempts != now.attempts   ? "attempt"
                                                                 : "progress";
    say(fmt::format("event: {}\nid: {}\ndata: {}\n\n", what, id, line_of(job, route_.path_)));
    told_ = std::move(now);
    if (over) route_.finish(visit_);
}

void JobsRoute::Following::begin_stream() {
    auto& response = visit_.exchange().response;
    response.status = 200;
    response.add_field("Content-Type", event_stream);
    response.add_field("Cache-Control", "no-store");
    response.add_field("X-Accel-Buffering", "no");
    begun_ = true;
    visit_.exchange().begin_response(false);
    say(come_back);
}

void JobsRoute::Following::end_stream() {
    say(come_back);
    route_.finish(visit_);
}

void JobsRoute::Following::say(std::string_view text) {
    said_ms_ = ipc::monotonic_ms();
    visit_.exchange().send(text);
}

}  // namespace worker::handler
