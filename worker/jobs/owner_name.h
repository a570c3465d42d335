// worker/jobs/owner_name.h: who runs jobs, so that everybody can tell whether that one is there yet.
#pragma once

#include <string>
#include <string_view>

namespace worker::jobs {

/// Of this process: "BOOT-NAMESPACE:PID:START", unlike that of any other, before, after or elsewhere.
/// What is before the first colon is the machine: a store that several have tells them apart by it.
[[nodiscard]] std::string owner_name();
/// For certain: it was a process that we would see. Of another machine, or of one that has started anew
/// since, nothing is known.
[[nodiscard]] bool owner_is_gone(std::string_view owner);

}  // namespace worker::jobs
