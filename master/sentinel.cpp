// master/sentinel.cpp: a companion that is told when to check, and leaves at once.
#include "master/sentinel.h"

#include <algorithm>
#include <utility>

namespace master {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds stop_delay{1000};    ///< from Stop to KILL
constexpr milliseconds resolve_time{6000};  ///< a start waits for names no longer; the sentinel knows less

}  // namespace

Sentinel::Sentinel(const Surroundings& around, std::function<void()> on_change)
    : process_(around, *this, "sentinel", std::min(resolve_time, around.start_timeout * 3 / 4),
               std::move(on_change)) {}

void Sentinel::start(std::uint32_t term) {
    if (process_.wanted()) return;
    term_ = term;
    process_.start();
}

void Sentinel::stop() { process_.leave(ipc::Stop{}, stop_delay); }

void Sentinel::furnish(ipc::Seat& seat) { seat.term = term_; }

}  // namespace master
