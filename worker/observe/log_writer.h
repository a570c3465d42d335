// worker/observe/log_writer.h: the thread that writes all access logs of a process.
#pragma once

#include <poll.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "ipc/result.h"
#include "ipc/unique_fd.h"
#include "worker/observe/log_file.h"
#include "worker/observe/log_sink.h"

namespace worker::observe {

/// Writes what loops hand over, each log in order, the logs independent of each other. Start it after `fork`.
/// A disk that is full costs lines, which are counted; the lines that come later are tried again.
class LogWriter {
 public:
    /// A log to write: a descriptor opened for appending, and what the error log calls it.
    struct Target {
        ipc::UniqueFd descriptor;
        std::string name;
    };

    /// `patience`: how long a reopen or `close` waits for a pipe that nobody reads before its lines are
    /// dropped. Without targets there is no thread.
    [[nodiscard]] static ipc::Result<std::unique_ptr<LogWriter>> start(
        std::vector<Target> targets, std::chrono::milliseconds patience = std::chrono::seconds(1));

    LogWriter(const LogWriter&) = delete;
    LogWriter& operator=(const LogWriter&) = delete;
    ~LogWriter() { close(); }

    [[nodiscard]] std::size_t files() const noexcept { return lanes_.size(); }
    /// In the order of the targets; lives as long as this.
    [[nodiscard]] LogFile& file(std::size_t index) noexcept { return lanes_[index].file; }
    /// Any thread: the sum over all files.
    [[nodiscard]] std::uint64_t lines_lost() const noexcept;
    /// Any thread: those of them that nobody has been told of yet.
    [[nodiscard]] std::uint64_t lines_lost_untold() noexcept;

    /// One descriptor a file, in order; where one is missing or invalid, that file goes on as it is.
    /// What appenders flushed before goes to the old descriptors, which are then closed. One loop calls this.
    void reopen(std::vector<ipc::UniqueFd> descriptors);
    /// Readable (an eventfd) once a reopen is done for all files; `reopens_done` takes and counts them.
    [[nodiscard]] int done_fd() const noexcept { return done_.get(); }
    [[nodiscard]] std::uint64_t reopens_done() noexcept;

    /// Writes all that was handed over and ends the thread. Appenders must be gone. Again: does nothing.
    void close();

 private:
    using Clock = std::chrono::steady_clock;

    /// A file and how far the thread has come with it; only `file` is shared.
    struct Lane {
        Lane(Target target, int wake)
            : file(std::move(target.name), wake), sink(std::move(target.descriptor)) {}

        LogFile file;
        LogSink sink;
        std::vector<LogOrder> orders;
        std::size_t next = 0;                      ///< the order at hand
        std::string_view rest;                     ///< of the batch at hand; empty: not begun
        std::uint64_t reopens = 0;                 ///< done
        std::optional<Clock::time_point> give_up;  ///< blocked while a reopen or the end waits: until then
        std::optional<Clock::time_point> complained;
    };

    LogWriter(std::chrono::milliseconds patience, ipc::UniqueFd wake, ipc::UniqueFd done);
    void start_thread();

    // the thread
    void run();
    /// Does what waits; true: stopped at a descriptor that takes no more for now.
    bool advance(Lane& lane);
    bool write(Lane& lane, const LogBatch& batch);
    void lose_rest(Lane& lane, int why);
    bool may_wait(Lane& lane);
    void report_reopens();

    const std::chrono::milliseconds patience_;
    const ipc::UniqueFd wake_, done_;
    std::deque<Lane> lanes_;  ///< none is added once the thread runs
    std::uint64_t reopens_reported_ = 0;
    std::atomic<std::uint64_t> lost_told_{0};
    std::atomic<bool> closing_{false};
    std::thread thread_;
};

}  // namespace worker::observe
