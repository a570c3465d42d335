// worker/handler/fastcgi.h: `fastcgi`: passes a request on to an upstream whose peers speak FastCGI, and the
// response back, as they come.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "worker/handler/cgi_passing.h"

namespace worker::handler {

/// One a route and loop. Owns what is under way, and keeps some for later.
class Fastcgi final : public http::Handler, private CgiPeers {
 public:
    /// All must outlive it.
    Fastcgi(const conf::Route& route, upstream::Upstreams& upstreams, connection::Buffers& buffers,
            const Facts& facts, execution::Loop& loop);
    ~Fastcgi() override;

    void handle(http::Exchange& exchange) override;
    [[nodiscard]] bool streams() const override { return true; }

 private:
    void on_ready(CgiPassing& passing) override;
    void on_failure(CgiPassing& passing, const upstream::Failure& failure) override;
    void on_over(CgiPassing& passing) override;
    [[nodiscard]] std::uint64_t key(const http::Exchange& exchange);
    [[nodiscard]] upstream::Peer* bound_peer(const http::Request& request);

    CgiRoute shared_;
    upstream::Upstream& upstream_;
    Facts facts_;
    TextTemplate key_;
    std::string key_room_;
    std::vector<std::unique_ptr<CgiPassing>> spare_;
    std::vector<std::unique_ptr<CgiPassing>> leaving_;
    std::uint64_t told_us_ = 0, untold_ = 0;
};

}  // namespace worker::handler
