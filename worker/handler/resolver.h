// worker/handler/resolver.h: finds what a path means under a route's root.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "conf/config.h"
#include "worker/handler/file_root.h"
#include "worker/handler/resource.h"

namespace worker::handler {

/// Blocking, but only on the file system's metadata and small files. One route's; one thread's.
class Resolver {
 public:
    /// `files` must outlive it. Files of at most `small` bytes are read into memory.
    Resolver(const conf::Files& files, std::uint64_t small, std::shared_ptr<MemoryBudget> budget);

    /// `path` is normalised. What `before` (empty: nothing) has open and unchanged is taken over.
    [[nodiscard]] connection::Ref<Resource> resolve(std::string_view path,
                                                    const connection::Ref<Resource>& before);

    /// The folder itself, to be listed. Fails with errno.
    [[nodiscard]] tl::expected<Opened, int> open_folder(std::string_view path) { return root_.open(path); }

 private:
    [[nodiscard]] bool hidden(std::string_view path) const noexcept;
    void resolve_list(Resource& into, std::string_view path, const Resource* before);
    void resolve_one(Resource& into, std::string_view path, const Resource* before);
    void resolve_folder(Resource& into, std::string_view path, const Resource* before);
    [[nodiscard]] bool take_file(Resource& into, std::string_view path, Opened opened,
                                 const Resource* before);
    void add_siblings(Resource& into, std::string_view path, const Resource* before);
    void describe(Resource& into, std::string_view path) const;
    [[nodiscard]] connection::Ref<OpenFile> share(Opened opened, const Resource* before, http::Coding coding);

    const conf::Files& files_;
    std::uint64_t small_;
    std::shared_ptr<MemoryBudget> budget_;
    FileRoot root_;
};

/// The status that answers errno of an open.
[[nodiscard]] http::Status status_of(int error) noexcept;

}  // namespace worker::handler
