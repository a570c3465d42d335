// master/pool_output.cpp: bytes to lines, so many at a time.
#include "master/pool_output.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

namespace master {
namespace {

constexpr std::size_t read_max = 64 * 1024;  ///< at once; as much as a pipe holds
constexpr std::chrono::milliseconds rest{100};

}  // namespace

bool LineBudget::take(std::uint64_t now_ms) noexcept {
    constexpr std::uint64_t period_ms = 1000 / per_second;
    const auto due = std::max(spent_until_ms_, now_ms);
    if (due - now_ms > burst * period_ms) {
        ++untold_;
        return false;
    }
    spent_until_ms_ = due + period_ms;
    return true;
}

std::uint64_t LineBudget::take_untold() noexcept { return std::exchange(untold_, 0); }

PoolOutput::PoolOutput(event_base& loop, ipc::UniqueFd pipe, OnLine on_line)
    : pipe_(std::move(pipe)),
      on_line_(std::move(on_line)),
      readable_(ipc::Event::calling<&PoolOutput::on_readable>(this, loop, pipe_.get(), EV_READ)),
      rested_(ipc::Event::timer<&PoolOutput::on_rested>(this, loop)) {
    readable_.arm();
}

void PoolOutput::on_readable(short) {
    std::size_t took = 0;
    while (took < read_max && read_some()) took += 4096;
    if (!pipe_) return;
    rested_.arm(took < read_max ? std::chrono::milliseconds(0) : rest);
}

void PoolOutput::on_rested(short) { readable_.arm(); }

bool PoolOutput::read_some() {
    std::array<char, 4096> bytes;
    const auto got = pipe_ ? ::read(pipe_.get(), bytes.data(), bytes.size()) : 0;
    if (got > 0) {
        take({bytes.data(), static_cast<std::size_t>(got)});
        return true;
    }
    if (got < 0 && errno == EINTR) return true;
    if (got == 0 || errno != EAGAIN) {  // nobody writes any more
        end_line();
        readable_.disarm();
        pipe_.reset();
    }
    return false;
}

void PoolOutput::take(std::string_view bytes) {
    while (!bytes.empty()) {
        const auto part = bytes.substr(0, bytes.find('\n'));
        const auto piece = part.substr(0, line_max - line_.size());
        line_ += piece;
        bytes.remove_prefix(piece.size());
        const bool ends = !bytes.empty() && bytes.front() == '\n';
        if (ends) bytes.remove_prefix(1);
        if (ends || line_.size() >= line_max) end_line();
    }
}

void PoolOutput::end_line() {
    while (!line_.empty() && line_.back() == '\r') line_.pop_back();
    if (!line_.empty()) on_line_(line_);
    line_.clear();
}

void PoolOutput::drain() {
    for (std::size_t took = 0; took < 2 * read_max && read_some(); took += 4096) {
    }
    end_line();
    readable_.disarm();
    rested_.disarm();
    pipe_.reset();
}

}  // namespace master
