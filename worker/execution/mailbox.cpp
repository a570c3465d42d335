#include "worker/execution/mailbox.h"

#include <sys/eventfd.h>

#include <cstdlib>

namespace worker::execution {

Mailbox::Mailbox() : bell_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    if (!bell_) std::abort();
}

Mailbox::~Mailbox() = default;

void Mailbox::attach(Loop& loop) {
    loop_ = &loop;
    rung_ = ipc::Event::calling<&Mailbox::on_mail>(this, loop.base(), bell_.get(), EV_READ | EV_PERSIST);
    rung_.arm();
}

void Mailbox::detach() {
    rung_ = ipc::Event();
    loop_ = nullptr;
}

void Mailbox::put(std::unique_ptr<Sealed> letter) {
    {
        const std::lock_guard lock(mutex_);
        letters_.push_back(std::move(letter));
        if (letters_.size() > 1) return;  // the loop has been told
    }
    ::eventfd_write(bell_.get(), 1);
}

void Mailbox::on_mail(short) {
    loop_->enter();
    eventfd_t rung = 0;
    ::eventfd_read(bell_.get(), &rung);
    {
        const std::lock_guard lock(mutex_);
        reading_.swap(letters_);
    }
    for (const auto& letter : reading_) letter->open();
    reading_.clear();
}

}  // namespace worker::execution
