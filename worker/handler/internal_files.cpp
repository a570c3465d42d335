#include "worker/handler/internal_files.h"

#include "worker/http/host.h"
#include "worker/http/target.h"

namespace worker::handler {
namespace {

constexpr std::string_view accel = "x-accel-redirect", sendfile = "x-sendfile";

conf::Files internal_files_of(const std::string& root) {
    conf::Files files;
    files.root = root;
    files.index.clear();
    files.dotfiles = true;
    files.precompressed = false;
    return files;
}

}  // namespace

bool is_for_server(std::string_view name) noexcept {
    constexpr std::string_view prefix = "x-accel-";
    return http::equals_ignore_case(name.substr(0, prefix.size()), prefix) ||
           http::equals_ignore_case(name, sendfile);
}

InternalFiles::InternalFiles(const std::string& root, const execution::Clock& clock)
    : files_(internal_files_of(root)),
      resolver_(files_, 0, std::make_shared<MemoryBudget>(0)),
      response_(files_, clock) {}

std::string InternalFiles::wanted(const http::ResponseHead& head) {
    if (files_.root.empty()) return {};
    for (const http::Field& field : head.fields) {
        if (field.known != http::Known::other) continue;
        const std::string_view name = head.view(field.name);
        std::string_view value = head.view(field.value);
        if (http::equals_ignore_case(name, accel)) {
            const auto target = http::parse_target("GET", value, room_);
            // What is no path names no file, and is still not for the client.
            return target && target->authority.empty() ? std::string(target->path) : "/";
        }
        if (http::equals_ignore_case(name, sendfile)) {
            const std::string& root = files_.root;
            if (value.starts_with(root) &&
                (root.ends_with('/') || value.substr(root.size()).starts_with('/')))
                value.remove_prefix(root.ends_with('/') ? root.size() - 1 : root.size());
            return std::string(value.starts_with('/') ? "" : "/").append(value);
        }
    }
    return {};
}

bool InternalFiles::answer(http::Exchange& exchange, std::string_view path, std::string_view type,
                           http::Status& status) {
    const connection::Ref<Resource> resource = resolver_.resolve(path, {});
    if (resource->kind != Resource::Kind::file) {
        const bool ours = resource->kind == Resource::Kind::error && resource->status >= 500;
        status = ours ? resource->status : http::Status{404};
        return false;
    }
    if (!type.empty()) {
        Representation& file = resource->representations[0];
        const std::size_t end = file.fields.find("\r\n");
        const std::string line = std::string("Content-Type: ").append(type);
        file.lasting_from += line.size() - end;
        file.fields.replace(0, end, line);
    }
    exchange.response.keeper = resource;
    response_.answer(exchange, *resource);
    return true;
}

}  // namespace worker::handler
