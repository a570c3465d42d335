// tests/worker/jobs_neighbours_test.cpp: who shares a store says that it lives, judges others late, and hears
// the bell.
#include "worker/jobs/neighbours.h"

#include <deque>

#include "ipc/clock.h"
#include "tests/worker/jobs_world.h"

using namespace jobs_test;
using namespace std::chrono_literals;

namespace {

/// Answers when the test says so.
class Held final : public Keeping {
 public:
    void submit(Operation operation, Answered answered) override {
        asked.emplace_back(std::move(operation), std::move(answered));
    }
    /// The first of them, as it was asked.
    Operation answer(bool stored) {
        REQUIRE_FALSE(asked.empty());
        auto [operation, answered] = std::move(asked.front());
        asked.pop_front();
        const Operation as_it_was = operation;
        const ipc::Error error{"the database is away", {}};
        answered(std::move(operation), stored ? nullptr : &error);
        return as_it_was;
    }
    std::deque<std::pair<Operation, Answered>> asked;
};

struct FakeBell final : Bell {
    struct Seen {
        std::vector<std::string> rung;
        Heard heard;
        bool hushed = false;
    };
    explicit FakeBell(Seen& seen) : seen_(seen) {}
    void ring(const std::string& queue) override { seen_.rung.push_back(queue); }
    void cancel(const std::string& id, std::int64_t fence) override {
        seen_.rung.push_back(id + " " + std::to_string(fence));
    }
    void hush() override { seen_.hushed = true; }

 private:
    Seen& seen_;
};

struct Street {
    explicit Street(std::chrono::milliseconds lease)
        : neighbours({.loop = jobs.world.loop,
                      .keeping = keeping,
                      .runners = *jobs.runners,
                      .owner = "me",
                      .with_us = [this] { return older; },
                      .cancel = [this](const std::string& id, std::int64_t) { cancelled.push_back(id); },
                      .lease = lease,
                      .bell =
                          [this](worker::execution::Loop&, Bell::Heard heard) {
                              bell.heard = std::move(heard);
                              return std::make_unique<FakeBell>(bell);
                          }}) {
        neighbours.begin();
    }
    [[nodiscard]] bool asks() {
        return jobs.world.until([&] { return !keeping.asked.empty(); });
    }

    Backend backend;
    JobsWorld jobs{backend};
    Held keeping;
    FakeBell::Seen bell;
    std::vector<std::string> older, cancelled;
    Neighbours neighbours;
};

}  // namespace

TEST_CASE("nobody is taken for gone before all could say that they live", "[worker][jobs]") {
    Street street(300ms);
    const auto judged_after = [&] {
        const auto before = ipc::monotonic_ms();
        int lives = 0;
        for (;; ++lives) {
            REQUIRE(street.asks());
            const auto said = street.keeping.answer(true);
            if (!std::holds_alternative<Recover>(said)) continue;
            CHECK(std::get<Recover>(said).by_lease);
            break;
        }
        CHECK(lives >= 3);
        return ipc::monotonic_ms() - before;
    };
    CHECK(judged_after() >= 250);

    REQUIRE(street.asks());
    street.keeping.answer(false);
    CHECK(judged_after() >= 250);
}

TEST_CASE("what could not be stored of a life is said again long before the lease is over",
          "[worker][jobs]") {
    Street street(1h);
    street.keeping.answer(false);
    REQUIRE(street.asks());  // within ten seconds
    CHECK(std::holds_alternative<Extend>(street.keeping.answer(true)));
}

TEST_CASE("the lives of older keepers are told with ours", "[worker][jobs]") {
    Street street(300ms);
    street.keeping.answer(true);
    street.older = {"before"};
    REQUIRE(street.asks());
    REQUIRE(street.keeping.asked.size() == 2);
    CHECK(std::get<Extend>(street.keeping.answer(true)).owner == "before");
    CHECK(std::get<Extend>(street.keeping.answer(true)).owner == "me");
}

TEST_CASE("what others have to hear is rung, and what they ring is done", "[worker][jobs]") {
    Street street(1h);
    Enqueue enqueue;
    enqueue.job.queue = "mail";
    street.neighbours.note(enqueue);
    enqueue.answer.what = Enqueue::Answer::What::existing;
    street.neighbours.note(enqueue);
    Cancel cancel;
    cancel.id = "a";
    cancel.answer = {Cancel::Answer::What::running, 7, "somebody else"};
    street.neighbours.note(cancel);
    cancel.answer.owner = "me";
    street.neighbours.note(cancel);
    CHECK(street.bell.rung == std::vector<std::string>{"mail", "a 7"});

    street.bell.heard.cancel("b", 8);
    CHECK(street.cancelled == std::vector<std::string>{"b"});
    CHECK(street.jobs.keeping.claims == 0);
    street.bell.heard.queue("q");
    CHECK(street.jobs.keeping.claims == 1);

    street.neighbours.end();
    CHECK(street.bell.hushed);
}
