#include "worker/execution/standing_line.h"

#include <algorithm>

namespace worker::execution {
namespace {

std::uint64_t to_us(std::chrono::milliseconds time) {
    return static_cast<std::uint64_t>(std::chrono::microseconds(time).count());
}

}  // namespace

StandingLine::StandingLine(std::chrono::milliseconds timeout)
    : timeout_us_(to_us(timeout)),
      short_us_(std::min(timeout_us_, std::max(to_us(short_time_min), timeout_us_ / 10))) {}

void StandingLine::join(Place& place, std::uint64_t now_us, std::uint64_t usual_us) noexcept {
    if (size_++ == 0) since_us_ = now_us;
    const bool brief = standing(now_us, usual_us);
    place.since_us_ = now_us;
    place.due_us_ = now_us + (brief ? std::min(timeout_us_, std::max(short_us_, usual_us)) : timeout_us_);
    place.join(brief ? brief_ : patient_);
}

void StandingLine::leave(Place& place) noexcept {
    if (!place.linked()) return;
    place.unlink();
    --size_;
}

StandingLine::Place* StandingLine::next(std::uint64_t now_us, std::uint64_t usual_us) noexcept {
    if (size_ == 0) return nullptr;
    Link* link = nullptr;
    if (standing(now_us, usual_us))
        link = brief_.linked() ? brief_.previous() : patient_.previous();
    else
        link = patient_.linked() ? patient_.next() : brief_.next();
    return static_cast<Place*>(link);
}

StandingLine::Place* StandingLine::late(std::uint64_t now_us) noexcept {
    for (Link* line : {&patient_, &brief_}) {
        if (!line->linked()) continue;
        auto& oldest = static_cast<Place&>(*line->next());
        if (oldest.due_us_ <= now_us) return &oldest;
    }
    return nullptr;
}

std::optional<std::uint64_t> StandingLine::due_us() const noexcept {
    std::optional<std::uint64_t> first;
    for (const Link* line : {&patient_, &brief_}) {
        if (!line->linked()) continue;
        const auto due = static_cast<const Place&>(*line->next()).due_us_;
        if (!first || due < *first) first = due;
    }
    return first;
}

bool StandingLine::standing(std::uint64_t now_us, std::uint64_t usual_us) const noexcept {
    return usual_us > 0 && now_us - since_us_ >= std::max(to_us(standing_time), usual_us);
}

}  // namespace worker::execution
