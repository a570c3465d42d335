// master/reopening.h: log reopens that wait for every worker's confirmation.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "ipc/event.h"
#include "master/supervisor.h"

namespace master {

/// Each request ends once: with an empty text when all confirmed, else with what went wrong.
class Reopening {
 public:
    using Done = std::function<void(const std::string& failure)>;

    static constexpr std::chrono::milliseconds confirm_time{5000};
    static constexpr std::size_t pending_max = 64;

    /// All outlive this.
    Reopening(event_base& loop, Logs& logs, Supervisor& supervisor);

    void begin(Done done);
    /// To be called when a worker has confirmed, or died.
    void check();

 private:
    struct Pending {
        std::uint32_t request;
        std::uint64_t late_ms;
        Done done;
    };
    void on_late(short) { check(); }

    Logs& logs_;
    Supervisor& supervisor_;
    std::vector<Pending> pending_;
    ipc::Event late_;
};

}  // namespace master
