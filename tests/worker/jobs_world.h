// tests/worker/jobs_world.h: queues whose store is a map, and whose handlers the test plays itself.
#pragma once

#include <sys/un.h>

#include <algorithm>
#include <map>

#include "tests/conf/temporary_folder.h"
#include "tests/worker/upstream_world.h"
#include "worker/http/fastcgi.h"
#include "worker/jobs/runners.h"

namespace jobs_test {

using namespace worker::jobs;

/// A store in memory, as far as runners use it. Answers come on a later turn, in order.
class FakeKeeping final : public Keeping {
 public:
    struct Job {
        Claimed claimed;
        State state = State::ready;
        UnixMs run_at = 0;
        std::vector<Ending> endings;
        bool result_cut = false;
        std::string error, result, result_type, result_fields, progress;
        std::uint16_t result_status = 0;
        std::vector<UnixMs> again;  ///< how long after its end each failed attempt is to wait
        std::uint32_t progresses = 0;
        bool cancelling = false;
    };

    explicit FakeKeeping(worker::execution::Loop& loop)
        : loop_(loop), event_(ipc::Event::timer<&FakeKeeping::on_time>(this, loop.base())) {}

    void submit(Operation operation, Answered answered) override {
        if (std::holds_alternative<Claim>(operation)) {
            ++claims;
            claims_at_once = std::max(claims_at_once, ++claims_under_way_[std::get<Claim>(operation).queue]);
        }
        waiting_.emplace_back(std::move(operation), std::move(answered));
        if (!held) event_.arm(std::chrono::milliseconds(0));
    }
    Job& add(const std::string& id, const std::string& body = "", const std::string& key = "",
             const std::string& queue = "q") {
        Job& job = jobs[id];
        job.claimed.id = id;
        job.claimed.queue = queue;
        job.claimed.body = body;
        job.claimed.key = key;
        job.claimed.attempt = 0;
        job.claimed.attempts = 10;
        order_.push_back(id);
        return job;
    }
    [[nodiscard]] std::size_t count(State state) const {
        return static_cast<std::size_t>(std::count_if(
            jobs.begin(), jobs.end(), [&](const auto& one) { return one.second.state == state; }));
    }
    /// Answers what was held.
    void let_go() {
        held = false;
        event_.arm(std::chrono::milliseconds(0));
    }

    std::map<std::string, Job> jobs;
    int failing = 0;  ///< so many operations that change something are not stored
    bool fails_claims = true, fails_finishes = true;
    bool held = false;                 ///< nothing is answered
    std::function<void()> on_applied;  ///< once: the next operation is done, and not answered yet
    int claims = 0, claims_at_once = 0, failed = 0, finishes = 0;
    std::uint32_t running_max = 0;
    std::size_t elsewhere = 0;  ///< jobs that another keeper runs

 private:
    void on_time(short) {
        loop_.enter();
        auto now = std::exchange(waiting_, {});
        for (auto& [operation, answered] : now) {
            if (auto* claim = std::get_if<Claim>(&operation)) --claims_under_way_[claim->queue];
            const bool may_fail = std::holds_alternative<Claim>(operation)    ? fails_claims
                                  : std::holds_alternative<Finish>(operation) ? fails_finishes
                                                                              : false;
            if (may_fail && failing > 0) {
                --failing;
                ++failed;
                const ipc::Error error{"disk full", {}};
                answered(std::move(operation), &error);
                continue;
            }
            std::visit([this](auto& one) { apply(one); }, operation);
            if (const auto then = std::exchange(on_applied, nullptr)) then();
            answered(std::move(operation), nullptr);
        }
    }
    void apply(Claim& claim) {
        const UnixMs now = loop_.clock().unix_ms();
        for (const std::string& id : order_) {
            Job& job = jobs[id];
            if (job.claimed.queue != claim.queue) continue;
            if (job.state == State::scheduled && job.run_at <= now) job.state = State::ready;
            if (job.state == State::scheduled && (claim.answer.next == 0 || job.run_at < claim.answer.next))
                claim.answer.next = job.run_at;
            if (job.state != State::ready || claim.answer.jobs.size() >= claim.count) continue;
            if (claim.running_max > 0 && count(State::running) + elsewhere >= claim.running_max) {
                claim.answer.held = true;
                continue;
            }
            const auto same = std::count_if(jobs.begin(), jobs.end(), [&](const auto& other) {
                return other.second.state == State::running && other.second.claimed.key == job.claimed.key;
            });
            if (claim.key_concurrency > 0 && !job.claimed.key.empty() && same >= claim.key_concurrency)
                continue;
            job.state = State::running;
            ++job.claimed.fence;
            ++job.claimed.attempt;
            claim.answer.jobs.push_back(job.claimed);
        }
        running_max = std::max(running_max, static_cast<std::uint32_t>(count(State::running)));
    }
    void apply(Finish& finish) {
        ++finishes;
        Job& job = jobs[finish.id];
        if (job.state != State::running || job.claimed.fence != finish.fence) return;
        job.endings.push_back(finish.ending);
        job.error = finish.error;
        finish.answer.accepted = true;
        switch (finish.ending) {
            case Ending::done:
                job.state = State::done;
                job.result = finish.result;
                job.result_type = finish.result_type;
                job.result_cut = finish.result_cut;
                job.result_status = finish.result_status;
                job.result_fields = finish.result_fields;
                break;
            case Ending::failed:
            case Ending::timed_out:
                job.state = State::scheduled;
                job.run_at = finish.again_at;
                job.again.push_back(finish.again_at - loop_.clock().unix_ms());
                break;
            case Ending::permanent: job.state = State::dead; break;
            case Ending::crashed:
                job.state = ++job.claimed.crashes >= finish.crashes_max ? State::dead : State::ready;
                break;
            case Ending::released:
                --job.claimed.attempt;
                job.state = State::ready;
                break;
            case Ending::cancelled: job.state = State::cancelled; break;
            case Ending::lost: FAIL("a runner knows how it ended");
        }
        finish.answer.state = job.state;
    }
    void apply(Progress& progress) {
        Job& job = jobs[progress.id];
        progress.answer.accepted = job.state == State::running && job.claimed.fence == progress.fence;
        if (!progress.answer.accepted) return;
        job.progress = progress.text;
        ++job.progresses;
    }
    void apply(Get& get) {
        get.answer.found = jobs.contains(get.id);
        get.answer.job.cancelling = jobs[get.id].cancelling;
    }
    template <class Other>
    void apply(Other&) {
        FAIL("no runner asks for that");
    }

    worker::execution::Loop& loop_;
    std::vector<std::pair<Operation, Answered>> waiting_;
    std::vector<std::string> order_;
    std::map<std::string, int> claims_under_way_;
    ipc::Event event_;
};

/// Processes of a pool, as far as they show: each a socket, whose connections the test answers.
class Members {
 public:
    explicit Members(std::uint32_t count, std::uint32_t queue = 10) {
        auto made = ipc::PoolTable::create(
            {{.name = "p", .members = count, .size_max = count, .queue = queue, .threads = false}});
        REQUIRE(made);
        table = std::move(*made);
        for (std::uint32_t number = 0; number < count; ++number) {
            ipc::UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
            sockaddr_un address{};
            address.sun_family = AF_UNIX;
            const std::string path = folder_.path(std::to_string(number));
            path.copy(address.sun_path, sizeof address.sun_path - 1);
            REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
            REQUIRE(::listen(socket.get(), 8) == 0);
            table->set_address(0, number, ipc::UniqueFd(::open(path.c_str(), O_PATH | O_CLOEXEC)));
            REQUIRE(table->change(0, number, ipc::MemberState::off, ipc::MemberState::idle, 1));
            sockets_.push_back(std::move(socket));
        }
    }
    void attend() {
        for (auto& socket : sockets_)
            while (true) {
                ipc::UniqueFd taken(::accept4(socket.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
                if (!taken) break;
                talks.emplace_back(std::move(taken));
            }
        for (Conversation& talk : talks) {
            talk.listen();
            talk.talk();
        }
    }
    [[nodiscard]] ipc::MemberState state(std::uint32_t member = 0) const { return table->state(0, member); }
    /// As the master does with those that it has found or made well.
    void revive(ipc::MemberState from, std::uint32_t member = 0) {
        REQUIRE(table->change(0, member, from, ipc::MemberState::idle, 1));
    }

    std::unique_ptr<ipc::PoolTable> table;
    std::deque<Conversation> talks;  ///< in the order they came

 private:
    TemporaryFolder folder_;
    std::vector<ipc::UniqueFd> sockets_;
};

/// What a program that speaks FastCGI says.
inline std::string out(std::string_view text) {
    std::string bytes;
    worker::http::fastcgi::append_record(bytes, worker::http::fastcgi::Type::standard_out, 1, text);
    return bytes;
}
inline std::string err(std::string_view text) {
    std::string bytes;
    worker::http::fastcgi::append_record(bytes, worker::http::fastcgi::Type::standard_error, 1, text);
    return bytes;
}
inline std::string end(std::uint32_t status = 0) {
    std::string bytes;
    worker::http::fastcgi::append_end_request(bytes, 1, {.app_status = status});
    return bytes;
}
inline std::string answer(std::string_view text = "yes") {
    return out("Content-Type: text/plain\n\n" + std::string(text)) + end();
}

/// A queue `q` and who runs it, with `concurrency = 1` and one member, unless changed.
struct JobsWorld {
    using Change = std::function<void(conf::Queue&)>;
    static constexpr std::uint32_t row = 3;

    /// On members of a pool.
    explicit JobsWorld(Members& of, const Change& change = {}) : members(&of), world({}) {
        conf::Queue& queue = add_queue();
        queue.pool = "p";
        if (change) change(queue);
        conf::Pool& pool = config.pools.emplace_back();
        pool.name = "p";
        pool.kill_grace = std::chrono::milliseconds(100);
        begin();
    }
    /// On a peer of an upstream.
    explicit JobsWorld(Backend& backend, const Change& change = {}, const World::Change& upstream = {})
        : world({&backend}, upstream) {
        conf::Queue& queue = add_queue();
        queue.upstream = {"u", "/work"};
        if (change) change(queue);
        begin();
    }

    conf::Queue& add_queue(const std::string& name = "q") {
        conf::Queue& queue = config.queues.emplace_back();
        queue.name = name;
        queue.concurrency = 1;
        queue.backoff = {std::chrono::milliseconds(50), std::chrono::milliseconds(200)};
        return queue;
    }
    void begin() {
        runners.emplace(Runners::Rooms{.config = config,
                                       .loop = world.loop,
                                       .upstreams = world.upstreams(),
                                       .pools = members != nullptr ? members->table.get() : nullptr,
                                       .row = row},
                        keeping, "me");
    }
    bool until(const std::function<bool()>& so) {
        return world.until([&] {
            if (members != nullptr) members->attend();
            return so();
        });
    }
    void settle(int turns = 5) {
        CHECK(until([&] { return turns-- == 0; }));
    }
    void let_pass(std::uint64_t ms) {
        world.let_pass(ms, [this] {
            if (members != nullptr) members->attend();
        });
    }
    /// A member has this on its connection number `at`, and all that belongs to a job.
    Conversation& asked(std::size_t at = 0) {
        std::string end;
        worker::http::fastcgi::append_end_of_stream(end, worker::http::fastcgi::Type::standard_in, 1);
        REQUIRE(until([&] { return members->talks.size() > at && members->talks[at].heard.ends_with(end); }));
        return members->talks[at];
    }
    bool is(const std::string& id, State state) {
        return until([&] { return keeping.jobs.at(id).state == state; });
    }
    bool ended(const std::string& id, std::size_t times) {
        return until([&] { return keeping.jobs.at(id).endings.size() == times; });
    }
    [[nodiscard]] QueueRunner& runner() { return runners->all().front(); }

    Members* members = nullptr;
    conf::Config config;
    World world;
    FakeKeeping keeping{world.loop};
    std::optional<Runners> runners;
};

}  // namespace jobs_test
