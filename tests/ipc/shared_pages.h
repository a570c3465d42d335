// tests/ipc/shared_pages.h: zeroed memory that survives fork and the death of those who wrote to it.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <span>

class SharedPages {
 public:
    explicit SharedPages(std::size_t size)
        : size_(size),
          memory_(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
        if (memory_ == MAP_FAILED) std::abort();
    }
    SharedPages(const SharedPages&) = delete;
    SharedPages& operator=(const SharedPages&) = delete;
    ~SharedPages() { ::munmap(memory_, size_); }

    [[nodiscard]] std::span<std::byte> bytes() const { return {static_cast<std::byte*>(memory_), size_}; }

 private:
    std::size_t size_;
    void* memory_;
};
