// conf/settings.h: the table of all settings, one row each.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "conf/config.h"
#include "conf/setting.h"

namespace conf {

[[nodiscard]] const Settings<Reeve>& reeve_settings();
[[nodiscard]] const Settings<Execution>& execution_settings();
[[nodiscard]] const Settings<Server>& server_settings();
[[nodiscard]] const Settings<Upstream>& upstream_settings();
[[nodiscard]] const Settings<Pool>& pool_settings();
[[nodiscard]] const Settings<Module>& module_settings();
[[nodiscard]] const Settings<Store>& store_settings();
[[nodiscard]] const Settings<Queue>& queue_settings();
[[nodiscard]] const Settings<Schedule>& schedule_settings();
[[nodiscard]] const Settings<Route>& route_settings();

/// `files`, `respond`...: the key that chooses the handler.
[[nodiscard]] std::string_view key_of(Route::Handler handler);

/// A row without its code: what the reference and the hints need.
struct Described {
    std::string_view kind, key, comment;
    std::string value;  ///< the default as it would be written; empty: none
};

/// Every row, in the order of the dump.
[[nodiscard]] std::vector<Described> described();

/// The kinds of sections, in the order of the dump.
[[nodiscard]] const std::vector<std::string_view>& section_kinds();

/// Whether sections of this kind have names.
[[nodiscard]] bool is_named(std::string_view kind);

/// Adds what is there without being written: a server `default`, and 127.0.0.1:8080 for a server without
/// `listen`.
void complete(Config& config);

}  // namespace conf
