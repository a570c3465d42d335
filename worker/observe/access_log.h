// worker/observe/access_log.h: turns a request into a line of the access log.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <tl/expected.hpp>

#include "conf/log_variables.h"
#include "worker/observe/access_record.h"
#include "worker/observe/log_clock.h"

namespace worker::observe {

/// A format, compiled once when the worker starts; any number of loops may use it at once.
/// Whatever a client sends, a record makes one line: every value is escaped.
class AccessFormat {
 public:
    /// "combined" (Nginx's), "json", or a text with $variables; the error names what is wrong with it.
    [[nodiscard]] static tl::expected<AccessFormat, std::string> compile(std::string_view format);

    /// Appends one line with its newline. Allocates only when `out` must grow.
    void append(std::string& out, const AccessRecord& record, const LogClock& clock) const;

 private:
    enum class Kind : std::uint8_t { combined, json, text };
    AccessFormat(Kind kind, conf::LogTemplate format) : kind_(kind), format_(std::move(format)) {}

    Kind kind_;
    conf::LogTemplate format_;  ///< of `text` alone
};

}  // namespace worker::observe
