#include "worker/handler/thread_work.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "worker/execution/exertion.h"
#include "worker/handler/work.h"

namespace worker::handler {

using execution::ThreadOutcome;

class ThreadWork::Job final : public execution::ThreadJob {
 public:
    Job(const conf::WorkAmount& amount, std::string_view request) : amount_(amount), request_(request) {}
    void run() override { execution::exert(amount_); }
    [[nodiscard]] std::string_view about() const noexcept override { return request_; }
    [[nodiscard]] const conf::WorkAmount& amount() const noexcept { return amount_; }

 private:
    conf::WorkAmount amount_;
    std::string request_;
};

class ThreadWork::Asking final : public execution::ThreadPool::Errand, public http::Streamer {
 public:
    Asking(ThreadWork& owner, http::Exchange& exchange, const conf::WorkAmount& amount)
        : Errand(owner.desk_),
          owner_(owner),
          exchange_(exchange),
          amount_(amount),
          job_(std::make_shared<Job>(amount, exchange.request.begin_of_line())) {}

    void begin() {
        exchange_.streamer = this;
        owner_.pool_.submit(*this, std::move(job_));
    }

 private:
    void on_over(ThreadOutcome outcome) override {
        exchange_.streamer = nullptr;  // an error page may be longer under way than this is there
        switch (outcome) {
            case ThreadOutcome::done: answer_work(exchange_, amount_); break;
            case ThreadOutcome::threw: exchange_.refuse(500); break;
            case ThreadOutcome::full:
            case ThreadOutcome::late:
                exchange_.response.add_field("Retry-After", "1");
                exchange_.refuse(503);
                break;
            case ThreadOutcome::overdue: exchange_.refuse(504); break;
        }
        owner_.put_aside(*this);
    }
    void on_body(std::string_view) override {}
    void on_body_end() override {}
    void on_room() override {}
    void on_gone() override {
        cancel();
        owner_.put_aside(*this);
    }

    ThreadWork& owner_;
    http::Exchange& exchange_;
    conf::WorkAmount amount_;
    std::shared_ptr<Job> job_;
};

ThreadWork::ThreadWork(const conf::Work& work, execution::ThreadPool& pool, execution::ThreadDesk& desk,
                       execution::Loop& loop)
    : work_(work), pool_(pool), desk_(desk), loop_(loop) {}

ThreadWork::~ThreadWork() = default;

void ThreadWork::handle(http::Exchange& exchange) {
    asking_.push_back(std::make_unique<Asking>(*this, exchange, work_amount(work_, exchange)));
    asking_.back()->begin();
}

void ThreadWork::put_aside(Asking& asking) {
    const auto here =
        std::find_if(asking_.begin(), asking_.end(), [&](const auto& one) { return one.get() == &asking; });
    if (leaving_.empty()) loop_.after_turn([this] { leaving_.clear(); });
    leaving_.push_back(std::move(*here));
    std::swap(*here, asking_.back());
    asking_.pop_back();
}

}  // namespace worker::handler
