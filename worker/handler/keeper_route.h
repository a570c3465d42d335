// worker/handler/keeper_route.h: what `enqueue` and `jobs` have in common: who may ask, bodies, and waiting
// for the keeper.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "conf/config.h"
#include "ipc/event.h"
#include "worker/execution/loop.h"
#include "worker/http/exchange.h"
#include "worker/jobs/body_room.h"
#include "worker/jobs/keeping.h"

namespace worker::handler {

/// One a route and loop. Each request is a visit, which ends with its answer, or when its client leaves; what
/// the keeper says then is of no interest. Loop thread only.
class KeeperRoute : public http::Handler {
 public:
    /// All must outlive it. `body_max`: bytes of a body; beyond: 413. `room`: for all bodies on their way;
    /// beyond: 503. `keeping` must answer no more when this goes.
    KeeperRoute(const conf::Route& route, std::uint64_t body_max, jobs::BodyRoom& room,
                jobs::Keeping& keeping, execution::Loop& loop);
    KeeperRoute(const KeeperRoute&) = delete;
    KeeperRoute& operator=(const KeeperRoute&) = delete;
    ~KeeperRoute() override;

    void handle(http::Exchange& exchange) final;
    [[nodiscard]] bool streams() const final { return true; }

 protected:
    /// What a visit has beyond one question and its answer; goes with it. Not called once the visit has
    /// ended.
    class Part {
     public:
        virtual ~Part() = default;
        /// All that was sent is in the kernel's hands.
        virtual void on_room() {}
        /// The time that was asked for by `wake_after` has come.
        virtual void on_time() {}
        /// The visit has ended: the exchange is gone.
        virtual void on_end() noexcept {}
    };

    class Visit final : public http::Streamer {
     public:
        Visit(KeeperRoute& owner, http::Exchange& exchange, std::uint64_t number);

        [[nodiscard]] http::Exchange& exchange() noexcept { return exchange_; }
        /// From here on it is counted by whoever has it.
        [[nodiscard]] std::string take_body() noexcept {
            share_.give_back();
            return std::move(body_);
        }
        /// It is of no use any more.
        void forget_body() noexcept { (void)take_body(); }
        [[nodiscard]] std::uint64_t number() const noexcept { return number_; }
        void wake_after(std::chrono::milliseconds time) { timer_.arm(time); }
        void sleep() noexcept { timer_.disarm(); }

        std::string name;            ///< what it asks about
        std::unique_ptr<Part> part;  ///< null: it needs none

     private:
        void on_body(std::string_view payload) override;
        void on_body_end() override { owner_.begin(*this); }
        void on_room() override {
            if (part) part->on_room();
        }
        void on_gone() override { owner_.end(*this); }
        void on_time(short what);

        KeeperRoute& owner_;
        http::Exchange& exchange_;
        std::uint64_t number_;
        std::string body_;
        jobs::BodyRoom::Share share_;
        ipc::Event timer_;
    };
    using Then = std::function<void(Visit&, jobs::Operation&&)>;
    using Otherwise = std::function<void(Visit&, const ipc::Error&)>;

    /// A request has come, and nothing else has become of it.
    virtual void opened(Visit&) {}
    /// The request is whole, and may be asked.
    virtual void begin(Visit& visit) = 0;

    /// `then` is called if the client is there yet, and the keeper has answered; else `otherwise`, or it is
    /// 503.
    void ask(Visit& visit, jobs::Operation operation, Then then, Otherwise otherwise = {});
    /// The visit ends with each of these.
    void answer(Visit& visit, http::Status status, std::string json);
    void answer(Visit& visit, http::Status status, std::string_view type, std::string body);
    /// As RFC 9457 has it.
    void refuse(Visit& visit, http::Status status, std::string_view detail);
    /// Of a response that was begun: that was all.
    void finish(Visit& visit);
    /// Not now.
    void refuse_for_now(Visit& visit, std::string_view detail);

    [[nodiscard]] const conf::Route& route() const noexcept { return route_; }

 private:
    /// 0: it may be asked.
    [[nodiscard]] http::Status refusal(http::Exchange& exchange) const;
    void end(Visit& visit);

    const conf::Route& route_;
    std::uint64_t body_max_;
    jobs::BodyRoom& room_;
    jobs::Keeping& keeping_;
    execution::Loop& loop_;
    std::uint64_t next_number_ = 1;
    std::unordered_map<std::uint64_t, std::unique_ptr<Visit>> visits_;
};

}  // namespace worker::handler
