#include "worker/pool/module_member.h"

#include <poll.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <exception>
#include <utility>

#include "ipc/clock.h"
#include "worker/http/head.h"
#include "worker/http/host.h"

namespace worker::pool {
namespace {

constexpr std::size_t whole_body_max = 256ull << 20;  ///< bytes
constexpr std::string_view too_large = "Status: 413\r\n\r\n";

/// Until more of the request is here or its end is known, or for so long (-1: no limit). False: nobody wants
/// an answer any more.
bool wait_for_more(FastcgiRequest& request, int leave, int limit_ms) {
    std::array<pollfd, 2> waiting{{{request.fd(), POLLIN, 0}, {leave, POLLIN, 0}}};
    const int ready = ::poll(waiting.data(), waiting.size(), limit_ms);
    if (ready > 0 && waiting[1].revents != 0) request.give_up();
    if (ready > 0 && waiting[0].revents != 0) request.receive();
    return !request.gone();
}

/// False: it is too large, or nobody wants an answer any more.
bool take_body(FastcgiRequest& request, int leave) {
    while (!request.body_ended()) {
        if (request.body().size() > whole_body_max) return false;
        if (!wait_for_more(request, leave, -1)) return false;
    }
    return request.body().size() <= whole_body_max;
}

std::string field_name(std::string_view param) {
    std::string name(param);
    std::replace(name.begin(), name.end(), '_', '-');
    return name;
}

reeve::Request request_of(const FastcgiRequest& from) {
    reeve::Request request;
    request.method = from.param("REQUEST_METHOD");
    request.target = from.param("REQUEST_URI");
    request.path = std::string(from.param("SCRIPT_NAME")) + std::string(from.param("PATH_INFO"));
    request.query = from.param("QUERY_STRING");
    request.host = from.param("SERVER_NAME");
    request.client = from.param("REMOTE_ADDR");
    for (const auto& [name, value] : from.params()) {
        // A client's Job-Id would look like that of a job, which only the keeper tells.
        if (name.starts_with("HTTP_") && !name.starts_with("HTTP_JOB_"))
            request.fields.add(field_name(name.substr(5)), value);
        if (name == "CONTENT_TYPE" || name == "CONTENT_LENGTH" || name.starts_with("JOB_"))
            request.fields.add(field_name(name), value);
    }
    return request;
}

bool is_line(std::string_view text) {
    return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

/// How the answer is framed, and its status, is for us to say, as in workers.
bool is_for_us(std::string_view name) {
    const http::Known known = http::known_field(name);
    return known == http::Known::content_length || known == http::Known::transfer_encoding ||
           http::equals_ignore_case(name, "status");
}

bool has_body(int status) { return status != 204 && status != 304; }

std::string head_of(const reeve::Response& response, std::optional<std::uint64_t> length) {
    std::string head = fmt::format("Status: {}\r\n", response.status);
    for (const reeve::Field& field : response.fields) {
        if (!http::is_token(field.name) || !is_line(field.value))
            throw reeve::Failed(500, "its header has a field that is none");
        if (is_for_us(field.name)) continue;
        head.append(field.name).append(": ").append(field.value).append("\r\n");
    }
    if (length) head.append(fmt::format("Content-Length: {}\r\n", *length));
    return head.append("\r\n");
}

/// What a handler may ask for, at once or after a wait.
class InPlace final : public reeve::detail::Host {
 public:
    InPlace(const module::Module& module, FastcgiRequest& request, int leave)
        : module_(module), request_(request), leave_(leave) {}

    bool sleep(reeve::detail::Wait&, reeve::milliseconds time) override {
        const auto due =
            ipc::monotonic_ms() + static_cast<std::uint64_t>(std::max<std::int64_t>(0, time.count()));
        for (;;) {
            const auto now = ipc::monotonic_ms();
            if (now >= due || request_.gone()) return request_.gone();
            (void)wait(static_cast<int>(std::min<std::uint64_t>(due - now, 1'000'000)));
        }
    }
    bool fetch(reeve::detail::Wait&, std::string_view, const reeve::Question&, reeve::Answer&,
               reeve::detail::Outcome& outcome) override {
        outcome = {500, "fetch is for handlers that run in workers"};
        return false;
    }
    bool compute(reeve::detail::Wait&, std::string_view, std::string_view function, std::string_view bytes,
                 std::string& result, reeve::detail::Outcome& outcome) override {
        const reeve::Function* known = module_.function(function);
        if (known == nullptr) {
            outcome = {500, fmt::format("there is no function `{}`", function)};
        } else {
            try {
                result = (*known)(bytes);
            } catch (const std::exception& thrown) {
                outcome = {500, thrown.what()};
            }
        }
        return request_.gone();
    }
    bool blocking(reeve::detail::Wait&, std::string_view, const std::shared_ptr<reeve::detail::Job>& job,
                  reeve::detail::Outcome&) override {
        job->run();
        return request_.gone();
    }
    bool read(reeve::detail::Wait&, std::optional<std::string>& piece) override {
        piece.reset();
        while (request_.body().empty() && !request_.body_ended() && wait(-1)) {
        }
        if (!request_.body().empty()) piece.emplace(std::exchange(request_.body(), {}));
        return request_.gone();
    }
    void begin(const reeve::Response& head, std::optional<std::uint64_t> length) override {
        if (begun_) throw reeve::Failed(500, "the response has begun already");
        const std::string lines = head_of(head, length);
        begun_ = true;
        request_.write(lines);
        request_.write(head.body);
    }
    bool write(reeve::detail::Wait&, std::string_view bytes) override {
        if (!begun_) throw reeve::Failed(500, "the response has not begun");
        request_.write(bytes);
        return request_.gone();
    }
    void give_up(reeve::detail::Wait&) noexcept override {}
    void log(reeve::Level, std::string_view text) override { request_.complain(text); }

    [[nodiscard]] bool begun() const noexcept { return begun_; }

 private:
    /// More of the body may have come; while nobody reads it, it stays in the socket.
    bool wait(int limit_ms) {
        if (request_.body().empty() || request_.body_ended())
            return wait_for_more(request_, leave_, limit_ms);
        pollfd leaving{leave_, POLLIN, 0};
        if (::poll(&leaving, 1, limit_ms) > 0) request_.give_up();
        return !request_.gone();
    }

    const module::Module& module_;
    FastcgiRequest& request_;
    int leave_;
    bool begun_ = false;
};

void answer(FastcgiRequest& request, InPlace& host, const reeve::Response& response) {
    if (host.begun()) return request.write(response.body);
    if (!has_body(response.status)) return request.write(head_of(response, std::nullopt));
    request.write(head_of(response, response.body.size()));
    request.write(response.body);
}

void fail_handler(FastcgiRequest& request, const InPlace& host, int status, std::string_view why) {
    request.complain(fmt::format("handler failed: {}", why));
    if (host.begun()) return request.give_up();
    const std::string text = fmt::format("{}\n", status);
    request.write(fmt::format("Status: {}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{}",
                              status, text.size(), text));
}

}  // namespace

/// What code of the module runs, and for whom.
class ModuleMember::Running {
 public:
    Running(const ModuleMember& member, std::string_view kind, std::string_view name,
            std::string_view request)
        : in_flight_(member.in_flight_) {
        if (in_flight_ != nullptr)
            in_flight_->begin(request, fmt::format("{} {}={}", member.module_.name(), kind, name));
    }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
    ~Running() {
        if (in_flight_ != nullptr) in_flight_->end();
    }

 private:
    ipc::InFlight* in_flight_;
};

std::uint32_t ModuleMember::run(FastcgiRequest& request) const {
    const std::string_view function = request.param("REEVE_COMPUTE");
    if (function.empty())
        handle(request);
    else
        compute(request, function);
    return 0;
}

void ModuleMember::compute(FastcgiRequest& request, std::string_view name) const {
    const auto say = [&](int status, std::string_view text) {
        request.write(fmt::format("Status: {}\r\nContent-Length: {}\r\n\r\n{}", status, text.size(), text));
    };
    const reeve::Function* function = module_.function(name);
    if (function == nullptr)
        return say(500, fmt::format("module {} has no function `{}`", module_.name(), name));
    if (!take_body(request, leave_)) return request.give_up();
    const auto result = [&] {
        const Running running(*this, "function", name, {});
        return (*function)(request.body());
    };
    try {
        say(200, result());
    } catch (const std::exception& thrown) {
        say(500, thrown.what());
    } catch (...) {
        say(500, "it threw something");
    }
}

void ModuleMember::handle(FastcgiRequest& request) const {
    const auto* handler = module_.handler(handler_);
    if (handler == nullptr) return request.write("Status: 404\r\n\r\n");
    InPlace host(module_, request, leave_);
    reeve::Context context(host);
    reeve::Request asked = request_of(request);
    if (handler->body == reeve::Body::whole) {
        if (!take_body(request, leave_)) return request.gone() ? request.give_up() : request.write(too_large);
        asked.body = std::exchange(request.body(), {});
    }
    const Running running(*this, "handler", handler->name, asked.method + " " + asked.target);
    try {
        reeve::Task<reeve::Response> coroutine = handler->handler(std::move(asked), context);
        if (!coroutine.coroutine()) throw reeve::Failed(500, "it returned no coroutine");
        coroutine.coroutine().resume();
        if (!coroutine.over()) return request.give_up();  // nobody waits for it, or it waits for nobody
        const reeve::Response response = coroutine.await_resume();
        answer(request, host, response);
    } catch (const reeve::Failed& failed) {
        fail_handler(request, host, failed.status() >= 400 && failed.status() < 600 ? failed.status() : 500,
                     failed.what());
    } catch (const std::exception& thrown) {
        fail_handler(request, host, 500, thrown.what());
    } catch (...) {
        fail_handler(request, host, 500, "it threw something");
    }
}

}  // namespace worker::pool
