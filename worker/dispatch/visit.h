// worker/dispatch/visit.h: sessions of connections that are here for the time of one request.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "worker/connection/connections.h"

namespace worker::dispatch {

/// A connection comes with a request, and leaves when that is answered and nothing has come behind it. The
/// place that it had is free then, also where it stays a moment longer to see its client go.
class VisitFactory final : public connection::SessionFactory {
 public:
    /// `inner` must outlive it. `when_over`: called once a visit, unless it ends by leaving; see
    /// `Connections::when_leaving`.
    VisitFactory(connection::SessionFactory& inner, std::function<void()> when_over)
        : inner_(inner), when_over_(std::move(when_over)) {}
    [[nodiscard]] std::unique_ptr<connection::Session> make(connection::Connection& connection,
                                                            const connection::Memory& memory) override;

 private:
    connection::SessionFactory& inner_;
    std::function<void()> when_over_;
};

}  // namespace worker::dispatch
