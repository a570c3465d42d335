#include "worker/handler/file_cache.h"

#include <algorithm>
#include <memory>

namespace worker::handler {
namespace {

std::uint64_t count_ms(conf::Milliseconds time) { return static_cast<std::uint64_t>(time.count()); }

}  // namespace

FileCache::FileCache(const conf::Execution& settings, execution::Loop& loop)
    : settings_(settings),
      loop_(loop),
      budget_(
          std::make_shared<MemoryBudget>(settings.open_file_cache > 0 ? settings.open_file_cache_memory : 0)),
      sweep_(ipc::Event::timer<&FileCache::on_sweep>(this, loop.base())) {}

FileCache::~FileCache() { entries_.clear(); }

connection::Ref<Resource> FileCache::find(Resolver& resolver, std::uint32_t route, std::string_view path) {
    if (settings_.open_file_cache == 0) return resolver.resolve(path, {});
    if (Entry* const entry = use(route, path)) {
        if (!valid(*entry)) {
            entry->resource = resolver.resolve(path, entry->resource);
            entry->checked_ms = entry->used_ms;
        }
        return entry->resource;
    }
    connection::Ref<Resource> resource = resolver.resolve(path, {});
    add(route, path, resource);
    return resource;
}

connection::Ref<Resource> FileCache::fresh(std::uint32_t route, std::string_view path) {
    Entry* const entry = use(route, path);
    return entry != nullptr && valid(*entry) ? entry->resource : connection::Ref<Resource>();
}

void FileCache::keep(std::uint32_t route, std::string_view path, const connection::Ref<Resource>& resource) {
    if (settings_.open_file_cache == 0) return;
    Entry* const entry = use(route, path);
    if (entry == nullptr) return add(route, path, resource);
    if (resource->kind == Resource::Kind::error && resource->status >= 500) return;  // passing trouble
    for (std::size_t coding = 0; coding < codings; ++coding) {
        const auto& before = entry->resource->representations[coding].file;
        auto& now = resource->representations[coding].file;
        if (before && now && before->is(*now)) now = before;
    }
    entry->resource = resource;
    entry->checked_ms = entry->used_ms;
}

/// Null: there is none.
FileCache::Entry* FileCache::use(std::uint32_t route, std::string_view path) {
    const auto found = entries_.find({route, path});
    if (found == entries_.end()) return nullptr;
    Entry& entry = *found->second;
    entry.used_ms = loop_.clock().now_ms();
    entry.join(recent_);
    return &entry;
}

/// After `use`.
bool FileCache::valid(const Entry& entry) const {
    return entry.used_ms - entry.checked_ms < count_ms(settings_.open_file_cache_valid);
}

void FileCache::add(std::uint32_t route, std::string_view path, const connection::Ref<Resource>& resource) {
    if (resource->kind == Resource::Kind::error && resource->status >= 500) return;  // passing trouble
    if (entries_.size() >= settings_.open_file_cache) evict(static_cast<Entry&>(*recent_.next()));
    auto entry = std::make_unique<Entry>();
    entry->route = route;
    entry->path = path;
    entry->resource = resource;
    entry->checked_ms = entry->used_ms = loop_.clock().now_ms();
    entry->join(recent_);
    const Key key{route, entry->path};
    entries_.emplace(key, std::move(entry));
    if (!sweep_.armed()) sweep_.arm(settings_.open_file_cache_inactive);
}

void FileCache::evict(Entry& entry) {
    const auto place = entries_.find(Key{entry.route, entry.path});
    entries_.erase(place);  // by place: the key goes with the entry
}

void FileCache::on_sweep(short) {
    loop_.enter();
    const std::uint64_t now = loop_.clock().now_ms();
    const std::uint64_t inactive = count_ms(settings_.open_file_cache_inactive);
    while (recent_.linked()) {
        auto& oldest = static_cast<Entry&>(*recent_.next());
        if (const std::uint64_t idle = now - oldest.used_ms; idle < inactive) {
            sweep_.arm(std::chrono::milliseconds(inactive - idle));
            return;
        }
        evict(oldest);
    }
}

}  // namespace worker::handler
