// worker/upstream/call.h: one request to an upstream: asks a peer, another one where that is safe, and passes
// on what it answers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "worker/connection/output.h"
#include "worker/connection/pipe.h"
#include "worker/execution/deadlines.h"
#include "worker/http/cgi_head.h"
#include "worker/http/fastcgi.h"
#include "worker/http/response_parser.h"
#include "worker/http/tries.h"
#include "worker/upstream/upstream.h"

namespace worker::upstream {

/// Why a call brings no response, or no whole one.
struct Failure {
    http::Status status = 502;  ///< what to answer; 503: nobody was asked
    std::string_view reason;    ///< for the log: a literal
    ipc::CallFailure kind = ipc::CallFailure::connect;
    bool untouched = false;  ///< the peer says that it did nothing with the request
    bool silent = false;     ///< a program that has ended, of itself and without a word
};

/// Who wants the response. Nothing here is called after `on_end` or `on_failure`, nor after `cancel`.
class Caller {
 public:
    virtual ~Caller() = default;
    /// A peer has taken the connection, and the request is on its way to it.
    virtual void on_connected(const Peer& peer) = 0;
    /// 102 to 199, but 101.
    virtual void on_interim(const http::ResponseHead& head) = 0;
    /// The head is complete; its views live in the call. `length`: of the body, where the framing tells. From
    /// here on no other peer is asked. 101: what follows is a tunnel.
    virtual void on_response(const http::ResponseHead& head, http::Framing framing, std::uint64_t length) = 0;
    virtual void on_payload(std::string_view bytes) = 0;
    /// The next bytes of the body are in the pipe. Nothing more is read before `resume`, by when it is empty.
    virtual void on_pipe(const connection::Ref<connection::Pipe>& pipe, std::uint64_t size) = 0;
    /// The response is whole. `trailers`: lines.
    virtual void on_end(std::string_view trailers) = 0;
    /// All of the request that was given is in the kernel's hands.
    virtual void on_drained() = 0;
    /// What a program says aside, in FastCGI; comes at any time between `on_connected` and the end.
    virtual void on_stderr(std::string_view) {}
    virtual void on_failure(const Failure& failure) = 0;
};

/// What a peer speaks.
enum class Wire : std::uint8_t { http, fastcgi };

/// The one request of a connection that speaks FastCGI: nobody multiplexes.
constexpr std::uint16_t fastcgi_request = 1;

/// A `Question::head` in FastCGI.
struct ProgramQuestion {
    std::string_view params;  ///< by `http::fastcgi::append_param`
    bool keep = false;        ///< the peer leaves the connection open
    bool body = false;        ///< follows: else its end is told
};
void append_question(std::string& out, const ProgramQuestion& question);

/// What is asked, and what its asker puts up with. The head must stay until the call is over.
struct Question {
    std::string_view head;  ///< the whole of it, framing and empty line too; or all records up to
                            ///< the body, and where neither `body` nor `whole` follows the empty STDIN too
    Wire wire = Wire::http;
    bool keep = true;      ///< of FastCGI: the head asks the peer to leave the connection open
    bool body = false;     ///< follows by `send`, until `end_body`
    bool chunked = false;  ///< and is to be framed so
    /// Or all of it is here, and may be sent again and again; until `on_response`, or the end.
    std::span<const connection::Chunk> whole{};
    bool idempotent = false;             ///< asking twice does no harm (RFC 9110 9.2.2)
    bool bodiless = false;               ///< HEAD
    bool upgrade = false;                ///< 101 is welcome
    bool pipe = false;                   ///< a large body may come by `on_pipe`
    std::uint64_t key = 0;               ///< of `balance = hash`
    Peer* bound = nullptr;               ///< who is asked first, unless it is down, ejected or full
    const conf::Proxy* terms = nullptr;  ///< times, sizes, retries
    ipc::Ticket ticket;                  ///< what the upstream's breaker gave
};

/// May be used again once it is over. Where its upstream hedges, a second copy of a late call goes to another
/// peer, and the first good answer's head decides: the other copy's connection is closed, which is no fault
/// of its peer's. Loop thread only.
class Call final : private User, private execution::Deadline, private Hedged {
 public:
    /// All must outlive it.
    Call(Upstreams& upstreams, Caller& caller);
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    ~Call() override;

    /// May end at once, by `on_failure`.
    void start(Upstream& upstream, const Question& question);
    void send(std::string_view body);
    void end_body();
    /// Bytes of the request that the kernel has not taken yet.
    [[nodiscard]] std::uint64_t unsent() const noexcept;
    /// Reads no more of the response, until `resume`.
    void pause() noexcept;
    void resume();
    /// In `on_response`: the body that follows is of no use. It is taken and dropped, however long it is,
    /// also where it is shorter than announced.
    void skip_body() noexcept { framing_ = http::Framing::none; }
    /// Of FastCGI: asks the peer to end before its time. It answers, or ends the connection, as ever. False:
    /// it has nothing of the request yet.
    [[nodiscard]] bool ask_to_abort();
    /// Nobody wants the response any more. No fault of the peer's.
    void cancel() noexcept;

    [[nodiscard]] bool over() const noexcept { return phase_ == Phase::idle; }
    /// Of FastCGI: all of the response has been passed on, and the peer has only to say that it is done.
    [[nodiscard]] bool has_all() const noexcept;
    /// Of FastCGI: what the program says of its end, as the exit status of a process; none: it did not say.
    /// Until the next `start`.
    [[nodiscard]] std::optional<std::uint32_t> exit_status() const noexcept { return exit_status_; }
    /// All that were asked, "127.0.0.1:9000, 127.0.0.1:9001".
    [[nodiscard]] const std::string& asked() const noexcept { return asked_; }
    /// Likewise, and how each of them did; until the next `start`.
    [[nodiscard]] const http::Tries& tries() const noexcept { return tries_; }
    /// Whose answer is being read, by the address it was asked at; by now another may stand in its place.
    [[nodiscard]] std::string_view asked_now() const noexcept { return tries_[nth_].peer; }
    /// Who answers; from `on_response` to the end.
    [[nodiscard]] const Peer& peer() const noexcept { return *peer_; }
    /// The address that was asked is that peer's no more: nobody has its place, or another one.
    [[nodiscard]] bool peer_left() const noexcept { return epoch_ != peer_->epoch; }
    [[nodiscard]] std::uint64_t begun_us() const noexcept { return begun_us_; }

 private:
    // idle ──start──▶ connecting ──▶ head ──▶ body ──▶ idle
    //                    ▲ └─failed─┐ └─failed, and another peer may be asked─┐   └──101──▶ tunnel ──▶ idle
    //                    └──────────┴──────────────────────────────────────────┘
    enum class Phase : std::uint8_t { idle, connecting, head, body, tunnel };

    struct Whole final : execution::Deadline {
        explicit Whole(Call& of) noexcept : call(of) {}
        void on_deadline() noexcept override { call.on_whole(); }
        Call& call;
    };

    /// What has come of a response in FastCGI.
    struct Records {
        http::fastcgi::RecordReader reader;
        http::CgiHead head;
        std::string out;         ///< STDOUT that is not a whole head yet, or waits with a whole one
        bool out_ended = false;  ///< there is no more of it
        bool surplus = false;    ///< there was more of it than its length says
    };

    /// Of two copies, the one that is not being read. What happens to it makes it the one that is.
    struct Other final : User, execution::Deadline {
        explicit Other(Call& of) noexcept : call(of) {}
        void on_io() noexcept override { call.on_other_io(); }
        void on_deadline() noexcept override { call.on_other_deadline(); }

        Call& call;
        std::unique_ptr<Connection> connection;  ///< null: there is no other copy
        Peer* peer = nullptr;
        std::uint32_t epoch = 0;
        std::string partial;
        std::unique_ptr<Records> records;
        std::uint64_t attempt_us = 0;
        std::size_t nth = 0;
        Phase phase = Phase::idle;
        http::Status held = 0;  ///< an answer of that status is in `partial`, until a better one comes
        bool reused = false, heard = false, second = false;
    };

    void on_io() noexcept override;
    void on_deadline() noexcept override;
    void on_whole() noexcept;

    // call_copies.cpp: hedging.
    void on_late() noexcept override;
    void on_other_io() noexcept;
    void on_other_deadline() noexcept;
    [[nodiscard]] bool hedged() const noexcept { return other_ && other_->connection; }
    void watch_late();
    void switch_copy() noexcept;
    [[nodiscard]] bool fall_back();
    [[nodiscard]] bool hold_back(std::span<const char> bytes);
    void answer_held();
    void decide();
    void drop_other() noexcept;

    void ask();
    [[nodiscard]] bool connect(Peer& peer);
    void begin_request();
    void advance();
    [[nodiscard]] bool flush();
    void receive();
    [[nodiscard]] bool receive_some();
    [[nodiscard]] bool receive_piped();
    void consume(std::span<const char> bytes);
    [[nodiscard]] std::span<const char> consume_head(std::span<const char> bytes);
    [[nodiscard]] std::span<const char> consume_body(std::span<const char> bytes);
    [[nodiscard]] std::span<const char> consume_chunks(std::span<const char> bytes);
    void on_head(http::Framing framing, std::uint64_t length);
    void on_peer_end(int error);
    // call_records.cpp: FastCGI.
    void begin_records();
    void consume_records(std::string_view bytes);
    [[nodiscard]] bool consume_piece(std::string_view behind);
    [[nodiscard]] bool consume_out(std::string_view content, std::string_view behind);
    [[nodiscard]] bool on_end_request(std::string_view content, std::string_view behind);
    void append_whole();

    void append_body(std::string_view bytes);
    void watch_time();
    void finish(bool surplus);
    void fail_attempt(ipc::CallFailure kind, const Failure& failure, bool stale = false);
    [[nodiscard]] bool may_ask_again(ipc::CallFailure kind, bool untouched = false);
    [[nodiscard]] bool stale() const noexcept;
    /// A peer has the connection, and the call is not over.
    [[nodiscard]] bool talking() const noexcept {
        return phase_ != Phase::idle && phase_ != Phase::connecting;
    }
    void fail(const Failure& failure);
    void leave_peer(bool keep);
    void note_head() noexcept;
    void note_wait() noexcept;
    void stop_waiting() noexcept;
    void note_over(http::Status otherwise) noexcept;
    [[nodiscard]] ipc::Outcome outcome() const noexcept;
    void reset() noexcept;

    Upstreams& upstreams_;
    Caller& caller_;
    Upstream* upstream_ = nullptr;
    Question question_;
    Peer* peer_ = nullptr;     ///< who is asked
    Peer* next_ = nullptr;     ///< who will be
    std::uint32_t epoch_ = 0;  ///< of `peer_`, when it was asked
    std::unique_ptr<Connection> connection_;
    Whole whole_{*this};
    http::ResponseParser parser_;
    http::ResponseHead head_;
    std::string partial_;  ///< of a head
    std::unique_ptr<Records> records_;
    std::string body_;  ///< of the request, as it is sent, so that it can be sent again
    std::unique_ptr<Other> other_;
    Tried tried_;
    std::string asked_;
    http::Tries tries_;
    std::size_t nth_ = 0;  ///< of `tries_`, the attempt that is read
    connection::Ref<connection::Pipe> pipe_;
    std::uint64_t begun_us_ = 0, attempt_us_ = 0, whole_us_ = 0;  ///< the last: all of the request was there
    std::uint64_t remaining_ = 0;                                 ///< of a body with a length
    std::uint32_t retries_ = 0;
    std::optional<std::uint32_t> exit_status_;
    Phase phase_ = Phase::idle;
    http::Framing framing_ = http::Framing::none;
    bool paused_ = false;
    bool piped_ = false;                   ///< the rest of the body goes through a pipe
    bool reused_ = false, heard_ = false;  ///< the connection was idle before; the peer said something
    bool body_ended_ = false, body_lost_ = false;
    bool receiving_ = false;   ///< in `receive`, which goes on by itself
    bool fresh_only_ = false;  ///< the last attempt met a connection that had ended
    bool hedges_ = false;      ///< a second copy may be sent, now or later
    bool second_ = false;      ///< the copy that is read is the second one
    bool waits_ = false;       ///< counts in its upstream's limit of concurrency
};

}  // namespace worker::upstream
