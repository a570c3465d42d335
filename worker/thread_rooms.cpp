#include "worker/thread_rooms.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "worker/crash_handler.h"
#include "worker/execution/short_slice.h"

namespace worker {
namespace {

using namespace std::chrono_literals;

/// A thread may take its time: that is what it is for.
constexpr std::chrono::milliseconds never_slow = 24h;

/// The loop counts and logs.
class NoRecorder final : public dispatch::Recorder {
 public:
    void record(const http::Exchange&) override {}
};

/// In place of a handler that does not answer in one go.
class LeftOver final : public http::Handler {
 public:
    LeftOver(std::size_t route, std::optional<std::size_t>& left_over)
        : route_(route), left_over_(left_over) {}
    void handle(http::Exchange&) override { left_over_ = route_; }

 private:
    std::size_t route_;
    std::optional<std::size_t>& left_over_;
};

class Rooms final : public dispatch::ThreadRooms {
 public:
    Rooms(const House& house, std::uint32_t number)
        : noted_(std::in_place, number),
          cell_(*house.desk(number).cell),
          loop_(cell_.loop, never_slow),
          files_(house.config.execution, loop_),
          limiter_(house.config, house.desk(number), loop_.clock()),
          dispatcher_(house.config, house.plan, house.router, recorder_, limiter_, loop_,
                      make_handlers(house)) {
        ::prctl(PR_SET_NAME, ("handler " + std::to_string(number)).c_str());
        cell_.tenant.thread.set(static_cast<std::uint64_t>(::gettid()));
        // The loop may have long turns: where both are on one processor, a request would wait for their end.
        (void)execution::ask_for_slice(execution::shortest_slice);  // without it they are but slower
    }

    [[nodiscard]] execution::Loop& loop() noexcept override { return loop_; }
    void leave() noexcept override { noted_.reset(); }
    [[nodiscard]] std::optional<std::size_t> handle(http::Exchange& exchange) override {
        loop_.enter();
        left_over_.reset();
        cell_.loop.in_flight.begin(exchange.request.begin_of_line());
        cell_.loop.busy.set(1);
        exchange.serve_by(dispatcher_);
        dispatcher_.handle(exchange);
        cell_.loop.busy.set(0);
        cell_.loop.in_flight.end();
        return left_over_;
    }

 private:
    std::vector<std::unique_ptr<http::Handler>> make_handlers(const House& house) {
        std::vector<std::unique_ptr<http::Handler>> handlers;
        for (const conf::Route& route : house.config.routes) {
            const auto index = static_cast<std::uint32_t>(handlers.size());
            if (handler::answers_in_one_go(route))
                handlers.push_back(handler::make_local_handler(route, index, house.config, loop_, files_,
                                                               house.about.facts));
            else
                handlers.push_back(std::make_unique<LeftOver>(index, left_over_));
        }
        return handlers;
    }

    std::optional<NotedThread> noted_;
    ipc::WorkerCell& cell_;
    std::optional<std::size_t> left_over_;
    execution::Loop loop_;
    handler::FileCache files_;
    NoRecorder recorder_;
    dispatch::Limiter limiter_;
    dispatch::Dispatcher dispatcher_;
};

}  // namespace

std::unique_ptr<dispatch::ThreadRooms> make_thread_rooms(const House& house, std::uint32_t number) {
    return std::make_unique<Rooms>(house, number);
}

}  // namespace worker
