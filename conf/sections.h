// conf/sections.h: from the sections of a document to a Config, setting by setting.
#pragma once

#include <vector>

#include "conf/config.h"
#include "conf/document.h"
#include "conf/report.h"

namespace conf {

/// Where each part of a Config was written; nullptr for what stands in no file.
struct Origins {
    const Section* reeve = nullptr;
    const Section* execution = nullptr;
    const Section* store = nullptr;
    std::vector<const Section*> servers, upstreams, pools, modules, queues, schedules,
        routes;  ///< as in Config
};

/// Reads every section and complains about what it does not know or like; marks the entries it refused.
/// The origins point into `document`.
[[nodiscard]] Origins read_sections(Document& document, Config& config, Report& report);

}  // namespace conf
