// worker/handler/files.h: `files = ROOT`: static files.
#pragma once

#include "worker/handler/file_cache.h"
#include "worker/handler/file_response.h"
#include "worker/handler/resolver.h"
#include "worker/http/exchange.h"

namespace worker::handler {

/// One route's, on one loop. Answers inline; only the disk itself can make it wait.
class Files final : public http::Handler {
 public:
    /// All must outlive it; `index` is the route's in the configuration.
    Files(const conf::Route& route, std::uint32_t index, FileCache& cache, const conf::Execution& settings,
          const execution::Clock& clock);

    void handle(http::Exchange& exchange) override;

 private:
    [[nodiscard]] std::string_view path_under_root(const http::Exchange& exchange);
    void redirect_to_folder(http::Exchange& exchange);
    void list(http::Exchange& exchange);

    const conf::Route& route_;
    std::uint32_t index_;
    FileCache& cache_;
    Resolver resolver_;
    FileResponse response_;
};

}  // namespace worker::handler
