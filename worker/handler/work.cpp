#include "worker/handler/work.h"

#include "conf/work_types.h"
#include "worker/execution/exertion.h"
#include "worker/handler/own_text.h"

namespace worker::handler {

conf::WorkAmount work_amount(const conf::Work& work, const http::Exchange& exchange) {
    return work.query ? conf::work_by_query(exchange.request.target.query, work.amount) : work.amount;
}

void Work::handle(http::Exchange& exchange) {
    const auto amount = work_amount(work_, exchange);
    execution::exert(amount);
    answer_work(exchange, amount);
}

void answer_work(http::Exchange& exchange, const conf::WorkAmount& amount) {
    exchange.response.fields = "Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n";
    add_own_text(exchange.response, execution::exertion_text(amount));
    exchange.finish();
}

conf::Route work_as_task(const conf::Route& route) {
    conf::Route task = route;
    task.cgi.params = {{"REEVE_WORK", conf::WorkType{}.print(route.work.amount)}};
    if (route.work.query) task.cgi.params.push_back({"REEVE_WORK_QUERY", "$args"});
    return task;
}

}  // namespace worker::handler
