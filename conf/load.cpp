#include "conf/load.h"

#include <filesystem>
#include <thread>
#include <utility>

#include "conf/callbacks.h"
#include "conf/check.h"
#include "conf/document.h"
#include "conf/sections.h"
#include "conf/settings.h"

namespace conf {
namespace {

using Result = tl::expected<Loaded, std::vector<Error>>;

/// `here`: also what this machine must have.
Result finish(Document document, std::string path, bool here, Report& report) {
    Loaded loaded;
    loaded.config.path = std::move(path);
    if (document.folders.empty()) return tl::unexpected(report.errors());  // there was no file to read
    const auto origins = read_sections(document, loaded.config, report);
    complete(loaded.config);
    check(loaded.config, origins, report);
    if (here) check_pools_here(loaded.config, origins, report);
    if (here) check_schedules_here(loaded.config, origins, report);
    if (report.refused()) return tl::unexpected(report.errors());

    advise(loaded.config, origins, std::thread::hardware_concurrency(), report);
    loaded.advice = report.advice();
    for (const auto* module : origins.modules)
        loaded.module_lines.push_back(report.at(place_of(module, "path")));
    for (const auto* route : origins.routes)
        loaded.route_lines.push_back(report.at(place_of(route, "module")));
    for (const auto* pool : origins.pools) loaded.pool_lines.push_back(report.at(place_of(pool, "run")));
    for (std::size_t i = 0; i < loaded.config.queues.size(); ++i)
        loaded.queue_lines.push_back(report.at(
            place_of(origins.queues[i], loaded.config.queues[i].function.empty() ? "pool" : "function")));
    add_callbacks_queues(loaded.config);  // they stand on no line
    return loaded;
}

}  // namespace

Result load(const std::string& path) {
    Report report;
    std::error_code failure;
    const auto absolute = std::filesystem::absolute(path, failure).lexically_normal().string();
    return finish(read_document(path, report), failure ? path : absolute, true, report);
}

Result load_text(std::string_view text, const std::string& name) {
    Report report;
    return finish(read_document_text(text, name, report), {}, false, report);
}

}  // namespace conf
