// master/pool_output.h: what the processes of a pool write to their standard output and error, in our log.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "ipc/event.h"
#include "ipc/unique_fd.h"

namespace master {

/// How many lines a pool may have in the log: so many a second, and some more at once.
class LineBudget {
 public:
    static constexpr std::uint64_t per_second = 50;
    static constexpr std::uint64_t burst = 200;

    /// Whether one more may be written. If not it is counted.
    [[nodiscard]] bool take(std::uint64_t now_ms) noexcept;
    /// How many were not written since the last that was.
    [[nodiscard]] std::uint64_t take_untold() noexcept;

 private:
    std::uint64_t spent_until_ms_ = 0;  ///< as GCRA has it: when all that was taken would be due
    std::uint64_t untold_ = 0;
};

/// The reading end of one process's pipe. Whoever writes much is slowed down, but never waits for long: 64
/// KiB are read at once, and then again after a tenth of a second; what the log has no room for is counted.
class PoolOutput {
 public:
    using OnLine = std::function<void(std::string_view line)>;
    static constexpr std::size_t line_max = 1024;  ///< longer ones come in pieces

    PoolOutput(event_base& loop, ipc::UniqueFd pipe, OnLine on_line);
    PoolOutput(const PoolOutput&) = delete;
    PoolOutput& operator=(const PoolOutput&) = delete;

    /// Takes what is there; its process has ended.
    void drain();

 private:
    void on_readable(short what);
    void on_rested(short what);
    /// False: nothing more is there now.
    bool read_some();
    void take(std::string_view bytes);
    void end_line();

    ipc::UniqueFd pipe_;
    OnLine on_line_;
    std::string line_;
    ipc::Event readable_, rested_;
};

}  // namespace master
