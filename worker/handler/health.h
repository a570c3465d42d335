// worker/handler/health.h: `health = live | ready`: what a balancer asks.
#pragma once

#include <atomic>

#include "conf/config.h"
#include "worker/http/exchange.h"

namespace worker::handler {

/// `live`: this loop turns. `ready`: it also wants new work; 503 from the moment a drain is announced.
class Health final : public http::Handler {
 public:
    /// `ready` must outlive it.
    Health(conf::Health kind, const std::atomic<bool>& ready) : kind_(kind), ready_(ready) {}

    void handle(http::Exchange& exchange) override {
        const bool good = kind_ == conf::Health::live || ready_;
        http::Response& response = exchange.response;
        response.status = good ? 200 : 503;
        response.fields = "Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n";
        response.add_lasting(good ? (kind_ == conf::Health::live ? "live\n" : "ready\n") : "draining\n");
        exchange.finish();
    }

 private:
    conf::Health kind_;
    const std::atomic<bool>& ready_;
};

}  // namespace worker::handler
