// worker/loaded.h: all that the workers of a generation have in common, and that takes time or memory to
// load.
#pragma once

#include "conf/config.h"
#include "ipc/result.h"
#include "worker/module/loader.h"

namespace worker {

/// `text`: the descriptor of the configuration as `conf::dump` writes it.
[[nodiscard]] ipc::Result<conf::Config> load_config(int text);

/// Loaded once by a preloader, whose workers have it by copy on write, or by each worker itself. Before
/// privileges are dropped, so that modules can read what others must not; by a process of one thread, which
/// loading leaves it.
struct Loaded {
    conf::Config config;
    module::Modules modules;  ///< that its routes name

    /// `text` as above; `on_load` is told of each module before it is loaded.
    [[nodiscard]] static ipc::Result<Loaded> load(int text, const module::Modules::OnLoad& on_load = {});
};

}  // namespace worker
