// worker/observe/recorder.h: counts every exchange and writes it to its server's access log.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "conf/config.h"
#include "ipc/seat.h"
#include "worker/dispatch/dispatcher.h"
#include "worker/execution/loop.h"
#include "worker/observe/access_log.h"
#include "worker/observe/log_file.h"
#include "worker/observe/log_writer.h"

namespace worker::observe {

/// One loop's. What it writes waits in memory for at most a second.
class Recorder final : public dispatch::Recorder {
 public:
    /// All must outlive it; `writer` has the files of `conf::access_log_paths(config)`.
    /// Counts in the desk's cell.
    Recorder(const conf::Config& config, LogWriter& writer, execution::Loop& loop, const ipc::Desk& desk);

    void record(const http::Exchange& exchange) override;
    /// Hands all lines to the writer.
    void flush();

 private:
    /// Where the requests of one server go.
    struct Log {
        AccessFormat format;
        LogFile::Appender* appender;
    };

    void count(const http::Exchange& exchange, std::uint64_t took_us);
    [[nodiscard]] ipc::RouteCell& cell_of(const http::Exchange& exchange) noexcept;
    void write(Log& log, const http::Exchange& exchange, std::uint64_t took_us);
    void on_flush(short what);

    execution::Loop& loop_;
    const conf::Config& config_;
    LogWriter& writer_;
    LogClock clock_;
    std::vector<ipc::RouteCell*> routes_;      ///< by route; last: requests of none
    std::deque<LogFile::Appender> appenders_;  ///< one a file
    std::vector<std::optional<Log>> logs_;     ///< by server; none: off
    ipc::Event flush_;
};

}  // namespace worker::observe
