// ipc/shared_cell.h: an object in memory of its own that a process shares with those it forks.
#pragma once

#include <sys/mman.h>

#include <memory>
#include <new>
#include <type_traits>

#include "ipc/result.h"

namespace ipc {

/// Whoever was forked while it was there has it for as long as it lives, also when this is gone.
template <class T>
class SharedCell {
    static_assert(std::is_trivially_destructible_v<T>);

 public:
    SharedCell() noexcept = default;
    [[nodiscard]] static Result<SharedCell> make() {
        void* memory = ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) return system_error("mmap memory to share with a process");
        return SharedCell(new (memory) T());
    }

    [[nodiscard]] T* get() const noexcept { return cell_.get(); }
    [[nodiscard]] T* operator->() const noexcept { return cell_.get(); }
    explicit operator bool() const noexcept { return static_cast<bool>(cell_); }

 private:
    struct Unmap {
        void operator()(T* cell) const noexcept { ::munmap(cell, sizeof *cell); }
    };
    explicit SharedCell(T* cell) noexcept : cell_(cell) {}

    std::unique_ptr<T, Unmap> cell_;
};

}  // namespace ipc
