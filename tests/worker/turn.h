// tests/worker/turn.h: one turn of a loop, and what is logged meanwhile.
#pragma once

#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <utility>

#include "ipc/event.h"
#include "worker/execution/loop.h"

/// What is logged while it lives.
class Logged {
 public:
    Logged() {
        spdlog::set_default_logger(
            std::make_shared<spdlog::logger>("", std::make_shared<spdlog::sinks::ostream_sink_mt>(text_)));
    }
    Logged(const Logged&) = delete;
    Logged& operator=(const Logged&) = delete;
    ~Logged() { spdlog::set_default_logger(before_); }
    [[nodiscard]] std::string text() const { return text_.str(); }

 private:
    std::ostringstream text_;
    std::shared_ptr<spdlog::logger> before_ = spdlog::default_logger();
};

/// Runs the loop for one turn that does `work`.
class Turn {
 public:
    Turn(worker::execution::Loop& loop, std::function<void()> work,
         std::chrono::milliseconds after = std::chrono::milliseconds(0))
        : loop_(loop), work_(std::move(work)), event_(ipc::Event::timer<&Turn::on_time>(this, loop.base())) {
        event_.arm(after);
        loop.run();
    }

 private:
    void on_time(short) {
        loop_.enter();
        work_();
        loop_.stop();
    }
    worker::execution::Loop& loop_;
    std::function<void()> work_;
    ipc::Event event_;
};
