// worker/dispatch/handler_threads.h: `handlers = threads`: each request goes to any thread that is idle.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "worker/connection/shared.h"
#include "worker/dispatch/waiting_line.h"
#include "worker/execution/mailbox.h"
#include "worker/http/exchange.h"

namespace worker::dispatch {

/// What a thread answers with: handlers and files of its own. Built and used by that thread; destroyed by the
/// loop's, once the thread has ended and what it made has been sent.
class ThreadRooms {
 public:
    virtual ~ThreadRooms() = default;
    [[nodiscard]] virtual execution::Loop& loop() noexcept = 0;
    /// Runs the handler of the exchange's route. None: it has been answered. A route: the handler of that one
    /// is to be run on the loop, for it does not answer in one go (an `error_page` may lead there).
    [[nodiscard]] virtual std::optional<std::size_t> handle(http::Exchange& exchange) = 0;
    /// The last that is called in its thread.
    virtual void leave() noexcept = 0;
};

/// The threads beside one loop, and the line of requests that wait for one. The loop hands out the work, to
/// the thread that became idle last; a request whose client leaves is gone from the line. Loop thread only.
class HandlerThreads final : private http::Lender, private http::Carrier {
 public:
    /// Called in each thread, by its number here.
    using Furnish = std::function<std::unique_ptr<ThreadRooms>(std::uint32_t)>;

    /// `loop` must outlive it. Returns when all threads are there.
    HandlerThreads(execution::Loop& loop, std::uint32_t threads, const Patience& patience, Furnish furnish);
    HandlerThreads(const HandlerThreads&) = delete;
    HandlerThreads& operator=(const HandlerThreads&) = delete;
    ~HandlerThreads() override;

    /// The handlers of the loop itself, by route, for what a thread leaves over. Must outlive this.
    void leave_over_to(std::vector<http::Handler*> handlers) { handlers_ = std::move(handlers); }
    /// Has it answered, or refuses it.
    void handle(http::Exchange& exchange);
    /// Waits for what the threads are doing, and ends them. Nothing comes back from then on.
    void stop();

 private:
    struct Thread;
    struct Job;
    friend struct Job;

    void send_later(Job& job, std::uint32_t to);
    void send();
    void work(Thread& thread, http::Exchange& exchange);
    void on_done(std::uint32_t thread, http::Exchange& exchange, std::optional<std::size_t> left_over);
    void refuse(http::Exchange& exchange);

    void on_gone(http::Exchange& exchange) override;
    // What a handler on a thread says: only that it has finished, which is seen when it returns.
    void on_finished(http::Exchange&) override {}
    void on_informed(http::Exchange&, http::Status, std::string_view) override {}
    void on_begun(http::Exchange&) override;
    void on_piece(http::Exchange&, const connection::Chunk&) override;
    void on_given_up(http::Exchange&) override {}
    void on_go_ahead(http::Exchange&) override {}
    void on_body_wanted(http::Exchange&) override {}
    [[nodiscard]] std::uint64_t unsent() const override { return 0; }
    [[nodiscard]] connection::Peer local() const override { return {}; }

    execution::Loop& loop_;
    execution::Mailbox home_;  ///< to the loop
    std::vector<std::unique_ptr<Thread>> threads_;
    std::vector<http::Handler*> handlers_;
    std::vector<std::uint32_t> idle_;  ///< the last one is next
    std::unordered_map<http::Exchange*, std::unique_ptr<Job>> jobs_;
    std::vector<std::pair<http::Exchange*, std::uint32_t>> to_send_;
    WaitingLine line_;
};

/// The handler of a route whose real one may run on a thread.
class Offload final : public http::Handler {
 public:
    /// `inner`: for pages that are made while a request is refused, on the loop.
    Offload(HandlerThreads& threads, std::unique_ptr<http::Handler> inner)
        : threads_(threads), inner_(std::move(inner)) {}
    void handle(http::Exchange& exchange) override {
        if (exchange.error != 0) return inner_->handle(exchange);
        threads_.handle(exchange);
    }
    [[nodiscard]] http::Handler& inner() noexcept { return *inner_; }

 private:
    HandlerThreads& threads_;
    std::unique_ptr<http::Handler> inner_;
};

}  // namespace worker::dispatch
