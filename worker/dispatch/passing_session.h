// worker/dispatch/passing_session.h: a session that lets another one speak, for those that decide when it
// may.
#pragma once

#include <memory>
#include <utility>

#include "worker/connection/session.h"

namespace worker::dispatch {

/// Everything goes to the inner session; whoever inherits changes what it must.
class PassingSession : public connection::Session {
 public:
    explicit PassingSession(std::unique_ptr<connection::Session> inner) noexcept : inner_(std::move(inner)) {}

    [[nodiscard]] std::size_t on_input(std::span<char> input) override { return inner_->on_input(input); }
    void on_park() override { inner_->on_park(); }
    void on_end_of_input() override { inner_->on_end_of_input(); }
    void on_sent() override { inner_->on_sent(); }
    void on_slow_send(std::uint64_t ticks) override { inner_->on_slow_send(ticks); }
    void on_wake() override { inner_->on_wake(); }
    void on_too_slow() override { inner_->on_too_slow(); }
    void on_drain() override { inner_->on_drain(); }
    void on_broken() override { inner_->on_broken(); }
    [[nodiscard]] connection::Wants wants() const override { return inner_->wants(); }
    [[nodiscard]] bool serves() const override { return inner_->serves(); }
    [[nodiscard]] connection::Memory memory() const override { return inner_->memory(); }
    [[nodiscard]] bool reads() const override { return inner_->reads(); }
    [[nodiscard]] bool ends_after_output() const override { return inner_->ends_after_output(); }
    [[nodiscard]] std::uint64_t patience_ms() override { return inner_->patience_ms(); }
    [[nodiscard]] std::uint64_t send_patience_ms() const override { return inner_->send_patience_ms(); }

 protected:
    [[nodiscard]] connection::Session& inner() noexcept { return *inner_; }
    [[nodiscard]] const connection::Session& inner() const noexcept { return *inner_; }

 private:
    std::unique_ptr<connection::Session> inner_;
};

}  // namespace worker::dispatch
