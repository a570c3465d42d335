// worker/jobs/body_room.h: how much of bodies may be on its way to jobs, of all requests of a loop together.
#pragma once

#include <cstdint>
#include <utility>

namespace worker::jobs {

/// Bytes that have come of bodies that are not whole yet: what clients announce takes no room. Loop thread
/// only.
class BodyRoom {
 public:
    explicit BodyRoom(std::uint64_t most) noexcept : most_(most) {}

    /// What one body has of it; given back with it. The room outlives what it has given.
    class Share {
     public:
        explicit Share(BodyRoom& of) noexcept : of_(of) {}
        Share(const Share&) = delete;
        Share& operator=(const Share&) = delete;
        ~Share() { give_back(); }

        /// False: there is no room for so much more, and nothing was taken.
        [[nodiscard]] bool take(std::uint64_t bytes) noexcept {
            if (bytes > of_.most_ - of_.used_) return false;
            of_.used_ += bytes;
            bytes_ += bytes;
            return true;
        }
        /// What has given all back may outlive the room.
        void give_back() noexcept {
            if (bytes_ > 0) of_.used_ -= std::exchange(bytes_, 0);
        }

     private:
        BodyRoom& of_;
        std::uint64_t bytes_ = 0;
    };

    [[nodiscard]] std::uint64_t used() const noexcept { return used_; }

 private:
    const std::uint64_t most_;
    std::uint64_t used_ = 0;
};

}  // namespace worker::jobs
