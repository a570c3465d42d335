// master/logs.h: every log file, opened by the master so that workers need no right to.
#pragma once

#include <string>
#include <vector>

#include "conf/config.h"
#include "ipc/log.h"
#include "ipc/result.h"
#include "ipc/unique_fd.h"

namespace master {

class Logs {
 public:
    /// Opens the access logs (index i is access log i of `conf::access_log_paths`) and the error log.
    [[nodiscard]] static ipc::Result<Logs> open(const conf::Reeve& reeve,
                                                const std::vector<std::string>& access_logs);

    /// The calling process, "master", writes this error log from now on.
    [[nodiscard]] ipc::Result<void> use();
    /// Of lines written from now on, by us and by workers yet to be forked; spdlog's numbers.
    void set_level(int level);
    /// Opens all files anew. When one fails, all the old ones stay.
    [[nodiscard]] ipc::Result<void> reopen();

    [[nodiscard]] const ipc::LogPlan& error_log() const noexcept { return plan_; }
    [[nodiscard]] const std::vector<ipc::UniqueFd>& access_logs() const noexcept { return access_; }
    [[nodiscard]] int error_descriptor() const noexcept;
    /// Whether a file has been renamed or removed: what we write to is not what its name means.
    [[nodiscard]] bool moved() const;
    /// As `ipc::Reopen` wants them: the access logs in order, then the error log.
    [[nodiscard]] std::vector<int> descriptors() const;

 private:
    Logs(ipc::LogPlan plan, std::vector<std::string> paths)
        : plan_(std::move(plan)), paths_(std::move(paths)) {}

    ipc::LogPlan plan_;
    std::vector<std::string> paths_;
    std::vector<ipc::UniqueFd> access_;
    ipc::UniqueFd error_;  ///< none: stderr
    bool used_ = false;
};

}  // namespace master
