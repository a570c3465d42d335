#include "worker/handler/jobs_description.h"

#include <nlohmann/json.hpp>

namespace worker::handler {
namespace {

using Json = nlohmann::ordered_json;

Json parameter(const char* name, const char* in, const char* description, const char* type = "string") {
    return {{"name", name},
            {"in", in},
            {"required", std::string_view(in) == "path"},
            {"description", description},
            {"schema", {{"type", type}}}};
}

Json response(const char* description, const char* schema = nullptr) {
    Json json{{"description", description}};
    if (schema != nullptr)
        json["content"]["application/json"]["schema"]["$ref"] = std::string("#/components/schemas/") + schema;
    return json;
}

Json operation(const char* id, const char* summary, Json parameters, Json responses) {
    return {{"operationId", id},
            {"summary", summary},
            {"parameters", std::move(parameters)},
            {"responses", std::move(responses)}};
}

Json of(const char* type) { return {{"type", type}}; }

Json schemas() {
    const Json state{{"type", "string"},
                     {"enum", {"scheduled", "ready", "running", "done", "dead", "cancelled"}}};
    const Json moment{{"type", Json::array({"string", "null"})}, {"format", "date-time"}};
    const Json attempt{{"type", "object"},
                       {"properties",
                        {{"attempt", of("integer")},
                         {"started", moment},
                         {"ended", moment},
                         {"ending", of("string")},
                         {"error", of("string")}}}};
    const Json job{{"type", "object"},
                   {"properties",
                    {{"id", of("string")},
                     {"queue", of("string")},
                     {"state", state},
                     {"priority", of("integer")},
                     {"attempts", of("integer")},
                     {"attempts_max", of("integer")},
                     {"crashes", of("integer")},
                     {"created", moment},
                     {"run_at", moment},
                     {"started", moment},
                     {"ended", moment},
                     {"size", of("integer")},
                     {"key", of("string")},
                     {"callback", of("string")},
                     {"reason", of("string")},
                     {"progress", of("string")},
                     {"cancelling", of("boolean")},
                     {"result",
                      {{"type", "object"},
                       {"properties",
                        {{"type", of("string")},
                         {"size", of("integer")},
                         {"cut", of("boolean")},
                         {"status", of("integer")},
                         {"fields", {{"type", "object"}, {"additionalProperties", of("string")}}},
                         {"href", of("string")}}}}},
                     {"history", {{"type", "array"}, {"items", attempt}}}}}};
    const Json queue{{"type", "object"},
                     {"properties",
                      {{"name", of("string")},
                       {"configured", of("boolean")},
                       {"paused", of("boolean")},
                       {"scheduled", of("integer")},
                       {"ready", of("integer")},
                       {"running", of("integer")},
                       {"done", of("integer")},
                       {"dead", of("integer")},
                       {"cancelled", of("integer")},
                       {"bytes", of("integer")},
                       {"oldest_ready_seconds", of("number")},
                       {"next_scheduled", moment}}}};
    const Json list{{"type", "object"},
                    {"properties",
                     {{"jobs", {{"type", "array"}, {"items", {{"$ref", "#/components/schemas/Job"}}}}},
                      {"next", {{"type", Json::array({"string", "null"})}}}}}};
    const Json stats{
        {"type", "object"},
        {"properties",
         {{"queues", {{"type", "array"}, {"items", {{"$ref", "#/components/schemas/Queue"}}}}}}}};
    const Json nullable{{"type", Json::array({"string", "null"})}, {"format", "date-time"}};
    const Json schedule{{"type", "object"},
                        {"properties",
                         {{"name", of("string")},
                          {"cron", of("string")},
                          {"timezone", of("string")},
                          {"every", of("string")},
                          {"queue", of("string")},
                          {"missed", of("string")},
                          {"last_run", nullable},
                          {"next_run", nullable},
                          {"runs", of("integer")},
                          {"missed_runs", of("integer")}}}};
    const Json schedules{
        {"type", "object"},
        {"properties",
         {{"schedules", {{"type", "array"}, {"items", {{"$ref", "#/components/schemas/Schedule"}}}}}}}};
    return {{"Job", job},     {"Jobs", list},         {"Queue", queue},
            {"Stats", stats}, {"Schedule", schedule}, {"Schedules", schedules}};
}

}  // namespace

std::string jobs_description(std::string_view path, bool token) {
    const Json id = parameter("id", "path", "the name that the job was given");
    const Json name = parameter("name", "path", "the queue's name");
    const Json states = parameter("state", "query", "states, with commas between them");
    const auto none = response("there is no such job, or not any more");
    const auto unable = response("the store cannot be had; see Retry-After");
    Json paths;
    paths["/"]["get"] = operation("list", "Jobs, newest first",
                                  {parameter("queue", "query", "of this queue alone"), states,
                                   parameter("limit", "query", "so many at most, 1 to 1000; 50", "integer"),
                                   parameter("after", "query", "`next` of the answer before")},
                                  {{"200", response("jobs without their history", "Jobs")}, {"503", unable}});
    paths["/{id}"]["get"] = operation(
        "get", "One job",
        {id, parameter("wait", "query", "until it is over, but no longer than so many seconds; 60")},
        {{"200", response("the job", "Job")}, {"404", none}, {"503", unable}});
    paths["/{id}"]["delete"] = operation("cancel", "Cancels it, also while it runs", {id},
                                         {{"200", response("it is cancelled")},
                                          {"202", response("it runs, and is being ended")},
                                          {"404", none},
                                          {"409", response("it is over")},
                                          {"503", unable}});
    paths["/{id}/events"]["get"] = operation(
        "events",
        "What becomes of it, as server-sent events: `state`, `attempt`, `progress`, each with the job", {id},
        {{"200",
          {{"description", "until it is over"},
           {"content", {{"text/event-stream", {{"schema", of("string")}}}}}}},
         {"204", response("it is over, and the client has been told (Last-Event-ID)")},
         {"404", none},
         {"503", response("the store cannot be had, or too many follow; see Retry-After")}});
    paths["/{id}/result"]["get"] =
        operation("result", "What it has come to, with its own content type", {id},
                  {{"200", response("the result")}, {"404", response("there is none")}, {"503", unable}});
    paths["/{id}/retry"]["post"] =
        operation("retry", "A dead or cancelled one again, a scheduled one now", {id},
                  {{"202", response("it is ready")},
                   {"404", none},
                   {"409", response("it is ready, runs or is done")},
                   {"503", unable}});
    paths["/queues/{name}/pause"]["post"] = operation(
        "pause", "Takes jobs and runs none, over restarts", {name},
        {{"200", response("it is paused")}, {"404", response("there is no such queue")}, {"503", unable}});
    paths["/queues/{name}/resume"]["post"] = operation(
        "resume", "Runs jobs again", {name},
        {{"200", response("it goes on")}, {"404", response("there is no such queue")}, {"503", unable}});
    paths["/queues/{name}/purge"]["post"] = operation(
        "purge", "Deletes jobs that do not run",
        {name, states, parameter("before", "query", "that came before this moment (RFC 3339)")},
        {{"200", response("they are gone")}, {"404", response("there is no such queue")}, {"503", unable}});
    paths["/stats"]["get"] = operation("stats", "How many jobs of each state there are", Json::array(),
                                       {{"200", response("all queues", "Stats")}, {"503", unable}});
    paths["/schedules"]["get"] = operation("schedules", "When jobs are made by the clock", Json::array(),
                                           {{"200", response("all schedules", "Schedules")}});
    auto base = std::string(path);
    if (base.size() > 1) base.pop_back();
    Json all{{"openapi", "3.1.0"},
             {"info", {{"title", "Jobs of reeve"}, {"version", REEVE_VERSION}}},
             {"servers", {{{"url", base}}}},
             {"paths", std::move(paths)},
             {"components", {{"schemas", schemas()}}}};
    if (token) {
        all["components"]["securitySchemes"]["token"] = {{"type", "http"}, {"scheme", "bearer"}};
        all["security"] = Json::array({Json{{"token", Json::array()}}});
    }
    return all.dump(2) + "\n";
}

}  // namespace worker::handler
