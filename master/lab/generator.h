// master/lab/generator.h: sends requests at the times that were fixed, whatever becomes of those before.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "ipc/result.h"
#include "master/lab/latencies.h"
#include "master/lab/load.h"

namespace master::lab {

/// What became of one request.
struct Sample {
    enum class End : std::uint8_t {
        answered,    ///< 2xx
        refused,     ///< 503
        failed,      ///< any other status, or the connection broke
        unanswered,  ///< until nobody waited any more: it takes longer than `latency_us`
    };
    std::uint64_t at_us = 0;       ///< when it was to be sent, since the begin
    std::uint64_t latency_us = 0;  ///< from then on, also while no client was free to send it
    std::uint32_t stream = 0, client = 0;
    End end = End::answered;
};

struct Outcome {
    std::vector<Sample> samples;  ///< by when they ended
    Latencies lateness;  ///< ours: between the time fixed and that of sending, where a client was free
    bool stopped = false;
};

/// An open loop: the next request does not wait for the answer to the last one. Latencies count from the
/// time fixed for the request, and so leave nothing out that clients would have waited ("coordinated
/// omission", after Tene). One thread, with one connection a client, on 127.0.0.1.
class Generator {
 public:
    /// All must outlive it. `stop`: set by anybody, ends it within a tenth of a second.
    Generator(std::uint16_t port, const Load& load, const std::vector<Arrival>& arrivals,
              const std::atomic<bool>& stop);
    Generator(const Generator&) = delete;
    Generator& operator=(const Generator&) = delete;
    ~Generator();

    /// Connects all clients, in order, and has each ask once for `/warm`; then begins. Afterwards it waits
    /// for answers for another half of the time, half a second at least and two at most.
    [[nodiscard]] ipc::Result<Outcome> run();

 private:
    class Running;

    std::uint16_t port_;
    const Load& load_;
    const std::vector<Arrival>& arrivals_;
    const std::atomic<bool>& stop_;
};

}  // namespace master::lab
