// worker/connection/shared.h: what several responses of one loop may be sending at once.
#pragma once

#include <cstdint>
#include <utility>

namespace worker::connection {

/// Counted by `Ref`; goes with its last one. One loop's: the count is no atomic.
class Shared {
 public:
    Shared() noexcept = default;
    Shared(const Shared&) = delete;
    Shared& operator=(const Shared&) = delete;
    virtual ~Shared() = default;

 private:
    template <class>
    friend class Ref;
    std::uint32_t references_ = 0;
};

/// A share of a `Shared`; empty or valid.
template <class T>
class Ref {
 public:
    Ref() noexcept = default;
    explicit Ref(T* object) noexcept : object_(object) { take(); }
    Ref(const Ref& other) noexcept : object_(other.object_) { take(); }
    Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
    template <class Derived>
    Ref(const Ref<Derived>& other) noexcept : object_(other.get()) {  // NOLINT: as pointers convert
        take();
    }
    Ref& operator=(Ref other) noexcept {
        std::swap(object_, other.object_);
        return *this;
    }
    ~Ref() {
        if (object_ != nullptr && --counted()->references_ == 0) delete object_;
    }

    [[nodiscard]] T* get() const noexcept { return object_; }
    /// Nobody else has a share. Not of an empty one.
    [[nodiscard]] bool alone() const noexcept { return counted()->references_ == 1; }
    T* operator->() const noexcept { return object_; }
    T& operator*() const noexcept { return *object_; }
    explicit operator bool() const noexcept { return object_ != nullptr; }

 private:
    [[nodiscard]] Shared* counted() const noexcept { return object_; }
    void take() noexcept {
        if (object_ != nullptr) ++counted()->references_;
    }

    T* object_ = nullptr;
};

}  // namespace worker::connection
