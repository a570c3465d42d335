#include "worker/jobs/batcher.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "ipc/clock.h"
#include "worker/jobs/codec.h"
#include "worker/jobs/unix_clock.h"

namespace worker::jobs {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds idle_time{50};                          ///< after which the store may tidy up
constexpr milliseconds tidy_time{1000};                        ///< and from one piece of that to the next
constexpr std::uint64_t told_every_ms = 1000;                  ///< failures in the log
constexpr milliseconds first_pause{100}, longest_pause{1000};  ///< between batches that fail

bool stands_alone(const Operation& operation) {
    return std::holds_alternative<Purge>(operation) || std::holds_alternative<Expire>(operation) ||
           std::holds_alternative<Recover>(operation);
}

template <class T>
std::vector<T> cut_off(std::vector<T>& from, std::size_t count) {
    if (count >= from.size()) return std::exchange(from, {});
    const auto end = from.begin() + static_cast<std::ptrdiff_t>(count);
    std::vector<T> first(std::make_move_iterator(from.begin()), std::make_move_iterator(end));
    from.erase(from.begin(), end);
    return first;
}

}  // namespace

void Batcher::Waiting::add(Operation&& operation, Answered&& answered, std::uint64_t until,
                           std::size_t its_bytes) {
    operations.push_back(std::move(operation));
    answers.push_back(std::move(answered));
    until_ms.push_back(until);
    first_until_ms = std::min(first_until_ms, until);
    ++pending;
    bytes += its_bytes;
}

void Batcher::Waiting::forget(const Operation& operation) noexcept {
    --pending;
    bytes -= std::min(bytes, weight(operation));
}

void Batcher::Waiting::note(bool stored, std::uint64_t now) noexcept {
    pause = stored ? milliseconds(0) : std::clamp(pause * 2, first_pause, longest_pause);
    not_before_ms = stored ? 0 : now + static_cast<std::uint64_t>(pause.count());
}

Batcher::Waiting Batcher::Waiting::take(std::size_t operations_max, std::size_t bytes_max) {
    std::size_t count = 0, taken = 0;
    for (; count < operations.size() && count < operations_max; ++count) {
        taken += weight(operations[count]);
        if (count > 0 && (taken > bytes_max || stands_alone(operations[count]))) break;
        if (stands_alone(operations[count])) operations_max = 1;
    }
    Waiting batch;
    batch.operations = cut_off(operations, count);
    batch.answers = cut_off(answers, count);
    (void)cut_off(until_ms, count);
    return batch;
}

Batcher::Waiting Batcher::Waiting::take_late(std::uint64_t now) {
    Waiting late, kept;
    for (std::size_t at = 0; at < operations.size(); ++at) {
        Waiting& where = until_ms[at] <= now ? late : kept;
        where.operations.push_back(std::move(operations[at]));
        where.answers.push_back(std::move(answers[at]));
        where.until_ms.push_back(until_ms[at]);
        where.first_until_ms = std::min(where.first_until_ms, until_ms[at]);
    }
    operations = std::move(kept.operations);
    answers = std::move(kept.answers);
    until_ms = std::move(kept.until_ms);
    first_until_ms = kept.first_until_ms;
    for (const auto& operation : late.operations) forget(operation);
    return late;
}

Batcher::Batcher(execution::Loop& loop, Tally& tally, const Bounds& bounds)
    : loop_(loop),
      tally_(tally),
      bounds_(bounds),
      again_(ipc::Event::timer<&Batcher::on_again>(this, loop.base())) {
    mailbox_.attach(loop);
    thread_ = std::thread([this] { live(); });
}

Batcher::~Batcher() {
    {
        const std::lock_guard lock(mutex_);
        over_ = true;
    }
    rung_.notify_one();
    thread_.join();
    mailbox_.detach();
}

void Batcher::open(Open open, std::function<void(const ipc::Result<void>&)> done) {
    if (state_ != State::closed) return;
    state_ = State::opening;
    opened_ = std::move(done);
    give({.open = std::move(open), .batch = {}});
}

void Batcher::close(std::function<void()> done) {
    closed_ = std::move(done);
    if (state_ == State::closed) {
        loop_.after_turn([this] { on_closed(); });
        return;
    }
    if (std::exchange(state_, State::closing) == State::open) next();
}

void Batcher::submit_until(Operation operation, std::uint64_t until_ms, Answered answered) {
    const auto bytes = weight(operation);
    const bool reads = only_reads(operation);
    Waiting& of = reads ? reading_ : changing_;
    if (state_ != State::open) {
        refuse(std::move(operation), std::move(answered), "the store of jobs is not open");
        return;
    }
    if (of.pending >= bounds_.operations ||
        of.bytes + bytes > (reads ? bounds_.reading_bytes : bounds_.bytes)) {
        tally_.cell().overflows.add();
        refuse(std::move(operation), std::move(answered), "too much waits for the store of jobs");
        return;
    }
    auto until = until_ms == 0 ? never : until_ms;
    if (const auto wait = static_cast<std::uint64_t>(bounds_.wait.count()); wait != 0)
        until = std::min(until, ipc::monotonic_ms() + wait);
    of.add(std::move(operation), std::move(answered), until, bytes);
    next();
}

void Batcher::refuse(Operation&& operation, Answered&& answered, const char* why) {
    struct Refused {
        Operation operation;
        Answered answered;
        ipc::Error why;
    };
    auto refused = std::make_shared<Refused>(Refused{std::move(operation), std::move(answered), {why, {}}});
    loop_.after_turn([refused] { refused->answered(std::move(refused->operation), &refused->why); });
}

/// Nobody is surprised by what happens long after it was given up.
void Batcher::refuse_late(Waiting& of, std::uint64_t now) {
    if (of.first_until_ms > now) return;
    auto late = of.take_late(now);
    for (std::size_t i = 0; i < late.operations.size(); ++i)
        refuse(std::move(late.operations[i]), std::move(late.answers[i]), "the store of jobs takes too long");
}

void Batcher::on_again(short) {
    loop_.enter();
    next();
}

/// What is next for the thread, if it is free. Whoever only reads waits for one batch of the others at most.
void Batcher::next() {
    if (busy_ || (state_ != State::open && state_ != State::closing)) return;
    const bool last = state_ == State::closing;
    const auto now = ipc::monotonic_ms();
    refuse_late(changing_, now);
    refuse_late(reading_, now);
    const auto at = last ? ~std::uint64_t{0} : now;
    bool changes = changing_.due(at);
    const bool reads = reading_.due(at);
    if (changes && !last) {
        if (const auto rest_us = gathering_.rest_us(changing_.operations.size(), ipc::monotonic_us());
            rest_us > 0) {
            again_.arm(milliseconds((rest_us + 999) / 1000));
            if (!reads) return;
            changes = false;
        }
    }
    if (!changes && !reads) {
        if (last) return give({.open = {}, .batch = {}, .close = true});
        auto due = ~std::uint64_t{0};
        for (const auto* one : {&changing_, &reading_})
            if (!one->operations.empty()) due = std::min(due, one->not_before_ms);
        if (due != ~std::uint64_t{0}) again_.arm(milliseconds(due - now));
        return;
    }
    read_last_ = reads && !(changes && read_last_);
    auto batch = read_last_ ? reading_.take(bounds_.read_operations, bounds_.read_bytes)
                            : changing_.take(bounds_.batch_operations, bounds_.batch_bytes);
    under_way_ = std::move(batch.answers);
    give({.open = {}, .batch = std::move(batch.operations)});
}

void Batcher::give(Order order) {
    busy_ = true;
    {
        const std::lock_guard lock(mutex_);
        orders_.push_back(std::move(order));
    }
    rung_.notify_one();
}

void Batcher::on_opened(const ipc::Result<void>& opened) {
    busy_ = false;
    const bool wanted = state_ == State::opening;
    state_ = !opened ? State::closed : wanted ? State::open : State::closing;
    if (opened)
        tally_.note_able();
    else if (opened.error().why != std::errc::device_or_resource_busy)
        tally_.note_unable(opened.error().text());
    if (auto done = std::exchange(opened_, {}); done && (wanted || !opened)) done(opened);
    if (state_ == State::closed && closed_) return on_closed();
    next();
}

void Batcher::on_stored(std::vector<Operation> batch, const ipc::Result<void>& stored,
                        const StoreFigures& figures, std::uint64_t took_us) {
    busy_ = false;
    Waiting& of = read_last_ ? reading_ : changing_;
    for (const auto& operation : batch) {
        of.forget(operation);
        if (!stored) continue;
        tally_.note(operation);
        if (stored_) stored_(operation);
    }
    tally_.note_batch(batch.size(), static_cast<bool>(stored), took_us, figures);
    // Where nothing had to reach the disk nothing is known of it.
    const bool synced = std::exchange(syncs_, figures.syncs) != figures.syncs;
    if (!stored)
        tally_.note_unable(stored.error().text());
    else if (!read_last_ && (synced || figures.syncs == 0))
        tally_.note_able();
    of.note(static_cast<bool>(stored), ipc::monotonic_ms());
    if (const auto now = ipc::monotonic_ms(); !stored && now - failure_told_ms_ >= told_every_ms) {
        failure_told_ms_ = now;
        spdlog::error("jobs cannot be stored operations={} why={:?}", batch.size(), stored.error().text());
    }
    const auto answers = std::exchange(under_way_, {});
    if (stored && !read_last_)
        gathering_.begin(batch.size(), changing_.operations.size(), bounds_.batch_operations, took_us,
                         ipc::monotonic_us());
    next();  // the thread has something to do while we tell
    for (std::size_t i = 0; i < batch.size(); ++i)
        answers[i](std::move(batch[i]), stored ? nullptr : &stored.error());
}

void Batcher::on_closed() {
    busy_ = false;
    state_ = State::closed;
    if (auto done = std::exchange(closed_, {})) done();
}

/// The thread of the store.
void Batcher::live() {
    std::unique_ptr<Store> store;
    bool tidied = true;
    for (;;) {
        Order order;
        {
            std::unique_lock lock(mutex_);
            const auto asked = [this] { return over_ || !orders_.empty(); };
            if (!store) {
                rung_.wait(lock, asked);
            } else if (!rung_.wait_for(lock, tidied ? tidy_time : idle_time, asked)) {
                lock.unlock();
                store->tidy();
                tidied = true;
                continue;
            }
            if (orders_.empty()) return;  // it is over
            order = std::move(orders_.front());
            orders_.erase(orders_.begin());
        }
        if (order.open) {
            auto opened = order.open();
            if (opened) store = std::move(*opened);
            ipc::Result<void> told;
            if (!opened) told = tl::make_unexpected(std::move(opened.error()));
            mailbox_.post([this, told = std::move(told)] { on_opened(told); });
        } else if (order.close) {
            store.reset();
            mailbox_.post([this] { on_closed(); });
        } else {
            const auto begun_us = ipc::monotonic_us();
            auto stored = store->apply(order.batch, unix_ms());
            const auto figures = store->figures();
            tidied = false;
            mailbox_.post([this, batch = std::move(order.batch), stored = std::move(stored), figures,
                           took_us = ipc::monotonic_us() - begun_us]() mutable {
                on_stored(std::move(batch), stored, figures, took_us);
            });
        }
    }
}

}  // namespace worker::jobs
