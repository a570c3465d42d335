#include "worker/dispatch/gate.h"

#include <cstdlib>
#include <utility>

#include "worker/dispatch/passing_session.h"

namespace worker::dispatch {
namespace {

/// One connection at the gate.
// outside ──first byte──▶ inside ──answered──▶ outside
//    │ └──no place free──▶ waiting ──place──▶ │
//    └──no room───────────▶ │ └──late──▶ refused
class GatedSession final : public PassingSession, private Gate::Visitor {
 public:
    GatedSession(Gate& gate, connection::Connection& connection, std::unique_ptr<connection::Session> inner)
        : PassingSession(std::move(inner)), gate_(gate), connection_(connection) {}
    ~GatedSession() override { go(); }

    std::size_t on_input(std::span<char> input) override {
        if (state_ == State::outside) try_to_enter();
        switch (state_) {
            case State::outside:
            case State::waiting: return 0;
            case State::refused: answer_busy(); return input.size();
            case State::inside: break;
        }
        const std::size_t taken = inner().on_input(input);
        settle();
        return taken;
    }
    void on_end_of_input() override {
        inner().on_end_of_input();
        settle();
    }
    void on_sent() override {
        if (state_ == State::refused) return;
        inner().on_sent();
        settle();
    }
    void on_wake() override {
        if (state_ == State::refused) return answer_busy();
        if (std::exchange(admitted_, false)) return;  // what waited comes again, by `on_input`
        inner().on_wake();
        settle();
    }
    void on_too_slow() override {
        inner().on_too_slow();
        settle();
    }
    void on_broken() override {
        inner().on_broken();
        go();
    }
    [[nodiscard]] connection::Wants wants() const override {
        switch (state_) {
            case State::outside:
            case State::inside: return inner().wants();
            // Not `nothing`: whether the client leaves is to be seen.
            case State::waiting: return connection::Wants::stream;
            case State::refused: return connection::Wants::linger;
        }
        std::abort();
    }
    [[nodiscard]] bool serves() const override { return state_ == State::waiting || inner().serves(); }
    [[nodiscard]] bool reads() const override { return state_ == State::inside && inner().reads(); }
    [[nodiscard]] std::uint64_t patience_ms() override {
        return state_ == State::waiting || state_ == State::refused ? 0 : inner().patience_ms();
    }

 private:
    enum class State : std::uint8_t { outside, waiting, inside, refused };

    void try_to_enter() {
        switch (gate_.enter(*this)) {
            case Gate::Entry::admitted: state_ = State::inside; return;
            case Gate::Entry::waits: state_ = State::waiting; return;
            case Gate::Entry::refused: state_ = State::refused; return;
        }
    }
    void on_admitted() override {
        state_ = State::inside;
        admitted_ = true;
        connection_.wake();
    }
    void on_late() noexcept override {
        state_ = State::refused;
        connection_.wake();
    }
    void answer_busy() {
        if (!std::exchange(answered_, true)) connection_.output().append(connection::busy);
    }
    /// The place is somebody else's as soon as the response is out.
    void settle() {
        if (state_ == State::inside && !inner().serves()) go();
    }
    void go() {
        if (state_ == State::inside) {
            state_ = State::outside;
            gate_.leave();
        } else if (state_ == State::waiting) {
            state_ = State::outside;
            gate_.quit(*this);
        }
    }

    Gate& gate_;
    connection::Connection& connection_;
    State state_ = State::outside;
    bool admitted_ = false;  ///< and not told yet
    bool answered_ = false;
};

}  // namespace

Gate::Entry Gate::enter(Visitor& visitor) {
    if (free_ > 0) {
        --free_;
        loop_.cell().busy.set(places_ - free_);
        return Entry::admitted;
    }
    return line_.join(visitor) ? Entry::waits : Entry::refused;
}

void Gate::leave() {
    if (auto* next = line_.next()) return static_cast<Visitor*>(next)->on_admitted();
    ++free_;
    loop_.cell().busy.set(places_ - free_);
}

std::unique_ptr<connection::Session> GatedFactory::make(connection::Connection& connection,
                                                        const connection::Memory& memory) {
    if (spared_.at(connection.address())) return inner_.make(connection, memory);
    return std::make_unique<GatedSession>(gate_, connection, inner_.make(connection, memory));
}

}  // namespace worker::dispatch
