// worker/handler/file_cache.h: what paths came to the last time somebody looked, for a moment.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
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

    /// What is there and need not be looked at again; empty: there is none.
    [[nodiscard]] connection::Ref<Resource> fresh(std::uint32_t route, std::string_view path);
    /// Somebody has looked: `resource`, which nobody else has, is what the path comes to now. What is here
    /// and unchanged is taken over by it.
    void keep(std::uint32_t route, std::string_view path, const connection::Ref<Resource>& resource);

    [[nodiscard]] const std::shared_ptr<MemoryBudget>& budget() noexcept { return budget_; }
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

    [[nodiscard]] Entry* use(std::uint32_t route, std::string_view path);
    [[nodiscard]] bool valid(const Entry& entry) const;
    void add(std::uint32_t route, std::string_view path, const connection::Ref<Resource>& resource);
    void evict(Entry& entry);
    void on_sweep(short what);

    const conf::Execution& settings_;
    execution::Loop& loop_;
    std::shared_ptr<MemoryBudget> budget_;
    std::unordered_map<Key, std::unique_ptr<Entry>, Hash> entries_;
    execution::Link recent_;  ///< least recently used first
    ipc::Event sweep_;
};

}  // namespace worker::handler
