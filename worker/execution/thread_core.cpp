// worker/execution/thread_core.cpp: a job is taken by a thread, or refused by the watcher, under one mutex;
// whoever does it tells.
#include "worker/execution/thread_core.h"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <limits>
#include <string>
#include <system_error>

#include "ipc/clock.h"

namespace worker::execution {
namespace {

constexpr std::chrono::milliseconds leave_time{500};  ///< for jobs that run when the process leaves
constexpr std::uint64_t add_again_us = 1'000'000;
constexpr std::uint64_t never = std::numeric_limits<std::uint64_t>::max();

std::uint64_t as_us(std::chrono::milliseconds time) {
    return static_cast<std::uint64_t>(std::chrono::microseconds(time).count());
}

/// A thread begins with the signals blocked that whoever starts it blocks: they are for others. Faults come
/// all the same.
class AllSignalsBlocked {
 public:
    AllSignalsBlocked() {
        sigset_t all;
        ::sigfillset(&all);
        for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS, SIGTRAP}) ::sigdelset(&all, fault);
        ::pthread_sigmask(SIG_BLOCK, &all, &before_);
    }
    AllSignalsBlocked(const AllSignalsBlocked&) = delete;
    AllSignalsBlocked& operator=(const AllSignalsBlocked&) = delete;
    ~AllSignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
    sigset_t before_{};
};

/// In the thread itself, or of another that has been writing for long: the bytes stay until its job is over.
std::string printable(std::string_view from) {
    std::string text(from);
    std::replace_if(
        text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
    return text;
}

/// " module=numbers handler=primes", if it is a module's.
std::string module_of(const ThreadPool::Note& note) {
    const std::string module = printable(note.module.get());
    return module.empty() ? module : " module=" + module;
}

/// False: an exception came out.
bool run(ThreadJob& job, const std::string& pool) {
    try {
        job.run();
        return true;
    } catch (const std::exception& error) {
        spdlog::error("a task of a thread failed pool={} about={:?} why={:?}", pool, job.about(),
                      error.what());
    } catch (...) {
        spdlog::error("a task of a thread failed pool={} about={:?} why=\"no std::exception\"", pool,
                      job.about());
    }
    return false;
}

}  // namespace

ThreadCore::ThreadCore(ThreadPool::Limits limits, const ThreadPool::Account& account,
                       ThreadPool::Lodging lodging)
    : limits_(std::move(limits)),
      timeout_us_(as_us(limits_.timeout)),
      account_(account),
      lodging_(std::move(lodging)),
      line_(limits_.queue_timeout) {}

ipc::Result<void> ThreadCore::start() {
    const Lock lock(mutex_);
    while (threads_ < limits_.threads)
        if (!add_thread()) return ipc::failure("could not start a thread of pool " + limits_.name);
    account_.table.counters(account_.pool).started.add_shared(threads_);
    try {
        const AllSignalsBlocked blocked;
        watcher_ = std::thread([this] { watch(); });
    } catch (const std::system_error&) {
        return ipc::failure("could not start the thread that watches pool " + limits_.name);
    }
    publish();
    return {};
}

void ThreadCore::close() {
    std::vector<Ticket> forgotten;
    {
        Lock lock(mutex_);
        while (StandingLine::Place* place = line_.next(0, 0)) {
            line_.leave(*place);
            auto& ticket = static_cast<ThreadTicket&>(*place);
            ticket.state = ThreadTicket::State::over;
            forgotten.push_back(std::move(ticket.waiting));
        }
        publish();
        closed_ = true;
        work_came_.notify_all();
        look_earlier_.notify_all();
        thread_left_.wait_for(lock, leave_time, [this] { return threads_ == stuck_; });
        if (threads_ > 0)
            spdlog::warn("threads are left behind pool={} threads={} stuck={}", limits_.name, threads_,
                         stuck_);
    }
    if (watcher_.joinable()) watcher_.join();
}

void ThreadCore::submit(ThreadPool::Errand& errand, std::shared_ptr<ThreadJob> job) {
    auto ticket = std::make_shared<ThreadTicket>();
    ticket->core = this;
    ticket->errand = &errand;
    ticket->job = std::move(job);
    ticket->mail = errand.desk_.mail();
    errand.ticket_ = ticket;

    const Lock lock(mutex_);
    const auto idle = threads_ - running_.size();
    if (line_.size() >= limits_.queue + idle) {
        ticket->state = ThreadTicket::State::over;
        account_.table.counters(account_.pool).refused_full.add_shared();
        return tell(std::move(ticket), ThreadOutcome::full);
    }
    line_.join(*ticket, ipc::monotonic_us(), usual_us());
    ticket->waiting = ticket;
    publish();
    if (idle > 0) work_came_.notify_one();
    look_by(*line_.due_us());
}

void ThreadCore::cancel(ThreadTicket& ticket) noexcept {
    Ticket taken;                      // it and its job go when the mutex is free again
    std::shared_ptr<ThreadJob> unrun;  // on the loop that gave it
    const Lock lock(mutex_);
    if (ticket.state != ThreadTicket::State::waiting) return;
    line_.leave(ticket);
    ticket.state = ThreadTicket::State::over;
    taken = std::move(ticket.waiting);
    unrun = std::move(ticket.job);
    ticket.mail.reset();
    auto& counters = account_.table.counters(account_.pool);
    counters.left.add_shared();
    counters.waited_us.add_shared(ipc::monotonic_us() - ticket.since_us());
    publish();
}

ipc::ThreadUse ThreadCore::use() const {
    const Lock lock(mutex_);
    return numbers();
}

/// Under the mutex. False: the system has no more.
bool ThreadCore::add_thread() {
    try {
        const AllSignalsBlocked blocked;
        std::thread([self = shared_from_this()] {
            ThreadPool::Note note;
            note.pool = self->limits_.name;
            if (self->lodging_)
                self->lodging_(note, [&] { self->live(note); });
            else
                self->live(note);
        }).detach();
    } catch (const std::system_error&) {
        return false;
    }
    ++threads_;
    return true;
}

/// A thread's life.
void ThreadCore::live(ThreadPool::Note& note) {
    ::prctl(PR_SET_NAME, ("pool " + limits_.name).substr(0, 15).c_str());
    Lock lock(mutex_);
    for (;;) {
        work_came_.wait(lock, [this] { return closed_ || surplus() || line_.size() > 0; });
        if (closed_ || surplus()) break;
        if (Ticket ticket = take()) work(lock, note, std::move(ticket));
    }
    --threads_;
    publish();
    thread_left_.notify_all();
}

/// Under the mutex. None: nobody waits any more.
ThreadCore::Ticket ThreadCore::take() {
    const auto now = ipc::monotonic_us();
    refuse_late(now);  // the watcher may be a little behind
    StandingLine::Place* next = line_.next(now, usual_us());
    if (next == nullptr) return nullptr;
    line_.leave(*next);
    Ticket ticket = std::exchange(static_cast<ThreadTicket&>(*next).waiting, nullptr);
    ticket->state = ThreadTicket::State::running;
    account_.table.counters(account_.pool).waited_us.add_shared(now - ticket->since_us());
    return ticket;
}

/// Comes with the mutex, and goes with it.
void ThreadCore::work(Lock& lock, ThreadPool::Note& note, Ticket ticket) {
    auto job = std::move(ticket->job);
    const auto begun = ipc::monotonic_us();
    const auto here = running_.insert(running_.end(), Run{note, begun, ticket});
    account_.table.counters(account_.pool).tasks.add_shared();
    look_by(begun + timeout_us_);
    publish();
    lock.unlock();

    note.about.set(job->about());
    note.module.set(job->module());
    const auto outcome = run(*job, limits_.name) ? ThreadOutcome::done : ThreadOutcome::threw;
    note.about.clear();
    note.module.clear();

    lock.lock();
    const bool was_stuck = here->stuck;
    running_.erase(here);
    if (was_stuck)
        --stuck_;
    else
        count_over(ipc::monotonic_us() - begun, outcome == ThreadOutcome::threw);
    ticket->state = ThreadTicket::State::over;
    publish();
    lock.unlock();
    if (was_stuck) spdlog::info("a thread that was stuck is back pool={}", limits_.name);
    job.reset();
    if (!was_stuck) tell(std::move(ticket), outcome);
    lock.lock();
}

/// The life of the thread that watches the time.
void ThreadCore::watch() {
    ::prctl(PR_SET_NAME, "pool watch");
    Lock lock(mutex_);
    while (!closed_) {
        look(ipc::monotonic_us());
        const auto now = ipc::monotonic_us();
        if (look_us_ == never)
            look_earlier_.wait(lock);
        else if (look_us_ > now)
            look_earlier_.wait_for(lock, std::chrono::microseconds(look_us_ - now));
    }
}

/// Under the mutex.
void ThreadCore::look(std::uint64_t now) {
    refuse_late(now);
    for (Run& one : running_)
        if (!one.stuck && one.begun_us + timeout_us_ <= now) give_up(one);
    while (short_of() && may_add_us_ <= now) {
        if (add_thread()) {
            account_.table.counters(account_.pool).started.add_shared();
            continue;
        }
        spdlog::error("could not start a thread pool={} threads={}", limits_.name, threads_);
        may_add_us_ = now + add_again_us;
    }
    publish();
    look_us_ = short_of() ? may_add_us_ : never;
    if (const auto due = line_.due_us()) look_us_ = std::min(look_us_, *due);
    for (const Run& one : running_)
        if (!one.stuck) look_us_ = std::min(look_us_, one.begun_us + timeout_us_);
}

/// Under the mutex.
void ThreadCore::refuse_late(std::uint64_t now) {
    auto& counters = account_.table.counters(account_.pool);
    while (StandingLine::Place* late = line_.late(now)) {
        line_.leave(*late);
        Ticket ticket = std::exchange(static_cast<ThreadTicket&>(*late).waiting, nullptr);
        ticket->state = ThreadTicket::State::over;
        counters.refused_late.add_shared();
        counters.waited_us.add_shared(now - ticket->since_us());
        tell(std::move(ticket), ThreadOutcome::late);
    }
}

/// Under the mutex: nothing ends a thread, so its place is given to another.
void ThreadCore::give_up(Run& run) {
    run.stuck = true;
    ++stuck_;
    run.ticket->state = ThreadTicket::State::over;
    account_.table.counters(account_.pool).timeouts.add_shared();
    count_over(timeout_us_, false);
    tell(std::move(run.ticket), ThreadOutcome::overdue);
    spdlog::warn("a task of a thread takes too long pool={} about={:?}{} limit_ms={} stuck={} threads={}",
                 limits_.name, printable(run.note.about.get()), module_of(run.note), limits_.timeout.count(),
                 stuck_, threads_);
}

/// Under the mutex: the watcher has to look then, or before.
void ThreadCore::look_by(std::uint64_t due_us) {
    if (due_us >= look_us_) return;
    look_us_ = due_us;
    look_earlier_.notify_one();
}

/// Under the mutex.
void ThreadCore::count_over(std::uint64_t took_us, bool threw) {
    busy_us_ += took_us;
    ++over_;
    if (closed_) return;
    auto& counters = account_.table.counters(account_.pool);
    counters.busy_us.add_shared(took_us);
    counters.over.add_shared();
    if (threw) counters.threw.add_shared();
}

/// Under the mutex.
void ThreadCore::publish() {
    if (!closed_) account_.table.set_threads(account_.pool, account_.row, numbers());
}

/// Under the mutex.
ipc::ThreadUse ThreadCore::numbers() const noexcept {
    return {threads_, static_cast<std::uint32_t>(running_.size()), stuck_,
            static_cast<std::uint32_t>(line_.size())};
}

/// With the mutex or without; once a ticket.
void ThreadCore::tell(Ticket ticket, ThreadOutcome outcome) {
    const auto mail = std::move(ticket->mail);
    mail->post([ticket = std::move(ticket), outcome] {
        ticket->job.reset();
        ThreadPool::Errand* errand = ticket->errand;
        if (errand == nullptr) return;
        errand->ticket_ = nullptr;
        errand->on_over(outcome);
    });
}

}  // namespace worker::execution
