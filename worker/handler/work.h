// worker/handler/work.h: `work`: stands in for real work, so that models can be tried and measured.
#pragma once

#include "conf/config.h"
#include "worker/http/exchange.h"

namespace worker::handler {

/// Does it where it is called: on a loop it holds up everybody else there, which is what it is for.
class Work final : public http::Handler {
 public:
    explicit Work(const conf::Work& work) : work_(work) {}
    void handle(http::Exchange& exchange) override;

 private:
    conf::Work work_;
};

/// What a request of such a route is to do.
[[nodiscard]] conf::WorkAmount work_amount(const conf::Work& work, const http::Exchange& exchange);
/// Once it is done.
void answer_work(http::Exchange& exchange, const conf::WorkAmount& amount);

/// The route of `work_pool`, a pool of processes, as one of `pool`: its params say what is to be done.
[[nodiscard]] conf::Route work_as_task(const conf::Route& route);

}  // namespace worker::handler
