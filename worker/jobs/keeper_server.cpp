#include "worker/jobs/keeper_server.h"

#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <unordered_set>

#include "ipc/clock.h"
#include "ipc/unique_fd.h"
#include "worker/jobs/codec.h"
#include "worker/jobs/frame_socket.h"
#include "worker/jobs/job_ids.h"

namespace worker::jobs {
namespace {

using std::chrono::milliseconds;

constexpr int accepts_per_turn = 64;
constexpr milliseconds look_time{1000};
constexpr milliseconds again_time{100};  ///< after a failure to accept: no descriptors, say

/// What the answer to something that only reads may have; others are short.
std::size_t answer_weight(const Operation& operation) noexcept {
    const bool reads = std::holds_alternative<Get>(operation) || std::holds_alternative<List>(operation);
    return reads ? weight(operation) : 0;
}

}  // namespace

/// One of them. Answers hold it weakly: it may be gone when they come.
class KeeperServer::Client final : private FrameReceiver,
                                   private ChangeListener,
                                   public std::enable_shared_from_this<Client> {
 public:
    Client(KeeperServer& server, ipc::UniqueFd socket)
        : server_(server), socket_(server.loop_, std::move(socket), *this) {}
    ~Client() override {
        for (const auto& id : watches_) server_.watched_.remove(id, *this);
    }

    [[nodiscard]] const std::string& owner() const noexcept { return owner_; }
    [[nodiscard]] bool open() const noexcept { return socket_.open(); }
    [[nodiscard]] std::size_t unsent() const noexcept { return socket_.unsent() + expected_; }
    [[nodiscard]] bool stalls(std::uint64_t now) const noexcept {
        return socket_.stalled_ms(now) >= static_cast<std::uint64_t>(server_.bounds_.client_stall.count());
    }
    void close() noexcept { socket_.close(); }
    void cancel(std::string_view id, std::int64_t fence) {
        append_cancel(socket_.out(), id, fence);
        socket_.flush();
    }
    void pause(bool on) {
        stopped_ = on;
        socket_.pause(stopped_ || full());
    }

 private:
    void on_frame(const Frame& frame) override {
        switch (frame.head.kind) {
            case FrameKind::hello: return on_hello(frame);
            case FrameKind::ask: return on_ask(frame);
            case FrameKind::watch:
            case FrameKind::unwatch: return on_watch(frame);
            case FrameKind::stored:
            case FrameKind::failed:
            case FrameKind::changed:
            case FrameKind::cancel: return nonsense("an answer, from a client");
        }
    }

    void on_hello(const Frame& frame) {
        auto owner = decode_text(frame.fields);
        if (!owner) return nonsense(owner.error().doing);
        owner_ = std::move(*owner);
    }

    void on_watch(const Frame& frame) {
        const auto id = decode_text(frame.fields);
        if (!id || !is_job_id(*id)) return nonsense("no job's name, to be watched");
        if (frame.head.kind == FrameKind::unwatch) {
            if (watches_.erase(*id) > 0) server_.watched_.remove(*id, *this);
            changed_.erase(*id);
        } else if (watches_.size() < server_.bounds_.client_watches && watches_.insert(*id).second) {
            server_.watched_.add(*id, *this);
        }
    }

    /// However often it changes until it can be told, it is told once.
    void on_job_changed(const std::string& id) override {
        if (socket_.open() && changed_.insert(id).second) flush_later();
    }

    void on_ask(const Frame& frame) {
        auto ask = decode_ask(frame.fields);
        const auto number = frame.head.number;
        if (!ask && ask.error().why == std::errc::function_not_supported) {
            append_failed(socket_.out(), number, ask.error().doing);
            return send_now();
        }
        if (!ask) return nonsense(ask.error().doing);
        if (ask->until_ms != 0 && ipc::monotonic_ms() >= ask->until_ms) {  // it has waited for a keeper
            append_failed(socket_.out(), number, "it came too late");
            return send_now();
        }
        auto& operation = ask->operation;
        const auto key = begin_key(operation);
        if (!key) {
            append_stored(socket_.out(), number, operation);
            return send_now();
        }
        const auto expected = answer_weight(operation);
        if (expected > 0 && server_.unsent() + expected > server_.bounds_.unsent) {
            append_failed(socket_.out(), number, "too many answers of the keeper wait to be taken");
            return send_now();
        }
        ++under_way_;
        expected_ += expected;
        server_.keeping_.submit_until(
            std::move(operation), ask->until_ms,
            [server = &server_, self = weak_from_this(), number, expected, key = *key,
             begun_us = ipc::monotonic_us()](Operation&& answer, const ipc::Error* failure) {
                if (!key.second.empty()) server->in_flight_.erase(key);
                if (failure == nullptr) server->tally_.note_latency(answer, ipc::monotonic_us() - begun_us);
                if (const auto client = self.lock()) client->answer(number, answer, failure, expected);
            });
        if (full()) socket_.pause(true);
    }

    /// The key that it occupies until it is stored, or an empty one; none: somebody else does, and it is
    /// answered.
    [[nodiscard]] std::optional<std::pair<std::string, std::string>> begin_key(Operation& operation) {
        auto* const enqueue = std::get_if<Enqueue>(&operation);
        if (enqueue == nullptr || enqueue->job.idempotency_key.empty())
            return std::pair<std::string, std::string>();
        std::pair<std::string, std::string> key(enqueue->job.queue, enqueue->job.idempotency_key);
        const auto [first, fresh] = server_.in_flight_.try_emplace(key, enqueue->job.id);
        if (fresh) return key;
        if (first->second == enqueue->job.id) return std::pair<std::string, std::string>();  // said again
        enqueue->answer.what = Enqueue::Answer::What::in_flight;
        return std::nullopt;
    }

    void answer(std::uint32_t number, const Operation& operation, const ipc::Error* failure,
                std::size_t expected) {
        --under_way_;
        expected_ -= expected;
        if (!socket_.open()) return;
        if (failure != nullptr)
            append_failed(socket_.out(), number, failure->text());
        else
            append_stored(socket_.out(), number, operation);
        flush_later();
    }

    /// Whoever does not take such answers is not read from, either.
    void send_now() {
        socket_.flush();
        if (full()) socket_.pause(true);
    }

    /// One write for all that is said in a turn.
    void flush_later() {
        if (std::exchange(flushes_, true)) return;
        server_.loop_.after_turn([self = weak_from_this()] {
            if (const auto client = self.lock()) client->flush();
        });
    }

    void flush() {
        flushes_ = false;
        if (!socket_.open()) return;
        if (!changed_.empty() && socket_.unsent() < server_.bounds_.client_unsent) {
            for (const auto& id : changed_) append_changed(socket_.out(), id);
            changed_.clear();
        }
        socket_.flush();
        socket_.pause(stopped_ || full());
    }

    void on_sent() override {
        if (!changed_.empty()) return flush_later();
        socket_.pause(stopped_ || full());
    }
    void on_broken(std::string_view why) override {
        if (why != "closed" && why != "reset") nonsense(why);
        server_.drop(*this);
    }

    void nonsense(std::string_view why) {
        spdlog::error("a client of the keeper is dropped why={:?}", why);
        server_.tally_.cell().clients_dropped.add();
        socket_.close();
        server_.drop(*this);
    }

    [[nodiscard]] bool full() const noexcept {
        return under_way_ >= server_.bounds_.client_operations ||
               socket_.unsent() >= server_.bounds_.client_unsent ||
               expected_ >= server_.bounds_.client_expected;
    }

    KeeperServer& server_;
    FrameSocket socket_;
    std::string owner_;
    std::size_t under_way_ = 0;
    std::size_t expected_ = 0;  ///< bytes of answers to come
    std::unordered_set<std::string> watches_;
    std::unordered_set<std::string> changed_;  ///< of them: to be told
    bool flushes_ = false, stopped_ = false;
};

KeeperServer::KeeperServer(execution::Loop& loop, Keeping& keeping, Tally& tally, int socket,
                           const Bounds& bounds)
    : loop_(loop),
      keeping_(keeping),
      tally_(tally),
      socket_(socket),
      bounds_(bounds),
      connection_(
          ipc::Event::calling<&KeeperServer::on_connection>(this, loop.base(), socket, EV_READ | EV_PERSIST)),
      look_(ipc::Event::timer<&KeeperServer::on_look>(this, loop.base())),
      again_(ipc::Event::timer<&KeeperServer::on_again>(this, loop.base())) {}

KeeperServer::~KeeperServer() = default;

void KeeperServer::begin() {
    paused_ = false;
    connection_.arm();
    look_.arm(look_time);
}

void KeeperServer::pause() {
    paused_ = true;
    connection_.disarm();
    again_.disarm();
    for (const auto& client : clients_) client->pause(true);
}

void KeeperServer::end_askers() {
    std::vector<std::shared_ptr<Client>> gone;
    for (auto& client : clients_) {
        if (client->owner().empty()) {
            client->close();
            gone.push_back(std::move(client));
        } else {
            client->pause(false);
        }
    }
    std::erase(clients_, nullptr);
    loop_.after_turn([gone = std::move(gone)] {});
}

void KeeperServer::end() {
    pause();
    look_.disarm();
    for (const auto& client : clients_) client->close();
    loop_.after_turn([gone = std::exchange(clients_, {})] {});
}

std::vector<std::string> KeeperServer::owners() const {
    std::vector<std::string> all;
    for (const auto& client : clients_)
        if (!client->owner().empty() && std::find(all.begin(), all.end(), client->owner()) == all.end())
            all.push_back(client->owner());
    return all;
}

std::size_t KeeperServer::unsent() const noexcept {
    std::size_t all = 0;
    for (const auto& client : clients_) all += client->unsent();
    return all;
}

void KeeperServer::cancel(std::string_view owner, std::string_view id, std::int64_t fence) {
    for (const auto& client : clients_)
        if (client->open() && client->owner() == owner) client->cancel(id, fence);
}

void KeeperServer::on_connection(short) {
    loop_.enter();
    for (int accepted = 0; accepted < accepts_per_turn; ++accepted) {
        if (clients_.size() >= bounds_.clients) {  // they wait until one leaves
            connection_.disarm();
            return again_.arm(again_time);
        }
        ipc::UniqueFd socket(::accept4(socket_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (!socket) {
            if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) return;
            spdlog::error("the keeper cannot take clients why={:?}",
                          ipc::system_error("accept").value().text());
            connection_.disarm();
            return again_.arm(again_time);
        }
        clients_.push_back(std::make_shared<Client>(*this, std::move(socket)));
    }
}

void KeeperServer::on_again(short) {
    loop_.enter();
    if (!paused_) connection_.arm();
}

void KeeperServer::on_look(short) {
    loop_.enter();
    const auto now = ipc::monotonic_ms();
    std::vector<Client*> stalled;
    for (const auto& client : clients_)
        if (client->stalls(now)) stalled.push_back(client.get());
    for (auto* client : stalled) {
        spdlog::error("a client of the keeper takes no answers and is dropped");
        tally_.cell().clients_dropped.add();
        client->close();
        drop(*client);
    }
    look_.arm(look_time);
}

/// Destroyed when nothing of it is on the stack any more.
void KeeperServer::drop(Client& client) {
    const auto here =
        std::find_if(clients_.begin(), clients_.end(), [&](const auto& one) { return one.get() == &client; });
    if (here == clients_.end()) return;
    const bool was_owner = !client.owner().empty();
    loop_.after_turn([gone = std::move(*here)] {});
    clients_.erase(here);
    if (was_owner && owner_left_) owner_left_();
    if (one_left_) one_left_();
}

}  // namespace worker::jobs
