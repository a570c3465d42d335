// worker/execution/mailbox.h: lets other threads run something on a loop.
#pragma once

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "ipc/event.h"
#include "ipc/unique_fd.h"
#include "worker/execution/loop.h"

namespace worker::execution {

/// A queue of things to do and an eventfd. It may be written to before a loop reads it and after: what is not
/// read by then is destroyed with it. Bounded by whoever writes: each keeps count of what is under way.
class Mailbox {
 public:
    Mailbox();
    Mailbox(const Mailbox&) = delete;
    Mailbox& operator=(const Mailbox&) = delete;
    ~Mailbox();

    /// Any thread: `work` runs on the loop, in order, or never. It may be moved and not copied.
    template <class Work>
    void post(Work work) {
        put(std::make_unique<Letter<Work>>(std::move(work)));
    }

    /// Thread of the loop: from now on it is the one that reads, until `detach`.
    void attach(Loop& loop);
    void detach();

 private:
    struct Sealed {
        virtual ~Sealed() = default;
        virtual void open() = 0;
    };
    template <class Work>
    struct Letter final : Sealed {
        explicit Letter(Work&& written) : work(std::move(written)) {}
        void open() override { work(); }
        Work work;
    };

    void put(std::unique_ptr<Sealed> letter);
    void on_mail(short what);

    ipc::UniqueFd bell_;  ///< eventfd
    std::mutex mutex_;
    std::vector<std::unique_ptr<Sealed>> letters_;  ///< under the mutex
    std::vector<std::unique_ptr<Sealed>> reading_;
    Loop* loop_ = nullptr;
    ipc::Event rung_;
};

}  // namespace worker::execution
