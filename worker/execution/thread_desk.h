// worker/execution/thread_desk.h: where a loop gets back what it gave to pools of threads.
#pragma once

#include <memory>

#include "worker/execution/loop.h"
#include "worker/execution/mailbox.h"

namespace worker::execution {

/// One a loop, for all pools. What is still under way when it goes is never told. Loop thread only.
class ThreadDesk {
 public:
    /// `loop` must outlive it, and it all errands of its loop.
    explicit ThreadDesk(Loop& loop) : mail_(std::make_shared<Mailbox>()) { mail_->attach(loop); }
    ThreadDesk(const ThreadDesk&) = delete;
    ThreadDesk& operator=(const ThreadDesk&) = delete;
    ~ThreadDesk() { mail_->detach(); }

    /// A thread that comes back late still finds it: it belongs to whoever may write.
    [[nodiscard]] const std::shared_ptr<Mailbox>& mail() const noexcept { return mail_; }

 private:
    std::shared_ptr<Mailbox> mail_;
};

}  // namespace worker::execution
