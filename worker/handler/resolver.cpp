#include "worker/handler/resolver.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <utility>

#include "worker/handler/mime.h"
#include "worker/http/date.h"

namespace worker::handler {
namespace {

struct Sibling {
    http::Coding coding;
    std::string_view suffix;
};
constexpr std::array<Sibling, 3> siblings{{
    {http::Coding::br, ".br"},
    {http::Coding::zstd, ".zst"},
    {http::Coding::gzip, ".gz"},
}};

void fail(Resource& resource, http::Status status) {
    resource.kind = Resource::Kind::error;
    resource.status = status;
}

std::string replaced(std::string text, std::string_view what, std::string_view with) {
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size()))
        text.replace(at, what.size(), with);
    return text;
}

}  // namespace

http::Status status_of(int error) noexcept {
    switch (error) {
        case ENOENT:
        case ENOTDIR:
        case ENAMETOOLONG:
        case ELOOP:
        case EXDEV:
            return 404;  // EXDEV: it leads out of the root; whether there is anything is no one's business
        case EACCES:
        case EPERM:
        case ENXIO:  // a socket
        case ENODEV: return 403;
        case EMFILE:
        case ENFILE:
        case ENOMEM:
        case EAGAIN: return 503;
        default: return 500;
    }
}

Resolver::Resolver(const conf::Files& files, std::uint64_t small, std::shared_ptr<MemoryBudget> budget)
    : files_(files), small_(small), budget_(std::move(budget)), root_(files.root, files.symlinks) {}

connection::Ref<Resource> Resolver::resolve(std::string_view path, const connection::Ref<Resource>& before) {
    connection::Ref<Resource> resource(new Resource);
    root_.look_again();
    if (hidden(path)) {
        fail(*resource, 404);
    } else if (files_.try_list.empty()) {
        resolve_one(*resource, path, before.get());
    } else {
        resolve_list(*resource, path, before.get());
    }
    return resource;
}

/// Names that begin with a dot; "/.well-known/" is for everyone (RFC 8615).
bool Resolver::hidden(std::string_view path) const noexcept {
    if (files_.dotfiles) return false;
    constexpr std::string_view well_known = "/.well-known/";
    if (path.starts_with(well_known)) path.remove_prefix(well_known.size() - 1);
    return path.find("/.") != std::string_view::npos;
}

void Resolver::resolve_list(Resource& into, std::string_view path, const Resource* before) {
    for (const std::string& candidate : files_.try_list) {
        if (candidate.starts_with('=')) {
            http::Status status = 404;
            std::from_chars(candidate.data() + 1, candidate.data() + candidate.size(), status);
            return fail(into, status);
        }
        const std::string there = replaced(replaced(candidate, "$path", path), "//", "/");
        resolve_one(into, there, before);
        if (into.kind == Resource::Kind::file || into.kind == Resource::Kind::listing) return;
        // A folder only counts when the candidate names one; an error of ours is no "not there".
        if (into.kind == Resource::Kind::error && into.status >= 500) return;
    }
    fail(into, 404);
}

void Resolver::resolve_one(Resource& into, std::string_view path, const Resource* before) {
    if (path.ends_with('/')) return resolve_folder(into, path, before);
    auto opened = root_.open(path);
    if (!opened) return fail(into, status_of(opened.error()));
    if (S_ISDIR(opened->status.st_mode)) {
        into.kind = Resource::Kind::folder;
    } else if (!take_file(into, path, std::move(*opened), before)) {
        fail(into, 403);  // a device, a socket, a FIFO
    }
}

void Resolver::resolve_folder(Resource& into, std::string_view path, const Resource* before) {
    http::Status worst = 0;
    for (const std::string& index : files_.index) {
        const std::string name = std::string(path) + index;
        auto opened = root_.open(name);
        if (opened && take_file(into, name, std::move(*opened), before)) return;
        if (!opened && status_of(opened.error()) != 404) worst = status_of(opened.error());
    }
    if (worst != 0) return fail(into, worst);
    const auto folder = root_.open(path);
    if (!folder) return fail(into, status_of(folder.error()));
    if (!S_ISDIR(folder->status.st_mode)) return fail(into, 404);
    if (files_.autoindex == conf::Autoindex::off) return fail(into, 403);
    into.kind = Resource::Kind::listing;
}

bool Resolver::take_file(Resource& into, std::string_view path, Opened opened, const Resource* before) {
    if (!S_ISREG(opened.status.st_mode)) return false;
    into.kind = Resource::Kind::file;
    into.representations[0].file = share(std::move(opened), before, http::Coding::identity);
    if (files_.precompressed) add_siblings(into, path, before);
    describe(into, path);
    return true;
}

void Resolver::add_siblings(Resource& into, std::string_view path, const Resource* before) {
    for (const Sibling& sibling : siblings) {
        auto opened = root_.open(std::string(path).append(sibling.suffix));
        if (!opened || !S_ISREG(opened->status.st_mode)) continue;
        into.available.add(sibling.coding);
        into.representations[static_cast<std::size_t>(sibling.coding)].file =
            share(std::move(*opened), before, sibling.coding);
    }
}

/// The same version of the same file is opened, and read, once.
connection::Ref<OpenFile> Resolver::share(Opened opened, const Resource* before, http::Coding coding) {
    if (before != nullptr) {
        const Representation& old = before->in(coding);
        if (old.file && old.file->is(opened.status)) return old.file;
    }
    return connection::Ref<OpenFile>(new OpenFile(std::move(opened.file), opened.status, small_, budget_));
}

/// Header lines are put together here, once a version, not once a request.
void Resolver::describe(Resource& into, std::string_view path) const {
    std::string caching;
    if (!into.available.only_identity()) caching += "Vary: Accept-Encoding\r\n";
    if (!files_.cache_control.empty()) {
        caching += "Cache-Control: " + files_.cache_control + "\r\n";
    } else if (files_.expires) {
        caching += fmt::format("Cache-Control: max-age={}\r\n", files_.expires->count() / 1000);
    }
    for (std::size_t i = 0; i < into.representations.size(); ++i) {
        Representation& representation = into.representations[i];
        if (!representation.file) continue;
        const auto coding = static_cast<http::Coding>(i);
        const std::string_view name = http::coding_name(coding);
        representation.etag = representation.file->etag();
        if (!name.empty())
            representation.etag.insert(representation.etag.size() - 1, "-" + std::string(name));
        char modified[29];
        http::format_date(representation.file->modified(), modified);
        std::string& fields = representation.fields;
        fields = fmt::format("Content-Type: {}\r\n", mime_type(path));
        if (!name.empty()) fields += fmt::format("Content-Encoding: {}\r\n", name);
        fields += "Accept-Ranges: bytes\r\n";
        representation.lasting_from = fields.size();
        fields += fmt::format("Last-Modified: {}\r\nETag: {}\r\n",
                              std::string_view(modified, sizeof modified), representation.etag);
        fields += caching;
    }
}

}  // namespace worker::handler
