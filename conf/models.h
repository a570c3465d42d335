// conf/models.h: what each model says of the knobs of [execution]; data, nothing else knows models by name.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "conf/config.h"

namespace conf {

struct NamedModel {
    std::string_view name;
    Model model;
    std::string_view summary;  ///< a few words, for the reference
};

/// All of them, in the order of the reference.
[[nodiscard]] const std::vector<NamedModel>& models();

/// The defaults under a model; what else is written goes on top.
[[nodiscard]] Execution defaults_of(Model model);

/// What runs in one worker process.
struct Crew {
    std::uint32_t loops = 1;    ///< event loops that serve
    std::uint32_t threads = 0;  ///< beside each of them, for handlers
    bool has_main = false;      ///< and one that serves nobody: it talks to the master, and may accept

    /// Each has a row of the scoreboard, numbered: the main one, or the only loop, is 0; then come loops,
    /// then the threads of the first, those of the second, and so on.
    [[nodiscard]] std::uint32_t executors() const noexcept {
        return (has_main ? 1 : 0) + loops * (1 + threads);
    }
    /// The number of a loop, and of its first thread.
    [[nodiscard]] std::uint32_t number_of_loop(std::uint32_t loop) const noexcept {
        return loop + (has_main ? 1 : 0);
    }
    [[nodiscard]] std::uint32_t number_of_threads(std::uint32_t loop) const noexcept {
        return number_of_loop(loops) + loop * threads;
    }
    bool operator==(const Crew&) const = default;
};

/// `cpus`: what `auto` means.
[[nodiscard]] Crew crew_of(const Execution& execution, std::uint32_t cpus);

/// The number of executors that all workers of a generation may have.
constexpr std::uint32_t executors_max = 512;

}  // namespace conf
