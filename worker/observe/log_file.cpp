#include "worker/observe/log_file.h"

#include <unistd.h>

#include <limits>

namespace worker::observe {

namespace {

constexpr std::size_t reserve_bytes = LogFile::batch_bytes + (16ull << 10);  // the last line overshoots
constexpr std::size_t kept_bytes_max = 4 * LogFile::batch_bytes;  // of a buffer that huge lines blew up

LogBatch make_batch() {
    LogBatch batch;
    batch.text.reserve(reserve_bytes);
    return batch;
}

}  // namespace

LogFile::LogFile(std::string name, int wake) : name_(std::move(name)), wake_(wake) {
    orders_.reserve(batches_max + 1);
    free_.reserve(batches_max);
}

bool LogFile::hand_over(LogBatch& full, std::size_t most) {
    {
        const std::lock_guard lock(mutex_);
        if (under_way_ >= most) return false;
        ++under_way_;
        orders_.emplace_back(std::move(full));
        if (free_.empty()) {
            full = make_batch();
        } else {
            full = std::move(free_.back());
            free_.pop_back();
        }
    }
    wake();
    return true;
}

void LogFile::reopen(ipc::UniqueFd descriptor) {
    reopens_asked_.fetch_add(1, std::memory_order_relaxed);
    const std::lock_guard lock(mutex_);
    orders_.emplace_back(std::move(descriptor));
}

void LogFile::wake() const noexcept {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written =
        ::write(wake_, &one, sizeof one);  // fails only when it is awake already
}

void LogFile::take(std::vector<LogOrder>& orders) {
    const std::lock_guard lock(mutex_);
    orders.swap(orders_);
}

void LogFile::recycle(LogBatch written) {
    if (written.text.capacity() > kept_bytes_max) written = make_batch();
    written.text.clear();
    written.lines = 0;
    const std::lock_guard lock(mutex_);
    --under_way_;
    free_.push_back(std::move(written));
}

LogFile::Appender::Appender(LogFile& file) : file_(file), batch_(make_batch()) {}

LogFile::Appender::~Appender() {
    if (!batch_.text.empty()) file_.hand_over(batch_, std::numeric_limits<std::size_t>::max());
}

bool LogFile::Appender::flush() { return batch_.text.empty() || file_.hand_over(batch_); }

void LogFile::Appender::hand_over_full() {
    if (file_.hand_over(batch_)) return;
    file_.lose(batch_.lines);
    batch_.text.clear();
    batch_.lines = 0;
}

}  // namespace worker::observe
