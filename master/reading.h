// master/reading.h: a configuration read and checked in a child, so that nothing of it can hurt the master.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "ipc/event.h"
#include "ipc/result.h"
#include "ipc/unique_fd.h"
#include "master/child.h"
#include "master/plan.h"

namespace master {

/// What came of reading a configuration.
struct Found {
    Plan plan;
    ipc::UniqueFd text;               ///< a sealed file: the whole of it, for workers
    std::vector<std::string> errors;  ///< not empty: the configuration is refused, the rest means nothing
    std::vector<std::string> advice;  ///< worth a warning
};

/// What the child does: the effective configuration, or why there is none. Run in a process of its own.
struct Read {
    Plan plan;
    std::string text;  ///< as `conf::dump` writes it
    std::vector<std::string> errors, advice;
};
using ReadConfig = std::function<Read()>;

/// One reading. The child that does it may crash, leak or hang: that is an error like others.
class Reading {
 public:
    using Done = std::function<void(Found)>;

    /// Reads and waits, at most for `limit`.
    [[nodiscard]] static Found now(const ReadConfig& read, std::chrono::milliseconds limit);

    /// `done` is called from the loop, once. `loop` outlives this; the end of this ends the child.
    Reading(event_base& loop, const ReadConfig& read, std::chrono::milliseconds limit, Done done);
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;
    ~Reading();

 private:
    void on_exit(short what);
    void on_late(short what);
    void end(Found found);

    Done done_;
    std::string failure_;  ///< why there is no child
    ipc::UniqueFd report_, text_;
    Child child_;
    ipc::Event ended_, late_;
};

}  // namespace master
