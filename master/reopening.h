// master/reopening.h: log reopens that wait for the confirmation of every worker of every generation.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "ipc/event.h"
#include "master/generation.h"

namespace master {

/// Each request ends once: with an empty text when all confirmed, else with what went wrong.
class Reopening {
 public:
    using Done = std::function<void(const std::string& failure)>;
    using Generations = std::function<std::vector<Generation*>()>;

    static constexpr std::chrono::milliseconds confirm_time{5000};
    static constexpr std::size_t pending_max = 64;

    /// `generations`: all that have processes. `loop` outlives this.
    Reopening(event_base& loop, Generations generations);

    void begin(Done done);
    /// To be called when a worker has confirmed, or died.
    void check();

 private:
    struct Asked {
        std::uint32_t generation, request;
    };
    struct Pending {
        std::vector<Asked> asked;
        std::uint64_t late_ms;
        Done done;
    };
    void on_late(short) { check(); }
    [[nodiscard]] std::vector<std::string> unconfirmed(const Pending& pending) const;

    Generations generations_;
    std::vector<Pending> pending_;
    ipc::Event late_;
};

}  // namespace master
