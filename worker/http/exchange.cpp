#include "worker/http/exchange.h"

namespace worker::http {

void Exchange::begin(Carrier& carrier, Application& application, const connection::Peer& from,
                     std::uint64_t id) {
    request.clear();
    response.clear();
    server = nullptr;
    route = nullptr;
    terms = &no_terms;
    peer = from;
    connection_id = id;
    connection_requests = 0;
    address = 0;
    secure = false;
    begun_us = 0;
    bytes_sent = body_bytes_sent = bytes_received = 0;
    error = 0;
    fallback = false;
    counted.reset();
    keep_alive = finished = false;
    streamer = nullptr;
    body_follows = body_paused = begun = tunnel = false;
    body_length.reset();
    upstream_tries.clear();
    upstream_status = 0;
    upstream_us = 0;
    upstream_failure = {};
    carrier_ = &carrier;
    application_ = &application;
}

void Exchange::refuse(Status status) { application_->refuse(*this, status); }

}  // namespace worker::http
