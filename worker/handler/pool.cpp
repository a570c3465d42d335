#include "worker/handler/pool.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <string>
#include <utility>

#include "ipc/clock.h"
#include "worker/upstream/pool_members.h"

namespace worker::handler {
namespace {

constexpr std::size_t spare_tasks_max = 256;
constexpr std::uint64_t task_failure_told_every_us = 100'000;  // lines about failures, at most
constexpr std::string_view retry_after = "1";                  // second: a task was over or refused by then

constexpr upstream::Failure too_long{504, "the task took too long", ipc::CallFailure::read_timeout};

}  // namespace

/// A request, from the queue to its member and back.
//  ready ──full──▶ refused          waiting ──late──▶ refused
//    └──member given──▶ at work ◀──given──┘ └──client leaves──▶ over
//  at work ──whole answer──▶ member idle
//     ├──too long──▶ 504, member overdue       └──it broke, or the client left──▶ member doubtful
class PoolRoute::Task final : private CgiPeers, private execution::PoolWaiter {
 public:
    explicit Task(PoolRoute& owner)
        : owner_(owner),
          passing_(owner.shared_, *this),
          limit_(ipc::Event::timer<&Task::on_limit>(this, owner.shared_.loop.base())) {}

    void begin(http::Exchange& exchange) { passing_.begin(exchange); }
    [[nodiscard]] CgiPassing& passing() noexcept { return passing_; }
    [[nodiscard]] const ipc::PoolTask& member() const noexcept { return task_; }

 private:
    void on_ready(CgiPassing&) override {
        switch (owner_.queue_.ask(*this, task_)) {
            case execution::PoolQueue::Asked::given: return work();
            case execution::PoolQueue::Asked::queued: return;
            case execution::PoolQueue::Asked::full: return refuse("the pool's queue is full");
        }
    }
    void on_member(const ipc::PoolTask& task) override {
        task_ = task;
        work();
    }
    void on_late() override { refuse("the task waited too long for its pool"); }

    void refuse(std::string_view why) {
        passing_.exchange().response.add_field("Retry-After", retry_after);
        passing_.refuse(503, why);
    }

    void work() {
        at_work_ = true;
        begun_us_ = ipc::monotonic_us();
        limit_.arm(owner_.pool_.timeout);
        passing_.ask({.upstream = owner_.upstream_,
                      .ticket = owner_.upstream_.admit().ticket,
                      .bound = &owner_.upstream_.peers()[task_.member]});
    }

    void on_limit(short) {
        owner_.shared_.loop.enter();
        overdue_ = true;
        passing_.give_up(too_long);
    }

    void on_failure(CgiPassing&, const upstream::Failure& failure) override {
        failed_ = true;
        if (failure.kind == ipc::CallFailure::reset || failure.kind == ipc::CallFailure::connect)
            counters().died.add_shared();
        owner_.log_failure(*this, failure);
    }

    void on_over(CgiPassing&) override {
        limit_.disarm();
        owner_.queue_.leave(*this);
        if (std::exchange(at_work_, false)) give_back();
        overdue_ = failed_ = false;
        owner_.take_back(*this);
    }

    void give_back() {
        const auto now = ipc::monotonic_ms();
        counters().busy_us.add_shared(ipc::monotonic_us() - begun_us_);
        counters().over.add_shared();
        if (overdue_) {
            counters().timeouts.add_shared();
            owner_.queue_.table().overdue(task_, now);
        } else if (passing_.whole()) {
            owner_.queue_.release(task_);
        } else {
            if (!failed_) counters().aborted.add_shared();
            owner_.queue_.table().give_up(task_, now);
        }
    }

    [[nodiscard]] ipc::PoolTable::Counters& counters() noexcept {
        return owner_.queue_.table().counters(owner_.queue_.pool());
    }

    PoolRoute& owner_;
    CgiPassing passing_;
    ipc::PoolTask task_;
    ipc::Event limit_;
    std::uint64_t begun_us_ = 0;
    bool at_work_ = false;  ///< a member is ours
    bool overdue_ = false, failed_ = false;
};

conf::Route PoolRoute::terms_of(const conf::Route& route) {
    conf::Route own = route;
    own.proxy = upstream::task_terms(route.proxy);
    return own;
}

PoolRoute::PoolRoute(const conf::Route& route, const conf::Pool& pool, upstream::Upstreams& upstreams,
                     connection::Buffers& buffers, execution::PoolQueue& queue, const Facts& facts,
                     execution::Loop& loop)
    : route_(terms_of(route)),
      pool_(pool),
      members_(upstream::members_of(pool, queue.table(), queue.pool())),
      queue_(queue),
      shared_(route_, upstreams, buffers, facts, loop),
      upstream_(members_, loop, nullptr, nullptr) {
    upstream::name_members(upstream_, pool);
}

PoolRoute::~PoolRoute() = default;

void PoolRoute::handle(http::Exchange& exchange) {
    std::unique_ptr<Task> task;
    if (spare_.empty()) {
        task = std::make_unique<Task>(*this);
    } else {
        task = std::move(spare_.back());
        spare_.pop_back();
    }
    task.release()->begin(exchange);  // it comes back by `take_back`
}

std::optional<jobs::StoredRequest> PoolRoute::as_job(const http::Exchange& exchange) {
    constexpr unsigned id_words = 2;
    Script script;
    shared_.scripts.find(exchange.request.target.path, script);
    if (script.refusal != 0) return std::nullopt;
    std::string id;
    if (route_.proxy.request_id && !exchange.request.has(http::Known::x_request_id))
        shared_.ids.append_hex(id, id_words);
    jobs::StoredRequest request;
    request.wire = jobs::StoredRequest::Wire::fastcgi;
    shared_.params.append(request.head, exchange,
                          {.script = script,
                           .document_root = shared_.scripts.peer_root(),
                           .local = exchange.local(),
                           .body_bytes = std::nullopt,
                           .request_id = id,
                           .of_job = true});
    request.hidden = fmt::format("{}", fmt::join(route_.proxy.hide_header, ","));
    return request;
}

void PoolRoute::log_failure(Task& task, const upstream::Failure& failure) {
    const std::uint64_t now = shared_.loop.clock().now_us();
    if (told_us_ != 0 && now - told_us_ < task_failure_told_every_us) {
        ++untold_;
        return;
    }
    spdlog::error("pool task failed route={} pool={} member={} why={:?} request={:?} id={:?} more_untold={}",
                  route_.name, pool_.name, task.member().member, failure.reason,
                  task.passing().exchange().request.begin_of_line(), task.passing().request_id(), untold_);
    told_us_ = now;
    untold_ = 0;
}

void PoolRoute::take_back(Task& task) {
    std::unique_ptr<Task> over(&task);
    if (spare_.size() < spare_tasks_max) return spare_.push_back(std::move(over));
    if (leaving_.empty()) shared_.loop.after_turn([this] { leaving_.clear(); });
    leaving_.push_back(std::move(over));
}

}  // namespace worker::handler
