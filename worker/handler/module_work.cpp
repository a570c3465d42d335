#include "worker/handler/module_work.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "ipc/clock.h"
#include "worker/handler/module_visit.h"
#include "worker/handler/peer_request.h"
#include "worker/http/head.h"
#include "worker/upstream/balancer.h"
#include "worker/upstream/pool_members.h"

namespace worker::handler {
namespace {

constexpr std::size_t result_max = 256ull << 20;  ///< bytes of what a function returns

/// A module's work, as threads know it.
class BlockingJob final : public execution::ThreadJob {
 public:
    BlockingJob(std::shared_ptr<reeve::detail::Job> work, std::string_view request, std::string_view code)
        : work_(std::move(work)), request_(request), code_(code) {}
    void run() override { work_->run(); }
    [[nodiscard]] std::string_view about() const noexcept override { return request_; }
    [[nodiscard]] std::string_view module() const noexcept override { return code_; }

 private:
    std::shared_ptr<reeve::detail::Job> work_;
    std::string request_, code_;
};

bool is_clean(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return static_cast<unsigned char>(c) > 0x20 && static_cast<unsigned char>(c) != 0x7f;
    });
}

bool is_clean_line(std::string_view value) {
    return value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

bool does_no_harm_twice(std::string_view method) {
    return method == "GET" || method == "HEAD" || method == "PUT" || method == "DELETE" ||
           method == "OPTIONS";
}

}  // namespace

void ModuleWork::finish() { visit_.go_on(*this); }

ModuleSleep::ModuleSleep(ModuleVisit& visit, reeve::detail::Wait& wait, std::chrono::milliseconds time)
    : ModuleWork(visit, wait),
      time_(std::max(time, std::chrono::milliseconds(0))),
      timer_(ipc::Event::timer<&ModuleSleep::on_time>(this, visit.route().loop().base())) {}

bool ModuleSleep::start() {
    timer_.arm(time_);
    return true;
}

void ModuleSleep::on_time(short) {
    visit_.route().loop().enter();
    finish();
}

ModuleBlocking::ModuleBlocking(ModuleVisit& visit, reeve::detail::Wait& wait, execution::ThreadPool& pool,
                               std::shared_ptr<reeve::detail::Job> job, reeve::detail::Outcome& outcome)
    : ModuleWork(visit, wait),
      Errand(visit.route().rooms().thread_desk),
      pool_(pool),
      job_(std::move(job)),
      outcome_(outcome) {}

bool ModuleBlocking::start() {
    pool_.submit(*this,
                 std::make_shared<BlockingJob>(std::move(job_), visit_.exchange().request.begin_of_line(),
                                               visit_.route().code()));
    return true;
}

void ModuleBlocking::on_over(execution::ThreadOutcome outcome) {
    const auto fail = [&](int status, std::string_view why) {
        outcome_ = {status, fmt::format("pool {}: {}", pool_.name(), why)};
    };
    switch (outcome) {
        case execution::ThreadOutcome::done: break;
        case execution::ThreadOutcome::threw: fail(500, "it threw something"); break;
        case execution::ThreadOutcome::full: fail(503, "the pool's queue is full"); break;
        case execution::ThreadOutcome::late: fail(503, "the task waited too long for its pool"); break;
        case execution::ThreadOutcome::overdue: fail(504, "the task took too long"); break;
    }
    finish();
}

ModuleFetch::ModuleFetch(ModuleVisit& visit, reeve::detail::Wait& wait, std::string_view upstream,
                         const reeve::Question& question, reeve::Answer& answer,
                         reeve::detail::Outcome& outcome)
    : ModuleWork(visit, wait),
      upstream_(upstream),
      question_(question),
      answer_(answer),
      outcome_(outcome),
      call_(visit.route().rooms().upstreams, *this) {}

/// False: nothing that a peer could read.
bool ModuleFetch::write_head() {
    if (!http::is_token(question_.method) || !is_clean(question_.target)) return false;
    head_.append(question_.method).append(" ").append(question_.target).append(" HTTP/1.1\r\n");
    if (question_.fields.get("host").empty()) head_.append("Host: ").append(upstream_).append("\r\n");
    for (const reeve::Field& field : question_.fields) {
        if (!http::is_token(field.name) || !is_clean_line(field.value)) return false;
        const http::Known known = http::known_field(field.name);
        if (is_hop_by_hop(known) || known == http::Known::content_length || known == http::Known::expect)
            continue;
        head_.append(field.name).append(": ").append(field.value).append("\r\n");
    }
    if (!question_.body.empty() || question_.method == "POST" || question_.method == "PUT")
        head_.append("Content-Length: ").append(std::to_string(question_.body.size())).append("\r\n");
    head_.append("\r\n");
    return true;
}

bool ModuleFetch::start() {
    if (!write_head()) {
        outcome_ = {500, "what is to be asked is no request"};
        return false;
    }
    upstream::Upstream& upstream = visit_.route().rooms().upstreams.find(upstream_);
    const upstream::Admission admission = upstream.admit();
    if (!admission.admitted()) {
        outcome_ = {503, std::string(admission.refusal)};
        return false;
    }
    upstream::Question question;
    question.head = head_;
    question.body = !question_.body.empty();
    question.idempotent = does_no_harm_twice(question_.method);
    question.bodiless = question_.method == "HEAD";
    question.key = upstream::hash_of(question_.target);
    question.terms = &visit_.route().route().proxy;
    question.ticket = admission.ticket;
    starting_ = true;
    call_.start(upstream, question);
    if (!over_ && question.body) {
        call_.send(question_.body);
        call_.end_body();
    }
    starting_ = false;
    return !over_;
}

void ModuleFetch::on_response(const http::ResponseHead& head, http::Framing framing, std::uint64_t length) {
    answer_.status = head.status;
    for (const http::Field& field : head.fields)
        if (!is_hop_by_hop(field.known))
            answer_.fields.add(std::string(head.view(field.name)), std::string(head.view(field.value)));
    if (framing != http::Framing::length) return;
    if (length > question_.answer_max) return fail(502, "the answer is too large");
    answer_.body.reserve(length);
}

void ModuleFetch::on_payload(std::string_view bytes) {
    if (over_) return;
    if (answer_.body.size() + bytes.size() > question_.answer_max)
        return fail(502, "the answer is too large");
    answer_.body.append(bytes);
}

void ModuleFetch::on_end(std::string_view) { over(); }

void ModuleFetch::on_failure(const upstream::Failure& failure) {
    outcome_ = {failure.status, fmt::format("upstream {}: {}", upstream_, failure.reason)};
    over();
}

void ModuleFetch::fail(int status, std::string_view why) {
    call_.cancel();
    outcome_ = {status, fmt::format("upstream {}: {}", upstream_, why)};
    over();
}

void ModuleFetch::over() {
    over_ = true;
    http::Exchange& exchange = visit_.exchange();
    http::append_tries(exchange.upstream_tries, call_.tries());
    exchange.upstream_us += visit_.route().loop().clock().now_us() - call_.begun_us();
    exchange.upstream_status = static_cast<http::Status>(answer_.status);
    if (!starting_) finish();
}

ComputePool::ComputePool(const conf::Pool& its_config, execution::PoolQueue& its_queue,
                         const conf::Proxy& its_terms, execution::Loop& loop)
    : config(its_config),
      queue(its_queue),
      terms(upstream::task_terms(its_terms)),
      members(upstream::members_of(its_config, its_queue.table(), its_queue.pool())),
      upstream(members, loop, nullptr, nullptr) {
    upstream::name_members(upstream, config);
}

ModuleCompute::ModuleCompute(ModuleVisit& visit, reeve::detail::Wait& wait, ComputePool& pool,
                             std::string_view function, std::string_view bytes, std::string& result,
                             reeve::detail::Outcome& outcome)
    : ModuleWork(visit, wait),
      pool_(pool),
      function_(function),
      bytes_(bytes),
      result_(result),
      outcome_(outcome),
      call_(visit.route().rooms().upstreams, *this),
      limit_(ipc::Event::timer<&ModuleCompute::on_limit>(this, visit.route().loop().base())) {}

ModuleCompute::~ModuleCompute() { stop(); }

bool ModuleCompute::start() {
    starting_ = true;
    switch (pool_.queue.ask(*this, task_)) {
        case execution::PoolQueue::Asked::given: work(); break;
        case execution::PoolQueue::Asked::queued: break;
        case execution::PoolQueue::Asked::full: over(503, "the pool's queue is full"); break;
    }
    starting_ = false;
    return !over_;
}

void ModuleCompute::stop() noexcept {
    limit_.disarm();
    pool_.queue.leave(*this);
    call_.cancel();
    if (!at_work_) return;
    counters().aborted.add_shared();
    give_back(End::broken);
}

void ModuleCompute::on_member(const ipc::PoolTask& task) {
    task_ = task;
    work();
}

void ModuleCompute::on_late() { over(503, "the task waited too long for its pool"); }

void ModuleCompute::work() {
    at_work_ = true;
    begun_us_ = ipc::monotonic_us();
    limit_.arm(pool_.config.timeout);
    std::string params;
    http::fastcgi::append_param(params, "REEVE_COMPUTE", function_);
    http::fastcgi::append_param(params, "CONTENT_LENGTH", std::to_string(bytes_.size()));
    upstream::append_question(head_, {.params = params, .body = !bytes_.empty()});
    upstream::Question question;
    question.head = head_;
    question.wire = upstream::Wire::fastcgi;
    question.keep = false;
    question.body = !bytes_.empty();
    question.bound = &pool_.upstream.peers()[task_.member];
    question.terms = &pool_.terms;
    question.ticket = pool_.upstream.admit().ticket;
    call_.start(pool_.upstream, question);
    if (over_ || !question.body) return;
    call_.send(bytes_);
    call_.end_body();
}

void ModuleCompute::on_limit(short) {
    visit_.route().loop().enter();
    call_.cancel();
    give_back(End::overdue);
    over(504, "the task took too long");
}

void ModuleCompute::on_response(const http::ResponseHead& head, http::Framing, std::uint64_t length) {
    status_ = head.status;
    result_.reserve(std::min<std::uint64_t>(length, result_max));
}

void ModuleCompute::on_payload(std::string_view bytes) {
    if (over_) return;
    if (result_.size() + bytes.size() <= result_max) {
        result_.append(bytes);
        return;
    }
    call_.cancel();
    give_back(End::broken);
    over(502, "the result is too large");
}

void ModuleCompute::on_end(std::string_view) {
    give_back(End::whole);
    if (status_ == 200) return over(0, {});
    const std::string why = std::exchange(result_, {});
    over(500, why);
}

void ModuleCompute::on_stderr(std::string_view text) {
    spdlog::warn("pool says pool={} member={} text={:?}", pool_.config.name, task_.member, text);
}

void ModuleCompute::on_failure(const upstream::Failure& failure) {
    if (failure.kind == ipc::CallFailure::reset || failure.kind == ipc::CallFailure::connect)
        counters().died.add_shared();
    give_back(End::broken);
    over(502, "the task's process died");
}

void ModuleCompute::give_back(End how) noexcept {
    at_work_ = false;
    const auto now = ipc::monotonic_ms();
    auto& table = pool_.queue.table();
    counters().busy_us.add_shared(ipc::monotonic_us() - begun_us_);
    counters().over.add_shared();
    switch (how) {
        case End::whole: table.release(task_, now); break;
        case End::broken: table.give_up(task_, now); break;
        case End::overdue:
            counters().timeouts.add_shared();
            table.overdue(task_, now);
            break;
    }
}

void ModuleCompute::over(int status, std::string_view why) {
    over_ = true;
    limit_.disarm();
    if (status != 0) outcome_ = {status, fmt::format("pool {}: {}", pool_.config.name, why)};
    if (!starting_) finish();
}

ipc::PoolTable::Counters& ModuleCompute::counters() noexcept {
    return pool_.queue.table().counters(pool_.queue.pool());
}

}  // namespace worker::handler
