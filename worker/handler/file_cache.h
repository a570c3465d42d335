// worker/handler/file_cache.h: what paths came to the last time somebody looked, for a moment.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "conf/config.h"
#include "ipc/event.h"
#include "worker/execution/loop.h"
#include "worker/handler/resolver.h"

namespace worker::handler {

/// One a loop, for all its routes: at most so many entries, the least recently used go first. Within `valid`
/// the file system is not asked; what nobody asks for is closed after `inactive`. Errors are kept as well.
class FileCache {
 public:
    FileCache(const conf::Execution& settings, execution::Loop& loop);
    FileCache(const FileCache&) = delete;
    FileCache& operator=(const FileCache&) = delete;
    ~FileCache();

    /// `route` tells apart the same path under different roots.
    [[nodiscard]] connection::Ref<Resource> find(Resolver& resolver, std::uint32_t route,
                                                 std::string_view path);

    [[nodiscard]] MemoryBudget& budget() noexcept { return budget_; }
    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

 private:
    struct Key {
        std::uint32_t route;
        std::string_view path;  ///< in the entry
        bool operator==(const Key&) const = default;
    };
    struct Hash {
        std::size_t operator()(const Key& key) const noexcept {
            return std::hash<std::string_view>()(key.path) * 31 + key.route;
        }
    };
    struct Entry : execution::Link {
        std::uint32_t route = 0;
        std::string path;
        connection::Ref<Resource> resource;
        std::uint64_t checked_ms = 0, used_ms = 0;
    };

    void evict(Entry& entry);
    void on_sweep(short what);

    const conf::Execution& settings_;
    execution::Loop& loop_;
    MemoryBudget budget_;
    std::unordered_map<Key, std::unique_ptr<Entry>, Hash> entries_;
    execution::Link recent_;  ///< least recently used first
    ipc::Event sweep_;
};

}  // namespace worker::handler
