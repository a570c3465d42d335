// master/environment.h: variables of the environment that are for the master alone.
#pragma once

#include <cstdlib>
#include <string>

namespace master {

/// The value of the variable `name`, empty if it is not set; whoever is started later does not see it.
inline std::string take_variable(const char* name) {
    const char* value = ::getenv(name);
    std::string taken = value != nullptr ? value : "";
    ::unsetenv(name);
    return taken;
}

}  // namespace master
