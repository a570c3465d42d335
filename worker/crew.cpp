#include "worker/crew.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <latch>
#include <utility>

#include "conf/plan.h"
#include "worker/crash_handler.h"
#include "worker/limits.h"

namespace worker {
namespace {

/// They are for the main thread's descriptor (`open_leave_signals`), whichever thread the kernel would
/// choose.
void block_leave_signals() {
    sigset_t leave;
    ::sigemptyset(&leave);
    for (const int number : {SIGTERM, SIGQUIT}) ::sigaddset(&leave, number);
    ::pthread_sigmask(SIG_BLOCK, &leave, nullptr);
}

}  // namespace

Crew::Crew(const House& house, std::function<void()> occupied) : house_(house) {
    block_leave_signals();
    if (!house.crew.has_main) {
        own_.emplace(house, 0, Station::Tidings{{}, [this] { look_if_idle(); }, std::move(occupied)});
        loop_ = &own_->loop();
        return;
    }
    main_.emplace(house.seat.cell->loop, house.config.reeve.slow_loop);
    loop_ = &*main_;
    mailbox_.emplace();
    mailbox_->attach(*loop_);
    std::latch ready(house.crew.loops);
    for (std::uint32_t number = 0; number < house.crew.loops; ++number) {
        Member& member = *members_.emplace_back(std::make_unique<Member>());
        member.thread = std::thread(
            [this, &member, number, &ready] { run(member, number, [&ready] { ready.count_down(); }); });
    }
    ready.wait();
    place_front();
}

/// A member's whole life, in its thread.
void Crew::run(Member& member, std::uint32_t number, const std::function<void()>& ready) {
    const std::uint32_t executor = house_.crew.number_of_loop(number);
    const NotedThread noted(executor);
    ::prctl(PR_SET_NAME, ("loop " + std::to_string(number)).c_str());
    house_.seat.crew.at(executor)->tenant.thread.set(static_cast<std::uint64_t>(::gettid()));
    if (house_.config.execution.cpu_affinity)
        (void)stay_on_processor(house_.seat.slot * house_.crew.loops + number);  // refused: anywhere, then

    Station::Tidings tidings;
    const conf::Execution& knobs = house_.config.execution;
    if (knobs.accept == conf::Accept::handoff && knobs.concurrency > 0)
        tidings.visit_over = [this, number](std::optional<connection::Traveller> traveller) {
            mailbox_->post([this, number, traveller = std::move(traveller)]() mutable {
                lobby_->on_return(number, std::move(traveller));
                look_if_idle();
            });
        };
    tidings.connection_gone = [this] {
        if (draining_.load() && house_.census.open() == 0) mailbox_->post([this] { look_if_idle(); });
    };
    Station station(house_, number, std::move(tidings));
    member.station = &station;
    member.mailbox.attach(station.loop());
    ready();
    station.loop().run();
    station.stop();
    member.mailbox.detach();
}

Crew::~Crew() {
    on_all([](Station& station) { station.loop().stop(); });
    for (const auto& member : members_) member->thread.join();
}

/// What stands between the main loop's acceptors and the others, where it has acceptors.
void Crew::place_front() {
    const conf::Execution& knobs = house_.config.execution;
    if (knobs.accept != conf::Accept::handoff) return;
    std::vector<dispatch::LoopDoor> doors;
    for (std::uint32_t number = 0; number < members_.size(); ++number)
        doors.push_back({members_[number]->mailbox,
                         house_.seat.crew.at(house_.crew.number_of_loop(number))->loop,
                         &members_[number]->station->connections()});
    if (knobs.concurrency == 0) {
        distributor_ = std::make_unique<dispatch::Distributor>(*loop_, knobs.handoff, std::move(doors));
        acceptors_.emplace(*distributor_);
        return;
    }
    const auto first_request_ms = [this](std::uint32_t address) {
        const conf::Server& server = house_.config.servers[house_.router.server(address, {}).index];
        return static_cast<std::uint64_t>(server.limits.header_timeout.count());
    };
    lobby_ = std::make_unique<dispatch::Lobby>(
        *loop_,
        dispatch::Lobby::Rules{knobs.concurrency, patience_of(knobs), first_request_ms,
                               conf::never_shed_addresses(house_.config)},
        house_.census, std::move(doors));
    lobby_->when_gone([this] { look_if_idle(); });
    acceptors_.emplace(*lobby_);
}

void Crew::on_one(std::size_t loop, std::function<void(Station&)> work) {
    if (own_) return work(*own_);
    Member& member = *members_[loop];
    member.mailbox.post([&member, work = std::move(work)] { work(*member.station); });
}

void Crew::on_all(const std::function<void(Station&)>& work) {
    for (std::size_t loop = 0; loop < house_.crew.loops; ++loop) on_one(loop, work);
}

void Crew::accept_from(ipc::SeatListener listener) {
    if (acceptors_) return acceptors_->add(std::move(listener));
    const std::uint32_t loop = own_ ? 0 : listener.loop;
    if (own_) return own_->accept_from(std::move(listener));
    Member& member = *members_.at(loop);
    member.mailbox.post([&member, listener = std::move(listener)]() mutable {
        member.station->accept_from(std::move(listener));
    });
}

void Crew::adopt(ipc::SeatListener listener) {
    listener.adopted = true;
    if (!own_ && !acceptors_) listener.loop = static_cast<std::uint32_t>(loop_that_moves());
    accept_from(std::move(listener));
}

/// In turn, so that they share what is adopted.
std::size_t Crew::loop_that_moves() {
    for (std::size_t tried = 0; tried < members_.size(); ++tried) {
        last_adopter_ = (last_adopter_ + 1) % members_.size();
        const auto number = house_.crew.number_of_loop(static_cast<std::uint32_t>(last_adopter_));
        if (dispatch::moves(house_.seat.crew.at(number)->loop, loop_->clock().now_ms())) break;
    }
    return last_adopter_;
}

void Crew::release(std::uint32_t queue) {
    if (acceptors_) return acceptors_->release(queue);
    on_all([queue](Station& station) { station.release(queue); });
}

void Crew::drain(std::function<void()> when_idle) {
    when_idle_ = std::move(when_idle);
    draining_.store(true);
    if (acceptors_) acceptors_->stop();
    if (lobby_) lobby_->drain();
    on_all([this](Station& station) {
        station.drain();
        if (own_)
            ++drained_;
        else
            mailbox_->post([this] {
                ++drained_;
                look_if_idle();
            });
    });
    look_if_idle();
}

void Crew::look_if_idle() {
    if (!when_idle_ || drained_ < house_.crew.loops || house_.census.open() > 0) return;
    std::exchange(when_idle_, nullptr)();
}

void Crew::crowd(bool on) {
    on_all([on](Station& station) { station.crowd(on); });
}

void Crew::flush(std::function<void()> done) {
    if (own_) {
        own_->flush();
        return done();
    }
    const auto left = std::make_shared<std::size_t>(members_.size());  // counted by the main thread alone
    const auto one_did = [left, done = std::move(done)] {
        if (--*left == 0) done();
    };
    on_all([this, one_did](Station& station) {
        station.flush();
        mailbox_->post(one_did);
    });
}

}  // namespace worker
