// worker/execution/deadlines.h: a timer wheel for the many deadlines of a loop's connections.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace worker::execution {

/// A place in a doubly linked ring; unlinks itself when it goes.
class Link {
 public:
    Link() noexcept = default;
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;
    ~Link() { unlink(); }

    [[nodiscard]] bool linked() const noexcept { return next_ != this; }
    [[nodiscard]] Link* next() const noexcept { return next_; }
    [[nodiscard]] Link* previous() const noexcept { return previous_; }
    void unlink() noexcept {
        next_->previous_ = previous_;
        previous_->next_ = next_;
        next_ = previous_ = this;
    }
    /// Becomes the last of the ring that `head` begins.
    void join(Link& head) noexcept {
        unlink();
        previous_ = head.previous_;
        next_ = &head;
        previous_->next_ = this;
        head.previous_ = this;
    }

 private:
    Link* next_ = this;
    Link* previous_ = this;
};

/// Whoever may be too slow. Moving a deadline later, or off, costs one store, no list work: the wheel
/// finds out when it gets there (hashed timing wheel, Varghese and Lauck 1987, scheme 6, made lazy).
class Deadline : private Link {
 public:
    virtual ~Deadline() = default;

    [[nodiscard]] bool armed() const noexcept { return due_ms_ != never; }
    void disarm() noexcept { due_ms_ = never; }
    /// Milliseconds of the monotonic clock; meaningful while armed.
    [[nodiscard]] std::uint64_t due_ms() const noexcept { return due_ms_; }

 protected:
    /// Called once, disarmed, at most two ticks late. May arm again.
    virtual void on_deadline() noexcept = 0;

 private:
    friend class Deadlines;
    static constexpr std::uint64_t never = ~std::uint64_t{0};
    std::uint64_t due_ms_ = never;
    std::uint64_t slot_ms_ = 0;  ///< when the wheel looks at it
};

/// Loop thread only. Every `Deadline` in it must go before it does.
class Deadlines {
 public:
    static constexpr std::uint64_t tick_ms = 100;

    explicit Deadlines(std::uint64_t now_ms) noexcept : reached_(now_ms / tick_ms) {}

    void arm(Deadline& deadline, std::uint64_t due_ms) noexcept;
    /// Calls all that are due; to be called about every `tick_ms`.
    void advance(std::uint64_t now_ms) noexcept;

 private:
    static constexpr std::size_t slots = 1024;  // 102 s; what is due later is looked at once a round

    void place(Deadline& deadline) noexcept;

    std::array<Link, slots> wheel_{};
    std::uint64_t reached_;  // ticks worked off
};

}  // namespace worker::execution
