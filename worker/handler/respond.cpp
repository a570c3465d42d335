#include "worker/handler/respond.h"

#include "worker/handler/own_text.h"

namespace worker::handler {
namespace {

Escape escape_for(std::string_view type) {
    if (type.starts_with("text/html") || type.find("xml") != std::string_view::npos) return Escape::html;
    return type.find("json") != std::string_view::npos ? Escape::json : Escape::none;
}

}  // namespace

Respond::Respond(const conf::Respond& respond, const Facts& facts, const execution::Clock& clock)
    : status_(respond.status),
      body_(respond.body, escape_for(respond.type)),
      fields_(respond.body.empty() ? std::string() : "Content-Type: " + respond.type + "\r\n"),
      facts_(facts),
      clock_(clock) {}

void Respond::handle(http::Exchange& exchange) {
    http::Response& response = exchange.response;
    if (status_ >= 400 && fields_.empty())
        return exchange.refuse(status_);  // no text of its own: the usual page
    response.status = status_;
    response.fields = fields_;
    if (body_.constant()) {
        response.add_lasting(body_.constant_text());
    } else {
        std::string text;
        body_.append(text, exchange, facts_, clock_);
        add_own_text(response, std::move(text));
    }
    exchange.finish();
}

Redirect::Redirect(const conf::Redirect& redirect, const Facts& facts, const execution::Clock& clock)
    : status_(redirect.status), location_(redirect.location, Escape::uri), facts_(facts), clock_(clock) {}

void Redirect::handle(http::Exchange& exchange) {
    std::string& location = exchange.room;
    location.clear();
    location_.append(location, exchange, facts_, clock_);
    exchange.response.add_field("Location", location);
    exchange.refuse(status_);
}

}  // namespace worker::handler
