// worker/thread_rooms.h: what a thread needs to run handlers.
#pragma once

#include <cstdint>
#include <memory>

#include "worker/dispatch/handler_threads.h"
#include "worker/station.h"

namespace worker {

/// To be called in the thread; `number`: of the executor. `house` must outlive it.
[[nodiscard]] std::unique_ptr<dispatch::ThreadRooms> make_thread_rooms(const House& house,
                                                                       std::uint32_t number);

}  // namespace worker
