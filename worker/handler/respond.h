// worker/handler/respond.h: `respond` and `redirect`: answers that the configuration spells out.
#pragma once

#include <string>

#include "conf/config.h"
#include "worker/handler/text_template.h"
#include "worker/http/exchange.h"

namespace worker::handler {

/// `respond = 200 "text"`. A text without variables is sent from where it is; nothing is made per request.
class Respond final : public http::Handler {
 public:
    /// `clock` must outlive it.
    Respond(const conf::Respond& respond, const Facts& facts, const execution::Clock& clock);
    void handle(http::Exchange& exchange) override;

 private:
    http::Status status_;
    TextTemplate body_;
    std::string fields_;
    Facts facts_;
    const execution::Clock& clock_;
};

/// `redirect = 301 https://$host$uri`.
class Redirect final : public http::Handler {
 public:
    /// `clock` must outlive it.
    Redirect(const conf::Redirect& redirect, const Facts& facts, const execution::Clock& clock);
    void handle(http::Exchange& exchange) override;

 private:
    http::Status status_;
    TextTemplate location_;
    Facts facts_;
    const execution::Clock& clock_;
};

}  // namespace worker::handler
