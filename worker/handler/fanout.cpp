#include "worker/handler/fanout.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <deque>
#include <utility>

#include "ipc/event.h"
#include "worker/handler/own_text.h"
#include "worker/http/host.h"
#include "worker/http/list.h"
#include "worker/upstream/call.h"

namespace worker::handler {
namespace {

constexpr std::size_t spare_fans_max = 64;
constexpr std::string_view time_left = "Reeve-Time-Left-Ms";
// Parts are looked into, and stand in one body: nobody may encode his own (RFC 9110 12.5.3).
constexpr std::string_view as_it_is = "Accept-Encoding: identity\r\n";

PartState state_of(const upstream::Failure& failure) {
    using ipc::CallFailure;
    if (failure.status == 504) return PartState::timeout;
    if (failure.status == 503) return PartState::refused;
    switch (failure.kind) {
        case CallFailure::connect:
        case CallFailure::connect_timeout: return PartState::connect;
        case CallFailure::malformed: return PartState::malformed;
        case CallFailure::status: return PartState::status;
        case CallFailure::send_timeout:
        case CallFailure::read_timeout: return PartState::timeout;
        case CallFailure::reset: return PartState::reset;
    }
    std::abort();
}

/// Of the part whose fields the answer has: what speaks of its own bytes says nothing of ours.
bool speaks_of_its_body(http::Known known, std::string_view name) {
    constexpr std::string_view others[] = {
        "etag",           "last-modified", "content-encoding", "accept-ranges", "digest",
        "content-digest", "repr-digest",   "content-md5",      "content-range", "content-location"};
    return known == http::Known::content_type || known == http::Known::location ||
           std::any_of(std::begin(others), std::end(others),
                       [name](std::string_view other) { return http::equals_ignore_case(name, other); });
}

/// Although it was asked not to be.
bool is_encoded(const http::ResponseHead& head) {
    return std::any_of(head.fields.begin(), head.fields.end(), [&](const http::Field& field) {
        return http::equals_ignore_case(head.view(field.name), "content-encoding") &&
               !http::equals_ignore_case(head.view(field.value), "identity");
    });
}

}  // namespace

/// One request, its parts, and the answer they make.
//   collecting ──body complete──▶ asking ──decided, or the deadline──▶ answered
//   any ──client left──▶ gone, and every part with it
class Gathering final : public http::Streamer {
 public:
    explicit Gathering(Fanout& fanout);

    void begin(http::Exchange& exchange);

 private:
    struct Asked final : upstream::Caller {
        Asked(Gathering& of, upstream::Upstreams& upstreams) : gathering(of), call(upstreams, *this) {}

        void on_connected(const upstream::Peer&) override {}
        void on_interim(const http::ResponseHead&) override {}
        void on_response(const http::ResponseHead& head, http::Framing framing,
                         std::uint64_t length) override {
            gathering.on_response(*this, head, framing, length);
        }
        void on_payload(std::string_view bytes) override { gathering.on_payload(*this, bytes); }
        void on_pipe(const connection::Ref<connection::Pipe>&, std::uint64_t) override {}  // never asked for
        void on_end(std::string_view) override { gathering.on_end(*this); }
        void on_drained() override {}
        void on_failure(const upstream::Failure& failure) override { gathering.on_failure(*this, failure); }

        Gathering& gathering;
        upstream::Call call;
        Part part;
        std::string request, body, content_type;
        bool begun = false;  ///< not refused before anybody was asked
    };

    void on_body(std::string_view payload) override;
    void on_body_end() override;
    void on_room() override {}
    void on_gone() override;

    void on_response(Asked& asked, const http::ResponseHead& head, http::Framing framing,
                     std::uint64_t length);
    void on_payload(Asked& asked, std::string_view bytes);
    void on_end(Asked& asked);
    void on_failure(Asked& asked, const upstream::Failure& failure);
    void on_deadline(short what);

    void ask_all();
    void ask(std::size_t index);
    void part_over(Asked& asked, PartState state);
    void answer_if_decided();
    void answer();
    void cancel_all();
    void log_failed(const Merged& merged) const;
    void release();

    Fanout& fanout_;
    http::Exchange* exchange_ = nullptr;
    std::deque<Asked> asked_;
    std::vector<Part> parts_;  ///< room for `merge`
    std::string body_;         ///< of the request
    std::string fields_;       ///< of the part in `header_from`
    ipc::Event deadline_;
    std::uint64_t begun_us_ = 0;
    std::uint64_t bytes_ = 0;  ///< of all bodies
    std::uint32_t arrived_ = 0;
    bool asking_ = false;  ///< `ask_all` looks itself whether it is decided
};

Gathering::Gathering(Fanout& fanout)
    : fanout_(fanout), deadline_(ipc::Event::timer<&Gathering::on_deadline>(this, fanout.loop().base())) {
    for (std::size_t i = 0; i < fanout.parts().size(); ++i) asked_.emplace_back(*this, fanout.upstreams());
}

void Gathering::begin(http::Exchange& exchange) {
    exchange_ = &exchange;
    exchange.streamer = this;
    begun_us_ = fanout_.loop().clock().now_us();
    bytes_ = 0;
    arrived_ = 0;
    body_.clear();
    fields_.clear();
    if (exchange.error != 0) exchange.pause_body(true);  // an error page: a GET of our own
    if (!exchange.body_follows || exchange.error != 0) return ask_all();
    if (exchange.body_length.value_or(0) > fanout_.route().proxy.buffer) {
        exchange.refuse(413);
        return release();
    }
    exchange.go_ahead();
}

void Gathering::on_body(std::string_view payload) {
    body_.append(payload);
    if (body_.size() <= fanout_.route().proxy.buffer) return;
    exchange_->refuse(413);
    release();
}

void Gathering::on_body_end() {
    if (exchange_ != nullptr) ask_all();
}

void Gathering::on_gone() {
    cancel_all();
    release();
}

void Gathering::ask_all() {
    const auto deadline = fanout_.route().fanout.deadline;
    exchange_->body_length.reset();
    exchange_->body_follows = false;
    if (deadline.count() > 0) deadline_.arm(deadline);
    asking_ = true;
    for (std::size_t i = 0; i < asked_.size(); ++i) ask(i);
    asking_ = false;
    answer_if_decided();
}

void Gathering::ask(std::size_t index) {
    const conf::Route& route = fanout_.route();
    const conf::FanoutPart& configured = route.fanout.parts[index];
    upstream::Upstream& upstream = *fanout_.parts()[index];
    Asked& asked = asked_[index];
    asked.part = {};
    asked.part.name = configured.name;
    const auto& required = route.fanout.required;
    asked.part.required = std::find(required.begin(), required.end(), configured.name) != required.end();
    asked.request.clear();
    asked.body.clear();
    asked.content_type.clear();
    asked.begun = false;
    const upstream::Admission admission = upstream.admit();
    if (!admission.admitted()) {
        asked.part.state = PartState::refused;
        return;
    }
    std::string more(as_it_is);
    if (route.fanout.deadline.count() > 0) {
        const std::uint64_t passed = (fanout_.loop().clock().now_us() - begun_us_) / 1000;
        const auto all = static_cast<std::uint64_t>(route.fanout.deadline.count());
        more += fmt::format("{}: {}\r\n", time_left, all - std::min(all, passed));
    }
    if (!body_.empty()) more += fmt::format("Content-Length: {}\r\n", body_.size());
    const std::string_view method = exchange_->request.is_head() ? "GET" : "";
    fanout_.request().append(asked.request, *exchange_,
                             {.target = configured.path,
                              .more = more,
                              .method = method,
                              .host = configured.upstream,
                              .plain = true,
                              .framed = !body_.empty()});
    upstream::Question question;
    question.head = asked.request;
    question.body = !body_.empty();
    const std::string_view asks = exchange_->request.method();
    question.idempotent =
        asks == "GET" || asks == "HEAD" || asks == "PUT" || asks == "DELETE" || asks == "OPTIONS";
    question.terms = &route.proxy;
    question.ticket = admission.ticket;
    question.key = fanout_.key(index, *exchange_);
    asked.begun = true;
    asked.call.start(upstream, question);
    if (body_.empty() || asked.part.state != PartState::pending) return;
    asked.call.send(body_);
    asked.call.end_body();
}

void Gathering::on_response(Asked& asked, const http::ResponseHead& head, http::Framing framing,
                            std::uint64_t length) {
    asked.part.status = head.status;
    asked.content_type = head.value(http::Known::content_type);
    if (framing == http::Framing::length && length > fanout_.route().fanout.part_max) {
        asked.call.cancel();
        return part_over(asked, PartState::too_large);
    }
    if (is_encoded(head)) {
        asked.call.cancel();
        return part_over(asked, PartState::malformed);
    }
    if (asked.part.name != fanout_.route().fanout.header_from) return;
    fields_.clear();
    std::string room;
    const std::string_view connection = head.joined(http::Known::connection, room);
    for (const http::Field& field : head.fields) {
        const std::string_view name = head.view(field.name);
        if (is_hop_by_hop(field.known) || field.known == http::Known::date ||
            field.known == http::Known::server)
            continue;
        if (speaks_of_its_body(field.known, name) ||
            (!connection.empty() && http::has_token(connection, name)))
            continue;
        fields_.append(name).append(": ").append(head.view(field.value)).append("\r\n");
    }
}

void Gathering::on_payload(Asked& asked, std::string_view bytes) {
    asked.body.append(bytes);
    bytes_ += bytes.size();
    const conf::Fanout& fanout = fanout_.route().fanout;
    if (asked.body.size() <= fanout.part_max && bytes_ <= fanout.sum_max) return;
    asked.call.cancel();
    part_over(asked, PartState::too_large);
}

void Gathering::on_end(Asked& asked) {
    const bool good = asked.part.status >= 200 && asked.part.status < 300;
    if (good) asked.part.arrival = arrived_++;
    part_over(asked, good ? PartState::ok : PartState::status);
}

void Gathering::on_failure(Asked& asked, const upstream::Failure& failure) {
    part_over(asked, state_of(failure));
}

void Gathering::part_over(Asked& asked, PartState state) {
    asked.part.state = state;
    if (!asking_) answer_if_decided();
}

void Gathering::on_deadline(short) {
    fanout_.loop().enter();
    for (Asked& asked : asked_) {
        if (asked.part.state != PartState::pending) continue;
        asked.part.state = PartState::timeout;
        asked.call.cancel();
    }
    answer();
}

void Gathering::answer_if_decided() {
    parts_.clear();
    for (const Asked& asked : asked_) parts_.push_back(asked.part);
    if (decided(fanout_.rules(), parts_)) answer();
}

void Gathering::answer() {
    cancel_all();
    parts_.clear();
    for (Asked& asked : asked_) {
        asked.part.body = asked.body;
        asked.part.content_type = asked.content_type;
        parts_.push_back(asked.part);
    }
    Merged merged = merge(fanout_.rules(), parts_);
    http::Exchange& exchange = *exchange_;
    for (const Asked& asked : asked_)
        if (asked.begun) http::append_tries(exchange.upstream_tries, asked.call.tries());
    exchange.upstream_us = fanout_.loop().clock().now_us() - begun_us_;
    http::Response& response = exchange.response;
    response.add_field("Reeve-Fanout", merged.fanout_field);
    if (merged.fanout_field.starts_with("failed")) {
        log_failed(merged);
        exchange.streamer = nullptr;
        exchange.upstream_failure = "too few parts";
        response.add_field("Cache-Control", "no-store");
        exchange.refuse(merged.status);
        return release();
    }
    response.status = merged.status;
    if (!merged.content_type.empty()) response.add_field("Content-Type", merged.content_type);
    if (!merged.cacheable) response.add_field("Cache-Control", "no-store");
    if (merged.cacheable) response.more_fields.append(fields_);
    add_own_text(response, std::move(merged.body));
    exchange.finish();
    release();
}

void Gathering::cancel_all() {
    deadline_.disarm();
    for (Asked& asked : asked_) asked.call.cancel();
}

void Gathering::log_failed(const Merged& merged) const {
    spdlog::warn("fan-out failed route={} status={} parts={:?} request={:?}", fanout_.route().name,
                 merged.status, merged.fanout_field, exchange_->request.begin_of_line());
}

void Gathering::release() {
    exchange_ = nullptr;
    for (Asked& asked : asked_) {
        if (asked.body.capacity() > 64 * 1024) std::string().swap(asked.body);
        asked.part.state = PartState::cancelled;
    }
    fanout_.take_back(*this);
}

Fanout::Fanout(const conf::Route& route, upstream::Upstreams& upstreams, const Facts& facts,
               execution::Loop& loop)
    : route_(route),
      upstreams_(upstreams),
      facts_(facts),
      loop_(loop),
      request_(route, facts, loop.clock()),
      rules_{.merge = route.fanout.merge,
             .quorum = route.fanout.quorum,
             .partial_status = route.fanout.partial_status} {
    for (const conf::FanoutPart& part : route.fanout.parts) {
        parts_.push_back(&upstreams.find(part.upstream));
        keys_.emplace_back(parts_.back()->config().balance.key, Escape::none);
    }
}

Fanout::~Fanout() = default;

void Fanout::handle(http::Exchange& exchange) {
    std::unique_ptr<Gathering> gathering;
    if (spare_.empty()) {
        gathering = std::make_unique<Gathering>(*this);
    } else {
        gathering = std::move(spare_.back());
        spare_.pop_back();
    }
    gathering.release()->begin(exchange);  // it comes back by `take_back`
}

std::uint64_t Fanout::key(std::size_t part, const http::Exchange& exchange) {
    if (parts_[part]->config().balance.how != conf::Balance::How::hash) return 0;
    key_room_.clear();
    keys_[part].append(key_room_, exchange, facts_, loop_.clock());
    return upstream::hash_of(key_room_);
}

void Fanout::take_back(Gathering& gathering) {
    std::unique_ptr<Gathering> over(&gathering);
    if (spare_.size() < spare_fans_max) return spare_.push_back(std::move(over));
    if (leaving_.empty()) loop_.after_turn([this] { leaving_.clear(); });
    leaving_.push_back(std::move(over));
}

}  // namespace worker::handler
