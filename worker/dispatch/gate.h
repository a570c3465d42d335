// worker/dispatch/gate.h: `concurrency`: how many requests a loop serves at once.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "worker/connection/connections.h"
#include "worker/dispatch/waiting_line.h"

namespace worker::dispatch {

/// The places of one loop, and the line of those that wait for one. Loop thread only.
class Gate {
 public:
    /// Whoever waits hears when it has its place.
    class Visitor : public Waiting {
     public:
        virtual void on_admitted() = 0;
    };
    enum class Entry : std::uint8_t { admitted, waits, refused };

    /// `loop` must outlive it.
    Gate(execution::Loop& loop, std::uint32_t places, const Patience& patience)
        : loop_(loop), line_(loop, patience, "requests"), free_(places), places_(places) {}

    /// Whoever is admitted owes a `leave`.
    [[nodiscard]] Entry enter(Visitor& visitor);
    /// The place goes to whoever is next.
    void leave();
    /// It waits no more.
    void quit(Visitor& visitor) { line_.quit(visitor); }

 private:
    execution::Loop& loop_;
    WaitingLine line_;
    std::uint32_t free_;
    const std::uint32_t places_;
};

/// Sessions that need a place from the first byte of a request to the end of its response. While one waits,
/// nothing of its client is read but what came with that first byte, and a client that leaves is gone from
/// the line.
class GatedFactory final : public connection::SessionFactory {
 public:
    /// Both must outlive it. `spared`: by address, where connections need no place.
    GatedFactory(Gate& gate, connection::SessionFactory& inner, std::vector<bool> spared)
        : gate_(gate), inner_(inner), spared_(std::move(spared)) {}
    [[nodiscard]] std::unique_ptr<connection::Session> make(connection::Connection& connection,
                                                            const connection::Memory& memory) override;

 private:
    Gate& gate_;
    connection::SessionFactory& inner_;
    std::vector<bool> spared_;
};

}  // namespace worker::dispatch
