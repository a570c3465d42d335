// worker/object_map.h: where the shared objects of this process lie, and which of them are modules.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace worker {

/// Filled once, when all is loaded; then a signal handler may look into it: it is memory of a fixed size, and
/// nothing else. What is loaded later is not in it.
class ObjectMap {
 public:
    static constexpr std::size_t objects_max = 256;

    struct Object {
        std::uintptr_t begin = 0, end = 0;  ///< all of its segments
        std::uintptr_t bias = 0;            ///< what its own addresses are less
        std::array<char, 48> file{};        ///< its name without folders, cut
        std::array<char, 64> module{};  ///< "one" or, loaded under several names, "one,two"; cut; or empty

        [[nodiscard]] std::string_view file_name() const noexcept;
        [[nodiscard]] std::string_view module_name() const noexcept;
    };
    /// A module, by any address in it.
    struct Named {
        std::string_view name;
        const void* inside = nullptr;
    };

    constexpr ObjectMap() noexcept = default;
    /// Of all that the process has loaded, the program itself apart. Modules first: they are not those that
    /// there is no room for.
    [[nodiscard]] static ObjectMap of_process(std::span<const Named> modules);

    /// Nothing when it is full.
    void add(const Object& object) noexcept;
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    /// Async-signal-safe. Null: in none of them.
    [[nodiscard]] const Object* find(std::uintptr_t address) const noexcept;

 private:
    std::array<Object, objects_max> objects_{};
    std::size_t size_ = 0;
};

}  // namespace worker
