#include "worker/handler/async_route.h"

#include <algorithm>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "ipc/clock.h"
#include "worker/handler/job_json.h"
#include "worker/handler/own_text.h"
#include "worker/http/fastcgi.h"
#include "worker/http/host.h"

namespace worker::handler {
namespace {

using http::Known;
using jobs::StoredRequest;
using std::chrono::milliseconds;

constexpr std::chrono::seconds patience_max{60};  ///< of `wait=`; more is cut
constexpr milliseconds unasked_look{5'000};       ///< for what nobody tells
constexpr std::uint64_t answer_room = 64 << 10;   ///< a longer one is asked for by its size

http::Preferences preferences_of(const http::Request& request) {
    http::Preferences preferences;
    constexpr std::string_view prefer = "prefer";
    for (const auto& field : request.fields)
        if (field.known == Known::other && field.name.size == prefer.size() &&
            http::equals_ignore_case(request.view(field.name), prefer))
            preferences.add(request.view(field.value));
    return preferences;
}

bool has_field(const http::Request& request, std::string_view name) {
    return std::any_of(request.fields.begin(), request.fields.end(), [&](const auto& field) {
        return field.known == Known::other && http::equals_ignore_case(request.view(field.name), name);
    });
}

bool bears_credentials(const http::Request& request) {
    return has_field(request, "authorization") || has_field(request, "cookie");
}

/// What its handler may know it by that was begun before; a client's own key goes before.
void add_idempotency_key(StoredRequest& request, std::string_view id) {
    if (request.wire == StoredRequest::Wire::fastcgi)
        return http::fastcgi::append_param(request.head, "HTTP_IDEMPOTENCY_KEY", id);
    request.head.append("Idempotency-Key: ").append(id).append("\r\n");
}

}  // namespace

/// Those that become jobs. Each has a part: what it was, and, where its client has some patience, who follows
/// its job.
//  made ──no patience, or too many follow jobs──▶ 202
//    └──watched──▶ looking ──shown──▶ resting ──it changed, or a while──▶ looking
//                      ├──it is over──▶ its answer, or 502              └──patience is over──▶ 202
//                      └──not known──▶ 202: it is stored, whatever it is doing
class AsyncRoute::Desk final : public JobMaking {
 public:
    Desk(const conf::Config& config, const conf::Route& route, const conf::Queue& queue, jobs::BodyRoom& room,
         jobs::Keeping& keeping, jobs::Watching& watching, execution::Loop& loop)
        : JobMaking(config, route, queue, room, keeping, loop), watching_(watching) {}

    void take(http::Exchange& exchange, StoredRequest request, const http::Preferences& wanted) {
        coming_ = std::move(request);
        wait_ = wanted.wait();
        if (wait_) wait_ = std::min(*wait_, patience_max);
        handle(exchange);
    }

 private:
    class Case final : public Part, private jobs::JobWatcher {
     public:
        Case(Desk& desk, Visit& visit, StoredRequest its, std::optional<std::chrono::seconds> wait)
            : request(std::move(its)), patience(wait), desk_(desk), visit_(visit) {}
        ~Case() override { on_end(); }

        /// From now on `visit` is answered by this.
        void follow(jobs::State state);

        StoredRequest request;
        std::optional<std::chrono::seconds> patience;

     private:
        void on_time() override;
        void on_changed() override { look(); }
        void on_leaving() override { desk_.promise(visit_, state_); }
        void on_end() noexcept override {
            if (std::exchange(watches_, false)) desk_.watching_.unwatch(visit_.name, *this);
        }
        void look(std::uint64_t room = answer_room);
        void on_shown(jobs::View&& job, std::uint64_t room);

        Desk& desk_;
        Visit& visit_;
        jobs::State state_ = jobs::State::ready;
        std::uint64_t until_ms_ = 0;  ///< CLOCK_MONOTONIC
        bool watches_ = false, looking_ = false, again_ = false;
    };

    void opened(Visit& visit) override {
        visit.part = std::make_unique<Case>(*this, visit, std::move(coming_), wait_);
    }
    std::string request_of(Visit& visit, const std::string& id) override {
        StoredRequest& request = case_of(visit).request;
        if (!has_field(visit.exchange().request, "idempotency-key")) add_idempotency_key(request, id);
        return jobs::pack(std::exchange(request, {}));
    }
    void on_made(Visit& visit, jobs::State state, bool same) override {
        Case& its = case_of(visit);
        if (!same) return promise(visit, state);  // that one's answer is not for this client
        if (its.patience.value_or(std::chrono::seconds(0)).count() == 0) return promise(visit, state);
        its.follow(state);
    }
    [[nodiscard]] static Case& case_of(Visit& visit) { return static_cast<Case&>(*visit.part); }

    void add_applied(Visit& visit) {
        const auto& patience = case_of(visit).patience;
        visit.exchange().response.add_field(
            "Preference-Applied", patience ? fmt::format("respond-async, wait={}", patience->count())
                                           : std::string("respond-async"));
    }
    void promise(Visit& visit, jobs::State state) {
        add_applied(visit);
        accept(visit, state);
    }
    void answer_with(Visit& visit, jobs::View&& job);
    void answer_failed(Visit& visit, const jobs::View& job);

    jobs::Watching& watching_;
    StoredRequest coming_;  ///< of the visit that is about to begin
    std::optional<std::chrono::seconds> wait_;
};

void AsyncRoute::Desk::Case::follow(jobs::State state) {
    state_ = state;
    until_ms_ = ipc::monotonic_ms() + static_cast<std::uint64_t>(milliseconds(*patience).count());
    watches_ = desk_.watching_.watch(visit_.name, *this);
    if (!watches_) return desk_.promise(visit_, state_);
    look();
}

void AsyncRoute::Desk::Case::on_time() {
    if (ipc::monotonic_ms() >= until_ms_) return desk_.promise(visit_, state_);
    look();
}

void AsyncRoute::Desk::Case::look(std::uint64_t room) {
    if (looking_) {
        again_ = true;
        return;
    }
    looking_ = true;
    visit_.wake_after(milliseconds(until_ms_ - std::min(until_ms_, ipc::monotonic_ms())));
    jobs::Get get;
    get.id = visit_.name;
    get.with_result = true;
    get.room = room;
    desk_.ask(
        visit_, std::move(get),
        [this, room](Visit&, jobs::Operation&& over) {
            auto& answer = std::get<jobs::Get>(over).answer;
            looking_ = false;
            if (!answer.found) return desk_.promise(visit_, state_);
            on_shown(std::move(answer.job), room);
        },
        [this](Visit&, const ipc::Error&) { desk_.promise(visit_, state_); });
}

void AsyncRoute::Desk::Case::on_shown(jobs::View&& job, std::uint64_t room) {
    state_ = job.state;
    if (job.state == jobs::State::done) {
        if (job.result_cut) return desk_.promise(visit_, state_);  // a part of an answer is none
        if (!job.result && job.result_size > room) return look(job.result_size);
        return desk_.answer_with(visit_, std::move(job));
    }
    if (jobs::is_over(job.state)) return desk_.answer_failed(visit_, job);
    const auto now = ipc::monotonic_ms();
    if (now >= until_ms_) return desk_.promise(visit_, state_);
    if (std::exchange(again_, false)) return look();
    visit_.wake_after(std::min(unasked_look, milliseconds(until_ms_ - now)));
}

/// As if it had not been a job, but for what `answer_fields` leaves out.
void AsyncRoute::Desk::answer_with(Visit& visit, jobs::View&& job) {
    auto& response = visit.exchange().response;
    response.status = job.result_status == 0 ? http::Status{200} : http::Status{job.result_status};
    if (!job.result_type.empty()) response.add_field("Content-Type", job.result_type);
    response.more_fields.append(job.result_fields);
    response.add_field("Vary", "Prefer");
    response.add_field("Job-Id", job.id);
    add_applied(visit);
    if (job.result) add_own_text(response, std::move(*job.result));
    finish(visit);
}

void AsyncRoute::Desk::answer_failed(Visit& visit, const jobs::View& job) {
    if (const auto place = place_of(job.id); !place.empty())
        visit.exchange().response.add_field("Location", place);
    add_applied(visit);
    refuse(visit, 502,
           job.state == jobs::State::dead ? "its job is dead: " + job.reason : "its job was cancelled");
}

AsyncRoute::AsyncRoute(const conf::Config& config, const conf::Route& route, const conf::Queue& queue,
                       std::unique_ptr<http::Handler> handler, JobSource& source, jobs::BodyRoom& room,
                       jobs::Keeping& keeping, jobs::Watching& watching, execution::Loop& loop)
    : route_(route),
      queue_(queue),
      handler_(std::move(handler)),
      source_(source),
      desk_(std::make_unique<Desk>(config, route, queue, room, keeping, watching, loop)) {}

AsyncRoute::~AsyncRoute() = default;

bool AsyncRoute::may_wait(const http::Exchange& exchange) const {
    const auto& request = exchange.request;
    return exchange.error == 0 && !request.is_head() && request.method() != "CONNECT" &&
           !request.has(Known::upgrade) && exchange.body_length.value_or(0) <= queue_.job_size_max &&
           (route_.async.credentials || !bears_credentials(request));
}

void AsyncRoute::handle(http::Exchange& exchange) {
    const auto wanted = preferences_of(exchange.request);
    if (!wanted.respond_async() || !may_wait(exchange)) return handler_->handle(exchange);
    auto request = source_.as_job(exchange);
    if (!request || request->head.size() + request->hidden.size() > jobs::request_bytes_max)
        return handler_->handle(exchange);
    desk_->take(exchange, std::move(*request), wanted);
}

}  // namespace worker::handler
