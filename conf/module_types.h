// conf/module_types.h: the types of settings of modules, and what they must be.
#pragma once

#include <string>

#include "conf/check.h"
#include "conf/setting.h"

namespace conf {

/// `NAME` or `NAME/HANDLER`.
struct ModuleUseType {
    [[nodiscard]] Parsed<ModuleUse> parse(const Value& value) const;
    [[nodiscard]] std::string print(const ModuleUse& use) const;
};

}  // namespace conf
