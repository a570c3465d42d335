#include "worker/handler/module_visit.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "worker/execution/stopwatch.h"
#include "worker/handler/job_request.h"
#include "worker/handler/own_text.h"
#include "worker/handler/peer_request.h"
#include "worker/http/head.h"
#include "worker/jobs/unix_clock.h"

namespace worker::handler {
namespace {

constexpr std::uint64_t whole_body_max = 64ull << 20;  ///< bytes in memory, where `body_max` is none
constexpr const char* beyond_length = "the response is longer than its length";
constexpr std::string_view module_retry_after = "1";  // second

reeve::Request request_of(const http::Exchange& exchange, const conf::Route& route) {
    const http::Request& from = exchange.request;
    reeve::Request request;
    connection::Peer::Text room;
    request.method = exchange.error != 0 ? std::string_view("GET") : from.method();
    request.target = from.raw_target();
    request.path = from.target.path;
    if (from.target.has_query) request.query = from.target.query;
    request.host = from.host;
    request.client = exchange.peer.text(room);
    request.route = route.name;
    request.fields.reserve(from.fields.size());
    for (const http::Field& field : from.fields)
        request.fields.add(std::string(from.view(field.name)), std::string(from.view(field.value)));
    return request;
}

bool is_clean_value(std::string_view value) {
    return std::none_of(value.begin(), value.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return (byte < 0x20 && byte != '\t') || byte == 0x7f;
    });
}

/// False: a field that no response may have.
bool append_its_fields(std::string& lines, const reeve::Fields& fields) {
    for (const reeve::Field& field : fields) {
        if (!http::is_token(field.name) || !is_clean_value(field.value)) return false;
        const http::Known known = http::known_field(field.name);
        if (is_hop_by_hop(known) || known == http::Known::content_length || known == http::Known::date ||
            known == http::Known::server)
            continue;
        lines.append(field.name).append(": ").append(field.value).append("\r\n");
    }
    return true;
}

bool has_body(int status) { return status != 204 && status != 304; }

spdlog::level::level_enum level_of(reeve::Level level) {
    switch (level) {
        case reeve::Level::debug: return spdlog::level::debug;
        case reeve::Level::info: return spdlog::level::info;
        case reeve::Level::warn: return spdlog::level::warn;
        case reeve::Level::error: break;
    }
    return spdlog::level::err;
}

/// Code of a module runs, for a request.
class Running {
 public:
    Running(ModuleRoute& route, const http::Exchange& exchange) : in_flight_(route.loop().cell().in_flight) {
        in_flight_.begin(exchange.request.begin_of_line(), route.code());
    }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
    ~Running() { in_flight_.end(); }

 private:
    ipc::InFlight& in_flight_;
};

}  // namespace

void ModuleVisit::begin(http::Exchange& exchange) {
    exchange_ = &exchange;
    exchange.streamer = this;
    if (const auto limit = route_.route().proxy.timeout; limit.count() > 0) {
        limit_ = ipc::Event::timer<&ModuleVisit::on_limit>(this, route_.loop().base());
        limit_->arm(limit);
    }
    if (exchange.error != 0) exchange.pause_body(true);  // an error page: a GET of our own
    body_ended_ = !exchange.body_follows || exchange.error != 0;
    if (body_ended_ || route_.handler().body == reeve::Body::pieces) return start();
    if (exchange.body_length.value_or(0) > whole_body_max) return refuse(413, "the body is too large");
    exchange.go_ahead();
}

void ModuleVisit::on_body(std::string_view payload) {
    if (exchange_ == nullptr || exchange_->error != 0) return;
    body_.append(payload);
    if (route_.handler().body == reeve::Body::whole) {
        if (body_.size() > whole_body_max) refuse(413, "the body is too large");
        return;
    }
    if (reader_ != nullptr) return pass_piece_on();
    if (body_.size() >= route_.route().proxy.buffer) exchange_->pause_body(true);
}

void ModuleVisit::on_body_end() {
    if (exchange_ == nullptr || exchange_->error != 0) return;
    body_ended_ = true;
    if (route_.handler().body == reeve::Body::whole) return start();
    if (reader_ != nullptr) pass_piece_on();
}

/// Who goes on may end the others, and may have to wait again.
void ModuleVisit::on_room() {
    for (std::size_t waiting = writers_.size(); waiting > 0 && !writers_.empty(); --waiting) {
        ModuleWork* const writer = writers_.front();
        writers_.erase(writers_.begin());
        go_on(*writer);
    }
}

/// The client left, and nobody else wants to know.
void ModuleVisit::on_gone() {
    const Running destructors(route_, *exchange_);
    exchange_->upstream_failure = "the client left";
    leave();
}

void ModuleVisit::on_limit(short) {
    route_.loop().enter();
    const Running destructors(route_, *exchange_);
    refuse(504, "it took too long");
}

void ModuleVisit::start() {
    reeve::Request request = request_of(*exchange_, route_.route());
    if (route_.handler().body == reeve::Body::whole) request.body = std::move(body_);
    try {
        const Running its_beginning(route_, *exchange_);
        coroutine_ = route_.handler().handler(std::move(request), context_);
    } catch (const std::exception& thrown) {
        return refuse(500, thrown.what());
    } catch (...) {
        return refuse(500, "it threw something");
    }
    if (!coroutine_.coroutine()) return refuse(500, "it returned no coroutine");
    run(coroutine_.coroutine());
}

void ModuleVisit::run(std::coroutine_handle<> coroutine) {
    const execution::Stopwatch stopwatch;
    {
        const Running running(route_, *exchange_);
        coroutine.resume();
        route_.loop().ran(stopwatch.ticks(), route_.route().name, exchange_->request.method(),
                          exchange_->request.raw_target());
    }
    if (coroutine_.over()) end();
}

void ModuleVisit::go_on(ModuleWork& work) {
    const std::coroutine_handle<> waiter = work.wait().waiter;
    work.wait().work = nullptr;
    route_.retire(std::unique_ptr<ModuleWork>(&work));
    run(waiter);
}

bool ModuleVisit::wait_for(std::unique_ptr<ModuleWork> work) {
    if (!work->start()) {
        route_.retire(std::move(work));
        return false;
    }
    reeve::detail::Wait& wait = work->wait();
    wait.work = work.release();
    return true;
}

bool ModuleVisit::sleep(reeve::detail::Wait& wait, reeve::milliseconds time) {
    return wait_for(std::make_unique<ModuleSleep>(*this, wait, time));
}

bool ModuleVisit::fetch(reeve::detail::Wait& wait, std::string_view upstream, const reeve::Question& question,
                        reeve::Answer& answer, reeve::detail::Outcome& outcome) {
    const auto& all = route_.rooms().config.upstreams;
    if (std::none_of(all.begin(), all.end(), [&](const auto& one) { return one.name == upstream; })) {
        outcome = {500, fmt::format("there is no [upstream {}]", upstream)};
        return false;
    }
    return wait_for(std::make_unique<ModuleFetch>(*this, wait, upstream, question, answer, outcome));
}

bool ModuleVisit::compute(reeve::detail::Wait& wait, std::string_view pool, std::string_view function,
                          std::string_view bytes, std::string& result, reeve::detail::Outcome& outcome) {
    ComputePool* members = route_.compute_pool(pool);
    if (members == nullptr) {
        outcome = {500, fmt::format("there is no [pool {}] with `run = module`", pool)};
        return false;
    }
    return wait_for(std::make_unique<ModuleCompute>(*this, wait, *members, function, bytes, result, outcome));
}

bool ModuleVisit::blocking(reeve::detail::Wait& wait, std::string_view pool,
                           const std::shared_ptr<reeve::detail::Job>& job, reeve::detail::Outcome& outcome) {
    execution::ThreadPool* threads = route_.rooms().thread_pools.find(pool);
    if (threads == nullptr) {
        outcome = {500, fmt::format("there is no [pool {}] with `kind = thread`", pool)};
        return false;
    }
    return wait_for(std::make_unique<ModuleBlocking>(*this, wait, *threads, job, outcome));
}

bool ModuleVisit::read(reeve::detail::Wait& wait, std::optional<std::string>& piece) {
    piece.reset();
    if (body_.empty() && !body_ended_) {
        exchange_->go_ahead();
        exchange_->pause_body(false);
    }
    if (!body_.empty() || body_ended_) {
        if (!body_.empty()) piece.emplace(std::exchange(body_, {}));
        return false;
    }
    if (reader_ != nullptr) throw reeve::Failed(500, "the body is being read already");
    auto work = std::make_unique<ModuleWork>(*this, wait);
    reader_ = work.get();
    piece_ = &piece;
    return wait_for(std::move(work));
}

/// To who waits for it.
void ModuleVisit::pass_piece_on() {
    if (!body_.empty()) piece_->emplace(std::exchange(body_, {}));
    piece_ = nullptr;
    go_on(*std::exchange(reader_, nullptr));
}

void ModuleVisit::begin(const reeve::Response& head, std::optional<std::uint64_t> length) {
    if (exchange_ == nullptr) return;  // by a destructor, when all is over
    if (begun_) throw reeve::Failed(500, "the response has begun already");
    http::Response& response = exchange_->response;
    std::string lines;
    if (head.status < 200 || head.status > 599 || !append_its_fields(lines, head.fields))
        throw reeve::Failed(500, "no such response can be sent");
    head_only_ = !has_body(head.status);
    if (length && !head_only_) {
        if (head.body.size() > *length) throw reeve::Failed(500, beyond_length);
        left_ = *length - head.body.size();
    }
    begun_ = true;
    response.status = static_cast<http::Status>(head.status);
    response.more_fields.append(lines);
    response.body_size = length.value_or(0);
    exchange_->begin_response(length.has_value() || head_only_);
    if (!head.body.empty() && !head_only_) exchange_->send(head.body);
}

bool ModuleVisit::write(reeve::detail::Wait& wait, std::string_view bytes) {
    if (!begun_) throw reeve::Failed(500, "the response has not begun");
    if (bytes.empty() || head_only_) return false;
    send(bytes);
    if (exchange_->unsent() < route_.route().proxy.buffer) return false;
    auto work = std::make_unique<ModuleWork>(*this, wait);
    writers_.push_back(work.get());
    return wait_for(std::move(work));
}

/// What goes beyond the length that was told would be taken for the next response.
void ModuleVisit::send(std::string_view bytes) {
    if (left_) {
        if (bytes.size() > *left_) throw reeve::Failed(500, beyond_length);
        *left_ -= bytes.size();
    }
    exchange_->send(bytes);
}

void ModuleVisit::give_up(reeve::detail::Wait& wait) noexcept {
    std::unique_ptr<ModuleWork> work(static_cast<ModuleWork*>(std::exchange(wait.work, nullptr)));
    if (work.get() == reader_) {
        reader_ = nullptr;
        piece_ = nullptr;
    }
    std::erase(writers_, work.get());
    work->stop();
    route_.retire(std::move(work));
}

void ModuleVisit::log(reeve::Level level, std::string_view text) {
    spdlog::log(level_of(level), "module says route={} handler={} text={:?}", route_.route().name,
                route_.handler().name, text);
}

bool ModuleVisit::enqueue(reeve::detail::Wait& wait, std::string_view queue, std::string&& body,
                          const reeve::JobOptions& options, reeve::Enqueued& job,
                          reeve::detail::Refusal& refusal) {
    const auto& all = route_.rooms().config.queues;
    const auto its = std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.name == queue; });
    if (its == all.end() || route_.rooms().keeping == nullptr) {
        refusal = {reeve::NotEnqueued::Reason::no_queue, fmt::format("there is no [queue {}]", queue)};
        return false;
    }
    auto wanted = make_job(*its, std::move(body), options, jobs::unix_ms());
    if (!wanted) {
        refusal = std::move(wanted.error());
        return false;
    }
    wanted->job.trace = exchange_->request.value(http::Known::traceparent).substr(0, job_type_max);
    return wait_for(std::make_unique<ModuleEnqueue>(*this, wait, std::move(*wanted), job, refusal));
}

/// The coroutine is at its end.
void ModuleVisit::end() {
    try {
        answer(coroutine_.await_resume());
    } catch (const reeve::Failed& failed) {
        const int status = failed.status() >= 400 && failed.status() < 600 ? failed.status() : 500;
        refuse(static_cast<http::Status>(status), failed.what());
    } catch (const std::exception& thrown) {
        refuse(500, thrown.what());
    } catch (...) {
        refuse(500, "it threw something");
    }
}

void ModuleVisit::answer(reeve::Response&& from) {
    http::Exchange& exchange = *exchange_;
    if (begun_) {
        if (!from.body.empty() && !head_only_) send(from.body);
        if (left_.value_or(0) > 0 && !exchange.request.is_head())
            throw reeve::Failed(500, "the response is shorter than its length");
        exchange.finish();
        return leave();
    }
    http::Response& response = exchange.response;
    std::string lines;
    if (from.status < 200 || from.status > 599) throw reeve::Failed(500, "its status is none");
    if (!append_its_fields(lines, from.fields))
        throw reeve::Failed(500, "its header has a field that is none");
    response.status = static_cast<http::Status>(from.status);
    response.more_fields.append(lines);
    if (!from.body.empty() && has_body(from.status)) add_own_text(response, std::move(from.body));
    if (!body_ended_) response.close = true;  // the rest is not worth reading
    exchange.finish();
    leave();
}

/// Instead of what its coroutine might have answered.
void ModuleVisit::refuse(http::Status status, std::string_view why) {
    http::Exchange& exchange = *exchange_;
    route_.log_failure(exchange, status, why);
    if (status >= 502 && status <= 504) exchange.upstream_failure = "its handler failed";
    if (begun_) {
        exchange.give_up();
    } else {
        if (status == 503) exchange.response.add_field("Retry-After", module_retry_after);
        if (!body_ended_) exchange.response.close = true;
        exchange.streamer = nullptr;
        exchange.refuse(status);
    }
    leave();
}

/// Ends the coroutine, wherever it is, and with it all that it waits for.
void ModuleVisit::leave() {
    exchange_ = nullptr;
    if (limit_) limit_->disarm();
    const reeve::Task<reeve::Response> ends = std::move(coroutine_);
    route_.retire(std::unique_ptr<ModuleVisit>(this));
}

ModuleRoute::ModuleRoute(const conf::Route& route, const reeve::Setup::NamedHandler& handler,
                         const Rooms& rooms)
    : route_(route),
      handler_(handler),
      code_(fmt::format("{} handler={}", route.module.module, handler.name)),
      rooms_(rooms) {}

ModuleRoute::~ModuleRoute() = default;

void ModuleRoute::handle(http::Exchange& exchange) {
    std::make_unique<ModuleVisit>(*this).release()->begin(exchange);  // it comes back by `retire`
}

ComputePool* ModuleRoute::compute_pool(std::string_view name) {
    for (const auto& known : pools_)
        if (known->config.name == name) return known.get();
    const auto& all = rooms_.config.pools;
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (all[i].name != name || all[i].kind != conf::Pool::Kind::process ||
            all[i].run.kind != conf::PoolRun::Kind::module)
            continue;
        pools_.push_back(
            std::make_unique<ComputePool>(all[i], rooms_.queues.of(i), route_.proxy, rooms_.loop));
        return pools_.back().get();
    }
    return nullptr;
}

void ModuleRoute::clear_later() {
    if (!work_over_.empty() || !visits_over_.empty()) return;
    rooms_.loop.after_turn([this] {
        work_over_.clear();
        visits_over_.clear();
    });
}

void ModuleRoute::retire(std::unique_ptr<ModuleWork> work) {
    clear_later();
    work_over_.push_back(std::move(work));
}

void ModuleRoute::retire(std::unique_ptr<ModuleVisit> visit) {
    clear_later();
    visits_over_.push_back(std::move(visit));
}

void ModuleRoute::log_failure(const http::Exchange& exchange, http::Status status, std::string_view why) {
    constexpr std::uint64_t told_every_us = 100'000;
    const std::uint64_t now = rooms_.loop.clock().now_us();
    if (told_us_ != 0 && now - told_us_ < told_every_us) {
        ++untold_;
        return;
    }
    spdlog::error(
        "module failed route={} module={} handler={} status={} why={:?} request={:?} more_untold={}",
        route_.name, route_.module.module, handler_.name, status, why, exchange.request.begin_of_line(),
        std::exchange(untold_, 0));
    told_us_ = now;
}

}  // namespace worker::handler
