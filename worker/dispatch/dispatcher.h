// worker/dispatch/dispatcher.h: decides who answers a request; policy only, no I/O.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "conf/config.h"
#include "worker/dispatch/limiter.h"
#include "worker/dispatch/router.h"
#include "worker/execution/loop.h"
#include "worker/http/exchange.h"

namespace worker::dispatch {

/// Told of every exchange that is over.
class Recorder {
 public:
    virtual ~Recorder() = default;
    virtual void record(const http::Exchange& exchange) = 0;
};

/// The application of one loop: router, then the route's handler; errors by `error_page` or plainly.
class Dispatcher final : public http::Application {
 public:
    /// All must outlive it. `handlers` has one a route of the configuration, in its order.
    Dispatcher(const conf::Config& config, const std::vector<conf::Listen>& plan, const Router& router,
               Recorder& recorder, Limiter& limiter, execution::Loop& loop,
               std::vector<std::unique_ptr<http::Handler>> handlers);

    [[nodiscard]] const conf::Limits& limits(std::uint32_t address) const override;
    [[nodiscard]] bool route(http::Exchange& exchange) override;
    void handle(http::Exchange& exchange) override;
    [[nodiscard]] bool streams(const http::Exchange& exchange) const override;
    void refuse(http::Exchange& exchange, http::Status status) override;
    void on_over(const http::Exchange& exchange) override {
        if (exchange.counted) limiter_.leave(exchange);
        recorder_.record(exchange);
    }

 private:
    /// The handler of a route, with an eye on how long it holds up the loop.
    void run(std::size_t route, http::Exchange& exchange);
    const VirtualServer& choose_server(http::Exchange& exchange);
    void allow(http::Exchange& exchange, std::string_view methods);
    [[nodiscard]] const std::string* error_page(const http::Exchange& exchange, http::Status status) const;
    [[nodiscard]] bool serve_error_page(http::Exchange& exchange, http::Status status);
    [[nodiscard]] bool serve_fallback(http::Exchange& exchange, http::Status status);
    [[nodiscard]] bool serve_instead(http::Exchange& exchange, std::string_view path);

    const conf::Config& config_;
    const Router& router_;
    Recorder& recorder_;
    Limiter& limiter_;
    execution::Loop& loop_;
    std::vector<std::unique_ptr<http::Handler>> handlers_;
    std::vector<const conf::Limits*> limits_;  ///< by address
    /// By server, then by route; last: none.
    std::vector<std::vector<http::Terms>> terms_;
    std::deque<std::string> added_;  ///< `add_header` lines, of which `terms_` are views
};

}  // namespace worker::dispatch
