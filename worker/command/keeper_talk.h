// worker/command/keeper_talk.h: questions to the keeper, one after another, for a program that has nothing
// else to do.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "conf/config.h"
#include "ipc/result.h"
#include "ipc/unique_fd.h"
#include "worker/jobs/operations.h"

namespace worker::command {

/// Whoever has the store.
class JobsTalk {
 public:
    virtual ~JobsTalk() = default;
    /// Waits for the answer, or the failure; bounded in time.
    [[nodiscard]] virtual ipc::Result<jobs::Operation> ask(jobs::Operation operation) = 0;
};

/// What a master hands out to those who may command it: the keepers' address, and what its generation was
/// told. Connects when it is first asked, and again when a keeper is replaced meanwhile.
class KeeperTalk final : public JobsTalk {
 public:
    /// `text` and `descriptors` as the master gave them; fails when it is of another version than we are.
    /// `timeout`: until a question has failed.
    [[nodiscard]] static ipc::Result<KeeperTalk> make(std::string_view text,
                                                      std::vector<ipc::UniqueFd> descriptors,
                                                      std::chrono::milliseconds timeout);
    KeeperTalk(KeeperTalk&& other) noexcept;
    KeeperTalk& operator=(KeeperTalk&& other) noexcept;
    ~KeeperTalk() override;

    [[nodiscard]] const conf::Config& config() const noexcept { return config_; }
    [[nodiscard]] ipc::Result<jobs::Operation> ask(jobs::Operation operation) override;

 private:
    class Line;
    KeeperTalk(ipc::UniqueFd address, conf::Config config, std::chrono::milliseconds timeout);

    ipc::UniqueFd address_;
    std::string unable_;  ///< why nothing could be stored when the master was asked; empty: it could
    conf::Config config_;
    std::chrono::milliseconds timeout_;
    std::unique_ptr<Line> line_;  ///< null before the first question
};

}  // namespace worker::command
