#include "worker/observe/recorder.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "conf/plan.h"

namespace worker::observe {
namespace {

constexpr std::chrono::milliseconds flush_every(1000);

}  // namespace

Recorder::Recorder(const conf::Config& config, LogWriter& writer, execution::Loop& loop,
                   const ipc::Desk& desk)
    : loop_(loop),
      config_(config),
      writer_(writer),
      clock_(static_cast<int>(desk.slot), static_cast<int>(::getpid())),
      flush_(ipc::Event::timer<&Recorder::on_flush>(this, loop.base())) {
    for (const conf::Route& route : config.routes)
        routes_.push_back(&desk.cell->routes[desk.scoreboard->route(route.name)]);
    routes_.push_back(&desk.cell->routes[0]);
    const std::vector<std::string> paths = conf::access_log_paths(config);
    for (std::size_t i = 0; i < paths.size(); ++i) appenders_.emplace_back(writer.file(i));
    for (const conf::Server& server : config.servers) {
        std::optional<Log>& log = logs_.emplace_back();
        if (server.access_log.path.empty()) continue;
        auto format = AccessFormat::compile(server.access_log.format);
        if (!format) std::abort();  // checked with the configuration
        const auto path = std::find(paths.begin(), paths.end(), server.access_log.path);
        log.emplace(Log{std::move(*format), &appenders_[static_cast<std::size_t>(path - paths.begin())]});
    }
}

void Recorder::record(const http::Exchange& exchange) {
    // The loop's clock stands still during a turn, in which most requests begin and end.
    const std::uint64_t took_us = loop_.clock().precise_us() - exchange.begun_us;
    count(exchange, took_us);
    if (exchange.server == nullptr) return;
    std::optional<Log>& log = logs_[static_cast<std::size_t>(exchange.server - config_.servers.data())];
    if (log) write(*log, exchange, took_us);
}

void Recorder::count(const http::Exchange& exchange, std::uint64_t took_us) {
    ipc::LoopCell& cell = loop_.cell();
    const std::size_t hundreds = exchange.response.status / 100u;
    const std::size_t status = hundreds < cell.statuses.size() ? hundreds : 0;
    cell.requests.add();
    cell.statuses[status].add();
    ipc::RouteCell& route = cell_of(exchange);
    route.statuses[status].add();
    route.latency.add(took_us);
    cell.bytes_in.add(exchange.bytes_received);
    cell.bytes_out.add(exchange.bytes_sent);
}

ipc::RouteCell& Recorder::cell_of(const http::Exchange& exchange) noexcept {
    if (exchange.route == nullptr) return *routes_.back();
    return *routes_[static_cast<std::size_t>(exchange.route - config_.routes.data())];
}

void Recorder::write(Log& log, const http::Exchange& exchange, std::uint64_t took_us) {
    using http::Known;
    const http::Request& request = exchange.request;
    connection::Peer::Text room;
    const bool readable = !request.method().empty();
    AccessRecord record;
    record.client = exchange.peer.text(room);
    record.client_port = exchange.peer.port();
    record.method = request.method();
    record.target = request.raw_target();
    if (readable) record.protocol = request.minor == 0 ? "HTTP/1.0" : "HTTP/1.1";
    record.host = request.value(Known::host);
    record.referer = request.value(Known::referer);
    record.user_agent = request.value(Known::user_agent);
    record.range = request.value(Known::range);
    record.forwarded_for = request.value(Known::x_forwarded_for);
    record.status = exchange.response.status;
    record.body_bytes = exchange.body_bytes_sent;
    record.bytes_sent = exchange.bytes_sent;
    record.bytes_received = exchange.bytes_received;
    record.connection = exchange.connection_id;
    record.connection_requests = exchange.connection_requests;
    record.request_time_us = took_us;
    record.server = exchange.server->name;
    if (exchange.route != nullptr) record.route = exchange.route->name;
    record.tries = &exchange.upstream_tries;
    record.keep_alive = exchange.keep_alive;

    clock_.update(loop_.clock().unix_ms());
    log.format.append(log.appender->buffer(), record, clock_);
    log.appender->commit();
    if (!flush_.armed()) flush_.arm(flush_every);
}

void Recorder::flush() {
    bool all = true;
    for (LogFile::Appender& appender : appenders_) all = appender.flush() && all;
    loop_.cell().log_lines_lost.add(writer_.lines_lost_untold());
    if (!all && !flush_.armed()) flush_.arm(flush_every);
}

void Recorder::on_flush(short) {
    loop_.enter();
    flush();
}

}  // namespace worker::observe
