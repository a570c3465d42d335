// worker/handler/text_template.h: texts with $variables, as `respond` and `redirect` have them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "conf/text_variables.h"
#include "worker/execution/clock.h"
#include "worker/http/exchange.h"

namespace worker::handler {

/// What a value goes into decides what must not stand in it as it is.
enum class Escape : std::uint8_t { none, html, json, uri };

void append_escaped(std::string& out, std::string_view text, Escape escape);

/// Who we are, for $worker and its like.
struct Facts {
    std::uint32_t slot = 0;
    int pid = 0;
};

/// Compiled once; filled in a request at a time. What a client sent is escaped, the text itself is not.
class TextTemplate {
 public:
    /// `text` was checked with the configuration: a variable that does not exist is a bug of ours.
    TextTemplate(std::string_view text, Escape escape);

    [[nodiscard]] bool constant() const noexcept { return split_.pieces.empty(); }
    [[nodiscard]] const std::string& constant_text() const noexcept { return split_.text; }

    void append(std::string& out, const http::Exchange& exchange, const Facts& facts,
                const execution::Clock& clock) const;

 private:
    void append_value(std::string& out, conf::TextVariable variable, const http::Exchange& exchange,
                      const Facts& facts, const execution::Clock& clock) const;

    conf::TextTemplate split_;
    Escape escape_;
};

}  // namespace worker::handler
