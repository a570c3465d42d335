// master/signals.h: signals as events of the loop.
#pragma once

#include <functional>
#include <initializer_list>

#include "ipc/event.h"
#include "ipc/result.h"
#include "ipc/unique_fd.h"

namespace master {

/// Blocks the signals in this process and brings each to `on_signal`, from the loop.
class Signals {
 public:
    [[nodiscard]] static ipc::Result<ipc::UniqueFd> block(std::initializer_list<int> numbers);

    /// `descriptor` is what `block` gave. `loop` outlives this.
    Signals(event_base& loop, ipc::UniqueFd descriptor, std::function<void(int number)> on_signal);
    Signals(const Signals&) = delete;
    Signals& operator=(const Signals&) = delete;

 private:
    void on_readable(short what);

    ipc::UniqueFd descriptor_;
    std::function<void(int)> on_signal_;
    ipc::Event readable_;
};

}  // namespace master
