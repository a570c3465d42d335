#include "worker/loaded.h"

#include <utility>

#include "conf/load.h"
#include "ipc/file.h"

namespace worker {

ipc::Result<conf::Config> load_config(int text) {
    const auto read = ipc::read_file(text);
    if (!read) return tl::make_unexpected(read.error());
    auto loaded = conf::load_text(*read, "configuration");
    if (!loaded)
        return ipc::failure("its configuration: " + (loaded.error().empty() ? std::string("it is refused")
                                                                            : loaded.error()[0].text()));
    return std::move(loaded->config);
}

ipc::Result<Loaded> Loaded::load(int text, const module::Modules::OnLoad& on_load) {
    auto config = load_config(text);
    if (!config) return tl::make_unexpected(std::move(config.error()));
    auto modules = module::Modules::load(*config, on_load);
    if (!modules) return tl::make_unexpected(std::move(modules.error()));
    return Loaded{.config = std::move(*config), .modules = std::move(*modules)};
}

}  // namespace worker
