// worker/observe/log_file.h: the loops' side of an access log; lines gather here and never wait for a disk.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "ipc/unique_fd.h"

namespace worker::observe {

/// Whole lines on their way to a file.
struct LogBatch {
    std::string text;
    std::uint64_t lines = 0;
};

/// What the writer is to do next: write these lines, or go on in this descriptor (none: in the same).
using LogOrder = std::variant<LogBatch, ipc::UniqueFd>;

/// One access log of a process, between its loops and the thread that writes. Made and owned by `LogWriter`.
/// At most `batches_max` buffers are under way; beyond it lines are dropped and counted, nobody waits.
class LogFile {
 public:
    static constexpr std::size_t batch_bytes = 64ull << 10;  ///< handed over when it has grown to this
    static constexpr std::size_t batches_max = 16;

    /// `wake`: an eventfd that outlives this; written to after each hand-over.
    LogFile(std::string name, int wake);

    class Appender;

    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    /// Any thread: lines that were dropped so far, because the disk was full or too slow.
    [[nodiscard]] std::uint64_t lines_lost() const noexcept {
        return lines_lost_.load(std::memory_order_relaxed);
    }

 private:
    friend class LogWriter;

    // loops
    /// Gives `full` to the writer and takes an empty buffer for it; false: `most` are under way already.
    bool hand_over(LogBatch& full, std::size_t most = batches_max);
    /// What was handed over before goes to the old descriptor.
    void reopen(ipc::UniqueFd descriptor);
    void wake() const noexcept;

    // writer
    /// Fills `orders`, which is empty, with all that waits, in order.
    void take(std::vector<LogOrder>& orders);
    void recycle(LogBatch written);
    void lose(std::uint64_t lines) noexcept { lines_lost_.fetch_add(lines, std::memory_order_relaxed); }

    const std::string name_;
    const int wake_;
    std::atomic<std::uint64_t> lines_lost_{0};
    std::atomic<std::uint64_t> reopens_asked_{0};
    std::mutex mutex_;
    std::vector<LogOrder> orders_;
    std::vector<LogBatch> free_;
    std::size_t under_way_ = 0;  ///< batches in `orders_` or with the writer
};

/// One loop's buffer for a log. Loop thread only; must go before the writer closes.
class LogFile::Appender {
 public:
    explicit Appender(LogFile& file);
    Appender(const Appender&) = delete;
    Appender& operator=(const Appender&) = delete;
    /// Hands over what is left, even if that is one buffer more than the bound.
    ~Appender();

    /// Append one line with its newline here, then `commit`.
    [[nodiscard]] std::string& buffer() noexcept { return batch_.text; }
    void commit() {
        ++batch_.lines;
        if (batch_.text.size() >= batch_bytes) hand_over_full();
    }
    /// The same for a line that stands somewhere; without its newline.
    void append(std::string_view line) {
        batch_.text.append(line).push_back('\n');
        commit();
    }
    /// Hands over what there is. False: the writer is too far behind, the lines stay here for now.
    bool flush();

 private:
    void hand_over_full();

    LogFile& file_;
    LogBatch batch_;
};

}  // namespace worker::observe
