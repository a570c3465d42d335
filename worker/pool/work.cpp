#include "worker/pool/work.h"

#include <string>

#include "conf/work_types.h"
#include "worker/execution/exertion.h"

namespace worker::pool {

std::uint32_t work(FastcgiRequest& request) {
    conf::WorkAmount amount;
    if (const auto asked = request.param("REEVE_WORK"); !asked.empty()) {
        const auto parsed = conf::WorkType{}.parse({asked, {}});
        if (!parsed) {
            request.complain("reeve: REEVE_WORK: " + parsed.error() + "\n");
            request.write("Status: 500\r\nContent-Length: 0\r\n\r\n");
            return 1;
        }
        amount = conf::work_by_query(request.param("REEVE_WORK_QUERY"), *parsed);
    }
    execution::exert(amount);
    const std::string text = execution::exertion_text(amount);
    request.write("Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\nContent-Length: " +
                  std::to_string(text.size()) + "\r\n\r\n" + text);
    return 0;
}

}  // namespace worker::pool
