// worker/http/query.h: `a=1&b=two` behind the path, as forms write it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace worker::http {

/// A view; what it was made of must stay.
class Query {
 public:
    explicit Query(std::string_view text) : text_(text) {}

    /// Of the first with that name, `+` and %HH decoded, what is not well written as it stands; nullopt:
    /// there is none.
    [[nodiscard]] std::optional<std::string> value(std::string_view name) const;

 private:
    std::string_view text_;
};

}  // namespace worker::http
