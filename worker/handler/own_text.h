// worker/handler/own_text.h: a body made for one response, which keeps it until it is sent.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "worker/connection/shared.h"
#include "worker/http/exchange.h"

namespace worker::handler {

struct OwnText final : connection::Shared {
    std::string text;
};

/// Adds `text` to the response's body.
inline void add_own_text(http::Response& response, std::string text) {
    const connection::Ref<OwnText> own(new OwnText);
    own->text = std::move(text);
    response.add({own, own->text.data(), -1, 0, own->text.size()});
}

}  // namespace worker::handler
