#include <nlohmann/json.hpp>

#include "tests/integration/check.h"
#include "tests/integration/server.h"

namespace integration {

Status parse_status(const std::string& json) {
    const auto all = nlohmann::json::parse(json, nullptr, false);
    if (all.is_discarded()) fail("the status is no JSON: " + json);
    Status status;
    status.master = all.at("master").at("pid");
    status.state = all.at("master").at("state");
    for (const auto& from : all.at("workers")) {
        WorkerStatus& worker = status.workers.emplace_back();
        worker.slot = from.at("slot");
        worker.pid = from.at("pid");
        worker.state = from.at("state");
        worker.in_flight = from.at("in_flight");
        worker.restarts = from.at("restarts");
        worker.connections = from.at("connections");
        worker.accepted = from.at("accepted_total");
        worker.requests = from.at("requests_total");
        worker.refused = from.at("refused_total");
        worker.accept_pauses = from.at("accept_pauses_total");
    }
    for (const auto& listener : all.at("listeners")) status.listeners.push_back(listener.at("address"));
    return status;
}

}  // namespace integration
