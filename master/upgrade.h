// master/upgrade.h: a new master from a new binary, beside us until it serves.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "ipc/event.h"
#include "ipc/result.h"
#include "ipc/unique_fd.h"
#include "master/child.h"
#include "master/handover.h"

namespace master {

/// How to start the program anew: as it was started, whatever its file is by then.
struct Program {
    std::string path;                    ///< absolute, as found at the start; never /proc/self/exe
    std::vector<std::string> arguments;  ///< of the next start, the program's name first

    /// From the name it was called by; the arguments are the caller's to fill in.
    [[nodiscard]] static ipc::Result<Program> find(const std::string& name);
};

// idle ──begin──▶ starting ──"serves"──▶ heir lives ──its end──▶ idle
//                    └──ends, says why not, too late──▶ idle
class Upgrade {
 public:
    /// `why`: empty when the new master serves; `note`: what it has to say then.
    using Done = std::function<void(const std::string& why, const std::string& note)>;

    using OnHeirEnd = std::function<void(const Ending& ending)>;

    /// `on_heir_end`: the new master, which did serve, is gone. `loop` outlives this. The end of this
    /// leaves an heir alone, and kills one that does not serve yet.
    Upgrade(event_base& loop, OnHeirEnd on_heir_end);
    Upgrade(const Upgrade&) = delete;
    Upgrade& operator=(const Upgrade&) = delete;
    ~Upgrade();

    /// Starts `program` with what is offered; `offer.report` is ours to fill in. `environment`: further
    /// variables, NAME=VALUE.
    void begin(const Program& program, Offer offer, std::chrono::milliseconds limit,
               const std::vector<std::string>& environment, Done done);
    /// Ends one that is starting, for that reason; unless it has said by now that it serves: then it is the
    /// heir when this returns.
    void cancel(const std::string& why);

    [[nodiscard]] bool starting() const noexcept { return static_cast<bool>(done_); }
    /// The new master serves, beside us.
    [[nodiscard]] bool has_heir() const noexcept { return heir_; }
    [[nodiscard]] pid_t pid() const noexcept { return child_.pid(); }

 private:
    void hear();
    void on_report(short what);
    void on_exit(short what);
    void on_late(short what);
    void end(const std::string& why);

    event_base& loop_;
    OnHeirEnd on_heir_end_;
    Done done_;
    bool heir_ = false;
    std::string told_;
    std::string failure_;
    Child child_;
    ipc::UniqueFd report_;
    ipc::Event readable_, ended_, late_;
};

}  // namespace master
