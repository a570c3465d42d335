#include "worker/dispatch/visit.h"

#include "worker/dispatch/passing_session.h"

namespace worker::dispatch {
namespace {

class VisitingSession final : public PassingSession {
 public:
    VisitingSession(std::unique_ptr<connection::Session> inner, const std::function<void()>& when_over)
        : PassingSession(std::move(inner)), when_over_(when_over) {}
    ~VisitingSession() override { end(); }

    std::size_t on_input(std::span<char> input) override {
        const std::size_t taken = inner().on_input(input);
        settle();
        return taken;
    }
    void on_end_of_input() override {
        inner().on_end_of_input();
        settle();
    }
    void on_sent() override {
        inner().on_sent();
        settle();
    }
    void on_wake() override {
        inner().on_wake();
        settle();
    }
    void on_too_slow() override {
        inner().on_too_slow();
        settle();
    }
    void on_broken() override {
        inner().on_broken();
        end();
    }
    [[nodiscard]] connection::Wants wants() const override {
        const connection::Wants wanted = inner().wants();
        return wanted == connection::Wants::input && !inner().serves() ? connection::Wants::leave : wanted;
    }
    /// Asked for when it leaves: then whoever gets it tells of the place too.
    [[nodiscard]] connection::Memory memory() const override {
        over_ = true;
        return inner().memory();
    }

 private:
    /// Done with the request, and with the connection.
    void settle() {
        if (!inner().serves() && wants() != connection::Wants::leave) end();
    }
    void end() {
        if (!std::exchange(over_, true)) when_over_();
    }

    const std::function<void()>& when_over_;
    mutable bool over_ = false;
};

}  // namespace

std::unique_ptr<connection::Session> VisitFactory::make(connection::Connection& connection,
                                                        const connection::Memory& memory) {
    return std::make_unique<VisitingSession>(inner_.make(connection, memory), when_over_);
}

}  // namespace worker::dispatch
