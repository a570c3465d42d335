// worker/handler/cgi_passing.h: one request on its way to a program that speaks FastCGI, and back. Who the
// program is, and when it is free, is for others to say.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "conf/config.h"
#include "worker/connection/body_buffer.h"
#include "worker/connection/buffers.h"
#include "worker/execution/loop.h"
#include "worker/handler/cgi_params.h"
#include "worker/handler/internal_files.h"
#include "worker/handler/random_ids.h"
#include "worker/handler/scripts.h"
#include "worker/http/exchange.h"
#include "worker/observe/program_log.h"
#include "worker/upstream/call.h"

namespace worker::handler {

class CgiPassing;

/// What all requests of one route and loop share on their way to programs.
struct CgiRoute {
    /// All must outlive it.
    CgiRoute(const conf::Route& route, upstream::Upstreams& upstreams, connection::Buffers& buffers,
             const Facts& facts, execution::Loop& loop);

    const conf::Route& route;
    upstream::Upstreams& upstreams;
    connection::Buffers& buffers;
    execution::Loop& loop;
    Scripts scripts;
    CgiParams params;
    InternalFiles internal;
    observe::ProgramLog log;
    RandomIds ids;
};

/// Who has the programs.
class CgiPeers {
 public:
    virtual ~CgiPeers() = default;
    /// The request can go: `ask` now or on a later turn, or `refuse`. What is collected of a body is here.
    virtual void on_ready(CgiPassing& passing) = 0;
    /// There is no response, or no whole one, and the client is about to be told. For the log.
    virtual void on_failure(CgiPassing& passing, const upstream::Failure& failure) = 0;
    /// It is over, however it ended; told once for each `begin`. May still be on the stack.
    virtual void on_over(CgiPassing& passing) = 0;
};

/// Used again and again. Loop thread only.
//   client ──on_body──▶ Call::send ──▶ program ──on_payload──▶ Exchange::send ──▶ client
// Whoever is slower stops the other: more than `buffer` waiting pauses its source until all of it has gone.
// Unless the route buffers, which keeps slow clients from holding programs: then the request's body is here
// before anybody is asked, and what a client leaves of the response waits in a buffer. A body of unknown
// length is collected in any case: CGI tells a program how much it may read.
class CgiPassing final : public http::Streamer, private upstream::Caller {
 public:
    /// Both must outlive it.
    CgiPassing(CgiRoute& shared, CgiPeers& peers)
        : shared_(shared),
          peers_(peers),
          call_(shared.upstreams, *this),
          body_(shared.buffers),
          answer_(shared.buffers) {}

    /// Finds the script, which may be all: then the exchange is answered. Else `on_ready` comes, at once or
    /// when the body is here.
    void begin(http::Exchange& exchange);

    /// Whom to ask, and how.
    struct Way {
        upstream::Upstream& upstream;
        ipc::Ticket ticket;
        std::uint64_t key = 0;
        upstream::Peer* bound = nullptr;  ///< asked first
        bool keep = false;                ///< the connection, when all went well
    };
    void ask(const Way& way);
    /// Instead of that. `reason`: a literal.
    void refuse(http::Status status, std::string_view reason);

    /// Instead of what is being asked: it takes too long, say.
    void give_up(const upstream::Failure& failure);

    /// The program has answered, to the end, and is done; from then on, also in `on_over`.
    [[nodiscard]] bool whole() const noexcept { return whole_; }
    /// Between `begin` and `on_over`, as long as the client is there: `on_failure` is told of no other.
    [[nodiscard]] http::Exchange& exchange() noexcept { return *exchange_; }
    /// Likewise, from `ask` on; see there.
    [[nodiscard]] const upstream::Call& call() const noexcept { return call_; }
    /// The client's X-Request-Id, or ours.
    [[nodiscard]] std::string_view request_id() const noexcept;

 private:
    void on_body(std::string_view payload) override;
    void on_body_end() override;
    void on_room() override;
    void on_gone() override;

    void on_connected(const upstream::Peer& peer) override;
    void on_interim(const http::ResponseHead&) override {}
    void on_response(const http::ResponseHead& head, http::Framing framing, std::uint64_t length) override;
    void on_payload(std::string_view bytes) override;
    void on_pipe(const connection::Ref<connection::Pipe>&, std::uint64_t) override;
    void on_end(std::string_view trailers) override;
    void on_drained() override;
    void on_stderr(std::string_view bytes) override;
    void on_failure(const upstream::Failure& failure) override;

    void redirect_to_folder();
    void collect();
    void refuse_body(ipc::BufferRefusal refusal);
    void buffer_answer(std::string_view bytes);
    void pass_answer_on();
    void write_head(const Way& way);
    void append_fields(std::string& out, const http::ResponseHead& head) const;
    void add_sticky();
    void send_internal();
    [[nodiscard]] observe::ProgramLog::About about() const noexcept;
    void note_end();
    void leave();

    CgiRoute& shared_;
    CgiPeers& peers_;
    upstream::Call call_;
    http::Exchange* exchange_ = nullptr;      ///< null: its client left
    upstream::Upstream* upstream_ = nullptr;  ///< that is asked; null: not yet
    const upstream::Peer* bound_ = nullptr;
    std::uint32_t bound_epoch_ = 0;
    std::string_view peer_;  ///< the name of the one that says something
    Script script_;
    std::string head_, params_, id_;
    connection::BodyBuffer body_, answer_;
    std::string internal_;       ///< the file that is wanted instead of the program's answer; empty: none
    std::string internal_type_;  ///< and what the program says it is
    observe::ProgramLog::Lines lines_;
    bool page_ = false;  ///< an error page: a GET of our own, and the client's body was for somebody else
    bool whole_ = false;
    bool collects_ = false;   ///< the body, in `body_`
    bool collected_ = false;  ///< all of it
    bool buffers_answer_ = false;
    bool has_body_ = false;  ///< the program's answer: else it is whole while the program still works
};

}  // namespace worker::handler
