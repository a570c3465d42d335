// worker/handler/internal_files.h: files that a program has us send in place of its own answer, by
// X-Accel-Redirect or X-Sendfile.
#pragma once

#include <string>
#include <string_view>

#include "conf/config.h"
#include "worker/handler/file_response.h"
#include "worker/handler/resolver.h"
#include "worker/http/exchange.h"
#include "worker/http/response_parser.h"

namespace worker::handler {

/// One a route. Whatever a program names, only regular files below one folder are sent, and no link leads
/// out.
class InternalFiles {
 public:
    /// `root`: empty: nothing is ever wanted. `clock` must outlive it.
    InternalFiles(const std::string& root, const execution::Clock& clock);
    InternalFiles(const InternalFiles&) = delete;
    InternalFiles& operator=(const InternalFiles&) = delete;

    /// The path below the root that the head of a program's answer wants sent; empty: none. X-Accel-Redirect
    /// is a path of a URI, escapes and all; X-Sendfile is a path of the file system, below the root or from
    /// it on.
    [[nodiscard]] std::string wanted(const http::ResponseHead& head);
    /// Answers with it: ranges, preconditions and all. `type` takes the place of our own, unless it is empty.
    /// False: it is not there, and `status` is what to answer.
    [[nodiscard]] bool answer(http::Exchange& exchange, std::string_view path, std::string_view type,
                              http::Status& status);

 private:
    conf::Files files_;
    Resolver resolver_;
    FileResponse response_;
    std::string room_;
};

/// Whether a field of a program's answer is for us and not for the client.
[[nodiscard]] bool is_for_server(std::string_view name) noexcept;

}  // namespace worker::handler
