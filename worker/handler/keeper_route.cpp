#include "worker/handler/keeper_route.h"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "ipc/clock.h"
#include "worker/handler/job_request.h"
#include "worker/handler/own_text.h"
#include "worker/http/host.h"

namespace worker::handler {
namespace {

constexpr std::string_view bearer = "bearer ";

/// In a time that says nothing of where they differ.
bool same_secret(std::string_view one, std::string_view other) noexcept {
    unsigned char differs = one.size() == other.size() ? 0 : 1;
    for (std::size_t i = 0; i < one.size() && i < other.size(); ++i)
        differs = static_cast<unsigned char>(differs | (one[i] ^ other[i]));
    return differs == 0;
}

std::string_view authorization_of(const http::Request& request) {
    for (const auto& field : request.fields)
        if (http::equals_ignore_case(request.view(field.name), "authorization"))
            return request.view(field.value);
    return {};
}

}  // namespace

KeeperRoute::Visit::Visit(KeeperRoute& owner, http::Exchange& exchange, std::uint64_t number)
    : owner_(owner),
      exchange_(exchange),
      number_(number),
      share_(owner.room_),
      timer_(ipc::Event::timer<&Visit::on_time>(this, owner.loop_.base())) {}

void KeeperRoute::Visit::on_body(std::string_view payload) {
    if (body_.size() + payload.size() > owner_.body_max_)
        return owner_.refuse(*this, 413, "the body is too large");
    if (!share_.take(payload.size())) return owner_.refuse_for_now(*this, "too many bodies are on their way");
    body_ += payload;
}

void KeeperRoute::Visit::on_time(short) {
    owner_.loop_.enter();
    if (part) part->on_time();
}

KeeperRoute::KeeperRoute(const conf::Route& route, std::uint64_t body_max, jobs::BodyRoom& room,
                         jobs::Keeping& keeping, execution::Loop& loop)
    : route_(route), body_max_(body_max), room_(room), keeping_(keeping), loop_(loop) {}

KeeperRoute::~KeeperRoute() = default;

http::Status KeeperRoute::refusal(http::Exchange& exchange) const {
    const auto& access = route_.jobs;
    if (!access.allow.empty()) {
        connection::Peer::Text room;
        const auto address = exchange.peer.text(room);
        if (std::none_of(access.allow.begin(), access.allow.end(),
                         [&](const auto& network) { return conf::is_in_network(address, network); }))
            return 403;
    }
    if (access.token.empty()) return 0;
    const auto given = authorization_of(exchange.request);
    if (given.size() < bearer.size() || !http::equals_ignore_case(given.substr(0, bearer.size()), bearer))
        return 401;
    return same_secret(given.substr(bearer.size()), access.token) ? http::Status{0} : http::Status{401};
}

void KeeperRoute::handle(http::Exchange& exchange) {
    const auto number = next_number_++;
    auto& visit = *visits_.emplace(number, std::make_unique<Visit>(*this, exchange, number)).first->second;
    exchange.streamer = &visit;
    opened(visit);
    if (const auto status = refusal(exchange); status != 0) {
        if (status == 401) exchange.response.add_field("WWW-Authenticate", "Bearer");
        return refuse(visit, status, status == 401 ? "a bearer token is wanted" : "not from your address");
    }
    if (!exchange.body_follows || exchange.error != 0) return begin(visit);
    if (exchange.body_length.value_or(0) > body_max_) return refuse(visit, 413, "the body is too large");
    exchange.go_ahead();
}

void KeeperRoute::ask(Visit& visit, jobs::Operation operation, Then then, Otherwise otherwise) {
    keeping_.submit(std::move(operation),
                    [this, number = visit.number(), then = std::move(then), otherwise = std::move(otherwise)](
                        jobs::Operation&& over, const ipc::Error* failure) {
                        const auto here = visits_.find(number);
                        if (here == visits_.end()) return;
                        Visit& its = *here->second;
                        if (failure == nullptr) return then(its, std::move(over));
                        if (otherwise) return otherwise(its, *failure);
                        refuse_for_now(its, public_reason(failure->text()));
                    });
}

void KeeperRoute::answer(Visit& visit, http::Status status, std::string json) {
    json += '\n';
    answer(visit, status, "application/json", std::move(json));
}

void KeeperRoute::answer(Visit& visit, http::Status status, std::string_view type, std::string body) {
    http::Exchange& exchange = visit.exchange();
    http::Response& response = exchange.response;
    response.status = status;
    response.add_field("Content-Type", type);
    response.add_field("Cache-Control", "no-store");
    add_own_text(response, std::move(body));
    finish(visit);
}

void KeeperRoute::finish(Visit& visit) {
    http::Exchange& exchange = visit.exchange();
    exchange.streamer = nullptr;
    end(visit);
    exchange.finish();
}

void KeeperRoute::refuse(Visit& visit, http::Status status, std::string_view detail) {
    const nlohmann::json problem{{"status", status}, {"title", http::reason(status)}, {"detail", detail}};
    answer(visit, status, "application/problem+json",
           problem.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

void KeeperRoute::refuse_for_now(Visit& visit, std::string_view detail) {
    visit.exchange().response.add_field("Retry-After", "1");
    refuse(visit, 503, detail);
}

/// It may be on the stack.
void KeeperRoute::end(Visit& visit) {
    const auto here = visits_.find(visit.number());
    if (here == visits_.end()) return;
    visit.sleep();
    visit.forget_body();
    if (visit.part) visit.part->on_end();
    loop_.after_turn([gone = std::shared_ptr<Visit>(std::move(here->second))] {});
    visits_.erase(here);
}

}  // namespace worker::handler
