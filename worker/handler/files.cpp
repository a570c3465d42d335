#include "worker/handler/files.h"

#include <string>

#include "worker/handler/autoindex.h"
#include "worker/handler/own_text.h"
#include "worker/handler/text_template.h"

namespace worker::handler {
Files::Files(const conf::Route& route, std::uint32_t index, FileCache& cache, const conf::Execution& settings,
             const execution::Clock& clock)
    : route_(route),
      index_(index),
      cache_(cache),
      small_(settings.open_file_cache_small),
      resolver_(route.files, settings.open_file_cache_small, cache.budget()),
      response_(route.files, clock) {}

void Files::handle(http::Exchange& exchange) {
    const http::Request& request = exchange.request;
    if (exchange.error == 0 && !request.is_get() && !request.is_head()) {
        exchange.response.add_field("Allow", "GET, HEAD, OPTIONS");
        return exchange.refuse(405);
    }
    const std::string_view path = path_under_root(exchange);
    if (!opener_) return answer(exchange, cache_.find(resolver_, index_, path));
    if (const auto resource = cache_.fresh(index_, path)) return answer(exchange, resource);
    opener_->open(exchange, path);
}

void Files::open_in(execution::ThreadPool& pool, execution::ThreadDesk& desk, execution::Loop& loop) {
    opener_.emplace(FileOpener::Rooms{route_.files, small_, cache_.budget(), pool, desk, loop});
    opener_->when_found([this](std::string_view path, const connection::Ref<Resource>& resource) {
        cache_.keep(index_, path, resource);
    });
    opener_->when_answered([this](http::Exchange& exchange, const connection::Ref<Resource>& resource) {
        answer(exchange, resource);
    });
}

void Files::answer(http::Exchange& exchange, const connection::Ref<Resource>& resource) {
    exchange.response.keeper = resource;  // nobody else may hold it: the cache may be off
    switch (resource->kind) {
        case Resource::Kind::file: return response_.answer(exchange, *resource);
        case Resource::Kind::folder: return redirect_to_folder(exchange);
        case Resource::Kind::listing: return list(exchange);
        case Resource::Kind::error: return exchange.refuse(resource->status);
    }
}

/// The request's path below the root; with `strip_prefix` without the route's own.
std::string_view Files::path_under_root(const http::Exchange& exchange) {
    std::string_view path = exchange.request.target.path;
    if (!route_.strip_prefix || route_.path.kind != conf::PathMatch::Kind::prefix) return path;
    if (exchange.error != 0 && !path.starts_with(route_.path.text)) return path;
    std::string_view prefix = route_.path.text;
    if (prefix.ends_with('/')) prefix.remove_suffix(1);
    path.remove_prefix(prefix.size());
    return path.empty() ? std::string_view("/") : path;
}

void Files::redirect_to_folder(http::Exchange& exchange) {
    if (exchange.error != 0) return exchange.refuse(404);
    const http::Target& target = exchange.request.target;
    std::string& location = exchange.room;
    location.clear();
    append_escaped(location, target.path, Escape::uri);
    location += '/';
    if (target.has_query) location.append("?").append(target.query);
    exchange.response.add_field("Location", location);
    exchange.refuse(301);
}

void Files::list(http::Exchange& exchange) {
    if (exchange.error != 0) return exchange.refuse(404);
    const auto folder = resolver_.open_folder(path_under_root(exchange));
    if (!folder) return exchange.refuse(status_of(folder.error()));
    const bool json = route_.files.autoindex == conf::Autoindex::json;
    const int open = folder->file.get();
    const bool dotfiles = route_.files.dotfiles;
    http::Response& response = exchange.response;
    response.fields =
        json ? "Content-Type: application/json\r\n" : "Content-Type: text/html; charset=utf-8\r\n";
    add_own_text(response, json ? list_as_json(open, dotfiles)
                                : list_as_html(open, dotfiles, exchange.request.target.path));
    exchange.finish();
}

}  // namespace worker::handler
