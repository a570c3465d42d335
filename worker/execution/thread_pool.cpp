#include "worker/execution/thread_pool.h"

#include <utility>

#include "worker/execution/thread_core.h"

namespace worker::execution {

ipc::Result<std::unique_ptr<ThreadPool>> ThreadPool::start(Limits limits, Account account, Lodging lodging) {
    auto core = std::make_shared<ThreadCore>(std::move(limits), account, std::move(lodging));
    std::unique_ptr<ThreadPool> pool(new ThreadPool(std::move(core)));  // ends those that were started
    if (auto started = pool->core_->start(); !started) return tl::make_unexpected(std::move(started.error()));
    return pool;
}

ThreadPool::ThreadPool(std::shared_ptr<ThreadCore> core) : core_(std::move(core)) {}

ThreadPool::~ThreadPool() { core_->close(); }

void ThreadPool::submit(Errand& errand, std::shared_ptr<ThreadJob> job) {
    core_->submit(errand, std::move(job));
}

std::string_view ThreadPool::name() const noexcept { return core_->name(); }

ipc::ThreadUse ThreadPool::use() const { return core_->use(); }

void ThreadPool::Errand::cancel() noexcept {
    if (!ticket_) return;
    ticket_->errand = nullptr;
    ticket_->core->cancel(*ticket_);
    ticket_.reset();
}

}  // namespace worker::execution
