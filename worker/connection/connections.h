// worker/connection/connections.h: all connections of one loop, and the memory they share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "worker/connection/connection.h"
#include "worker/connection/reception.h"
#include "worker/execution/loop.h"

namespace worker::connection {

/// Gives a new connection its protocol.
class SessionFactory {
 public:
    virtual ~SessionFactory() = default;
    [[nodiscard]] virtual std::unique_ptr<Session> make(Connection& connection, const Memory& memory) = 0;
};

/// The bytes that were read and not yet taken, in the loop's one buffer; empty between turns.
struct Input {
    std::vector<char> memory;
    std::size_t begin = 0, end = 0;

    [[nodiscard]] std::span<char> bytes() noexcept { return std::span(memory).subspan(begin, end - begin); }
    [[nodiscard]] bool empty() const noexcept { return begin == end; }
    void clear() noexcept { begin = end = 0; }
};

/// Owns the connections; ends with them. Loop thread only.
class Connections final : public Reception {
 public:
    /// `input_bytes`: the most that one connection may have read and not taken.
    /// `census`: of all in this process; must outlive it.
    Connections(execution::Loop& loop, SessionFactory& factory, std::size_t input_bytes, Census& census);
    Connections(const Connections&) = delete;
    Connections& operator=(const Connections&) = delete;
    ~Connections() override;

    /// Serves a fresh client. Over the limit it is told 503 and closed, and counted.
    void open(ipc::UniqueFd socket, const Peer& peer, std::uint32_t address) override;
    /// From now on connections speak this protocol; must outlive them.
    void speak(SessionFactory& factory) noexcept { factory_ = &factory; }
    /// Goes on with one that another loop began, and that the census knows.
    void take_in(Traveller traveller);
    /// Where those go whose session wants to leave; without it none may.
    void when_leaving(std::function<void(Traveller)> work) { when_leaving_ = std::move(work); }
    /// Every connection finishes what it has begun and goes; idle ones stay a moment to answer what is on its
    /// way.
    void drain();
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    /// Calls `work` when a connection has gone: on the loop, after its turn.
    void when_closed(std::function<void()> work) { when_closed_ = std::move(work); }

    // For the connections.

    [[nodiscard]] execution::Loop& loop() noexcept override { return loop_; }
    [[nodiscard]] Input& input() noexcept { return input_; }
    [[nodiscard]] std::unique_ptr<Output> borrow_output();
    void give_back(std::unique_ptr<Output> output);
    /// A whole answer was out in one turn.
    void note_short_answer() noexcept { short_answer_ms_ = loop_.clock().now_ms(); }
    /// Whether there was such a one lately: then nobody should have long turns.
    [[nodiscard]] bool has_short_answers() const noexcept {
        return loop_.clock().now_ms() - short_answer_ms_ < 100;
    }
    /// Destroys it after this turn.
    void retire(Connection& connection);
    /// Gives its socket away.
    void depart(Connection& connection);

 private:
    void add(ipc::UniqueFd socket, const Peer& peer, std::uint32_t address, std::uint64_t id,
             const Memory& memory);
    void bury();

    execution::Loop& loop_;
    SessionFactory* factory_;
    Input input_;
    Census& census_;
    std::size_t size_ = 0;
    std::uint64_t short_answer_ms_ = 0;  ///< when there was one last
    execution::Link open_;
    std::vector<Connection*> retired_;
    std::vector<std::unique_ptr<Output>> outputs_;  ///< spare ones
    std::function<void()> when_closed_;
    std::function<void(Traveller)> when_leaving_;
};

}  // namespace worker::connection
