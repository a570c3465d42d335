// ipc/in_flight.h: what a loop, a thread or a member of a pool is doing for whom, readable after its death.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "ipc/shared_text.h"

namespace ipc {

/// What an executor is at, so that a crash or an endless loop can be pinned on a request, and on a module.
/// One writer, who stores and never waits.
class InFlight {
 public:
    static constexpr std::size_t text_max = 192;
    static constexpr std::size_t module_max = 96;

    /// Begins a request: "GET /path", cut at `text_max`; and what code of a module runs for it, if any does:
    /// "numbers function=primes", "greetings handler=hello", or a name alone while it is loaded.
    void begin(std::string_view request, std::string_view module = {}) noexcept {
        text_.set(request);
        if (module.empty())
            module_.clear();
        else
            module_.set(module);
    }
    /// It went on to something else.
    void end() noexcept {
        text_.clear();
        module_.clear();
    }
    /// Any process. Empty: no request was running.
    [[nodiscard]] std::string text() const { return text_.get(); }
    /// Likewise. Empty: no code of a module was.
    [[nodiscard]] std::string module() const { return module_.get(); }

 private:
    SharedText<text_max> text_;
    SharedText<module_max> module_;
};

/// The names of the modules that a process has loaded, "one,two"; cut. Empty: none.
using ModuleNames = SharedText<256>;

}  // namespace ipc
