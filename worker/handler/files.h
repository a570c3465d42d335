// worker/handler/files.h: `files = ROOT`: static files.
#pragma once

#include <optional>

#include "worker/handler/file_cache.h"
#include "worker/handler/file_opener.h"
#include "worker/handler/file_response.h"
#include "worker/handler/resolver.h"
#include "worker/http/exchange.h"

namespace worker::handler {

/// One route's, on one loop. Answers inline, where only the disk itself can make it wait; with `open_pool` a
/// thread looks for what is not in the cache.
class Files final : public http::Handler {
 public:
    /// All must outlive it; `index` is the route's in the configuration.
    Files(const conf::Route& route, std::uint32_t index, FileCache& cache, const conf::Execution& settings,
          const execution::Clock& clock);
    /// Before the first request: opens are for `pool`, and come back to `desk`. Both must outlive it.
    void open_in(execution::ThreadPool& pool, execution::ThreadDesk& desk, execution::Loop& loop);

    void handle(http::Exchange& exchange) override;

 private:
    void answer(http::Exchange& exchange, const connection::Ref<Resource>& resource);
    [[nodiscard]] std::string_view path_under_root(const http::Exchange& exchange);
    void redirect_to_folder(http::Exchange& exchange);
    void list(http::Exchange& exchange);

    const conf::Route& route_;
    std::uint32_t index_;
    FileCache& cache_;
    std::uint64_t small_;
    Resolver resolver_;
    FileResponse response_;
    std::optional<FileOpener> opener_;
};

}  // namespace worker::handler
