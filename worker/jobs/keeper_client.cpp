#include "worker/jobs/keeper_client.h"

#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "ipc/clock.h"
#include "ipc/unique_fd.h"

namespace worker::jobs {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds first_delay{5}, longest_delay{200};

/// A connection, which waits where nobody accepts yet; none with errno set when there cannot be one.
ipc::UniqueFd connect_to_keeper(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    ipc::UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (socket && ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
        return {};
    return socket;
}

}  // namespace

KeeperClient::KeeperClient(execution::Loop& loop, Terms terms)
    : loop_(loop),
      terms_(std::move(terms)),
      watchers_(terms_.watchers),
      bodies_(terms_.bodies),
      again_(ipc::Event::timer<&KeeperClient::on_again>(this, loop.base())),
      due_(ipc::Event::timer<&KeeperClient::on_due>(this, loop.base())) {
    connect();
}

KeeperClient::~KeeperClient() = default;

void KeeperClient::submit(Operation operation, Answered answered) {
    const auto bytes = weight(operation);
    const bool reads = only_reads(operation);
    Load& load = reads ? reading_ : changing_;
    const auto unsent = socket_ && !reads ? socket_->unsent() : 0;  // of those that are late, too
    if (load.operations >= terms_.operations ||
        std::max(load.bytes, unsent) + bytes > (reads ? terms_.reading_bytes : terms_.bytes))
        return refuse(std::move(operation), std::move(answered), "too much waits for the keeper");
    while (next_number_ == 0 || pending_.contains(next_number_)) ++next_number_;
    const auto number = next_number_++;
    const auto due = ipc::monotonic_ms() + static_cast<std::uint64_t>(terms_.timeout.count());
    const auto here =
        pending_.emplace(number, Pending{std::move(operation), std::move(answered), due, bytes, reads}).first;
    ++load.operations;
    load.bytes += bytes;
    if (reads) unsaid_.insert(number);
    if (!due_.armed()) due_.arm(terms_.timeout);
    if (socket_ && socket_->open()) {
        if (reads) return say_more();  // in their turn
        write(number, here->second);
        return flush_later();
    }
    if (!again_.armed()) connect();
}

void KeeperClient::refuse(Operation&& operation, Answered&& answered, const char* why) {
    struct Refused {
        Operation operation;
        Answered answered;
        ipc::Error why;
    };
    auto refused = std::make_shared<Refused>(Refused{std::move(operation), std::move(answered), {why, {}}});
    loop_.after_turn([refused] { refused->answered(std::move(refused->operation), &refused->why); });
}

/// One that only reads waits until the keeper has answered others; a large one goes alone.
bool KeeperClient::may_say(const Pending& pending) const noexcept {
    return !pending.reads || said_bytes_ == 0 || said_bytes_ + pending.bytes <= terms_.said_bytes;
}

/// Of what only reads, in the order it was submitted.
void KeeperClient::say_more() {
    if (!socket_ || !socket_->open()) return;
    while (!unsaid_.empty()) {
        const auto number = *unsaid_.begin();
        Pending& pending = pending_.at(number);
        if (!may_say(pending)) return;
        write(number, pending);
        flush_later();
    }
}

/// One write for all that is said in a turn.
void KeeperClient::flush_later() {
    if (std::exchange(flushes_, true)) return;
    loop_.after_turn([this] {
        flushes_ = false;
        if (socket_) socket_->flush();
    });
}

void KeeperClient::write(std::uint32_t number, Pending& pending) {
    append_ask(socket_->out(), number, pending.operation, pending.due_ms);
    pending.end = socket_->went() + socket_->unsent();
    pending.said = true;
    if (!pending.reads) return;
    said_bytes_ += pending.bytes;
    unsaid_.erase(number);
}

void KeeperClient::connect() {
    auto connected = connect_to_keeper(terms_.path);
    if (!connected) {
        spdlog::debug("the keeper cannot be reached why={:?}", ipc::system_error("connect").value().text());
        return connect_later();
    }
    FrameReceiver& receiver = *this;
    socket_ = std::make_unique<FrameSocket>(loop_, std::move(connected), receiver);
    append_hello(socket_->out(), terms_.owner);
    said_bytes_ = 0;
    for (auto& [number, pending] : pending_) {
        pending.said = false;
        pending.end = 0;
        if (!pending.reads)
            write(number, pending);
        else
            unsaid_.insert(number);
    }
    say_more();
    watchers_.for_jobs([this](const std::string& id) { append_watch(socket_->out(), id); });
    socket_->flush();
    // Whatever has happened since the last one has not been told. Not from within `watch`.
    if (!watchers_.empty() && had_one_) loop_.after_turn([this] { watchers_.tell_all_changed(); });
    had_one_ = true;
    if (terms_.connected) loop_.after_turn([this] { terms_.connected(); });
}

void KeeperClient::connect_later() {
    delay_ = std::clamp(delay_ * 2, first_delay, longest_delay);
    again_.arm(delay_);
}

void KeeperClient::on_again(short) {
    loop_.enter();
    if (!socket_) connect();
}

void KeeperClient::on_broken(std::string_view) { drop_socket(); }

void KeeperClient::drop_socket() {
    // It may be on the stack. The next one begins empty: what was said to this one is said again.
    socket_->close();
    loop_.after_turn([gone = std::shared_ptr<FrameSocket>(std::move(socket_))] {});
    connect_later();
}

bool KeeperClient::watch(const std::string& id, JobWatcher& watcher) {
    if (leaving_) return false;
    const auto added = watchers_.add(id, watcher);
    if (added == Watchers::Added::refused) return false;
    if (added == Watchers::Added::another) return true;
    if (socket_ && socket_->open()) {
        append_watch(socket_->out(), id);
        flush_later();
    } else if (!again_.armed()) {
        connect();
    }
    return true;
}

void KeeperClient::unwatch(const std::string& id, JobWatcher& watcher) noexcept {
    if (!watchers_.remove(id, watcher) || !socket_ || !socket_->open()) return;
    append_unwatch(socket_->out(), id);
    flush_later();
}

void KeeperClient::take_leave() {
    leaving_ = true;
    watchers_.tell_leaving();
}

void KeeperClient::on_frame(const Frame& frame) {
    delay_ = milliseconds(0);
    if (frame.head.kind == FrameKind::changed) {
        if (const auto id = decode_text(frame.fields)) watchers_.tell_changed(*id);
        return;
    }
    const auto here = pending_.find(frame.head.number);
    if (frame.head.kind == FrameKind::cancel) {
        if (const auto wish = decode_cancel(frame.fields); wish && terms_.cancel)
            terms_.cancel(wish->id, wish->fence);
        return;
    }
    if (here == pending_.end()) return;  // it took too long
    if (frame.head.kind == FrameKind::stored) {
        if (const auto read = decode_stored(frame.fields, here->second.operation); !read)
            return end(here, &read.error());
        return end(here, nullptr);
    }
    auto why = decode_text(frame.fields);
    const ipc::Error failure{why ? std::move(*why) : why.error().doing, {}};
    end(here, &failure);
}

void KeeperClient::end(std::map<std::uint32_t, Pending>::iterator which, const ipc::Error* failure) {
    const auto number = which->first;
    auto over = std::move(which->second);
    pending_.erase(which);
    Load& load = over.reads ? reading_ : changing_;
    --load.operations;
    load.bytes -= over.bytes;
    if (over.reads) {
        if (over.said) said_bytes_ -= over.bytes;
        unsaid_.erase(number);
        say_more();
    }
    if (pending_.empty()) due_.disarm();
    over.answered(std::move(over.operation), failure);
}

/// They are due in the order of their numbers, but for the few that come when numbers begin anew.
void KeeperClient::on_due(short) {
    loop_.enter();
    const auto now = ipc::monotonic_ms();
    const ipc::Error late{"the keeper did not answer in time", {}};
    std::vector<std::uint32_t> due;
    auto next = now + static_cast<std::uint64_t>(terms_.timeout.count());
    for (const auto& [number, pending] : pending_) {
        if (pending.due_ms <= now)
            due.push_back(number);
        else
            next = std::min(next, pending.due_ms);
    }
    for (const auto number : due) unsaid_.erase(number);
    bool unsaid = false;  // then nobody is to hear it any more
    for (const auto number : due) {
        const auto here = pending_.find(number);
        if (here == pending_.end()) continue;
        unsaid = unsaid || (socket_ && here->second.said && here->second.end > socket_->went());
        end(here, &late);
    }
    if (unsaid && socket_) drop_socket();
    if (!pending_.empty()) due_.arm(milliseconds(next - now + 1));
}

}  // namespace worker::jobs
