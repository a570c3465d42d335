#include "worker/jobs/job_head.h"

#include <time.h>

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "worker/http/fastcgi.h"

namespace worker::jobs {
namespace {

/// RFC 3339, in UTC: "2026-01-31T23:59:59.123Z".
std::string time_text(UnixMs at) {
    const UnixMs clean = std::max<UnixMs>(at, 0);
    const time_t seconds = clean / 1000;
    tm parts{};
    ::gmtime_r(&seconds, &parts);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                       parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, clean % 1000);
}

/// What is stored came from strangers: nothing of it ends a line.
void append_line(std::string& out, std::string_view name, std::string_view value) {
    if (value.empty()) return;
    out.append(name).append(": ");
    const std::size_t begin = out.size();
    out.append(value).append("\r\n");
    std::replace_if(
        out.begin() + static_cast<std::ptrdiff_t>(begin), out.end() - 2,
        [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; }, ' ');
}

/// Which job it is.
void append_name_params(std::string& out, const Claimed& job, const conf::Queue& queue) {
    const auto add = [&](std::string_view name, std::string_view value) {
        http::fastcgi::append_param(out, name, value);
    };
    add("JOB_ID", job.id);
    add("JOB_ATTEMPT", std::to_string(job.attempt));
    add("JOB_ATTEMPTS", std::to_string(job.attempts));
    add("JOB_QUEUE", queue.name);
    add("JOB_ENQUEUED", time_text(job.created));
    if (!job.key.empty()) add("JOB_KEY", job.key);
}

void append_name_lines(std::string& out, const Claimed& job, const conf::Queue& queue) {
    append_line(out, "Job-Id", job.id);
    append_line(out, "Job-Attempt", std::to_string(job.attempt));
    append_line(out, "Job-Attempts", std::to_string(job.attempts));
    append_line(out, "Job-Queue", queue.name);
    append_line(out, "Job-Enqueued", time_text(job.created));
    append_line(out, "Job-Key", job.key);
}

/// Those that say their length also where there is nothing (RFC 9110 8.6).
bool has_usual_body(std::string_view head) {
    return head.starts_with("POST ") || head.starts_with("PUT ") || head.starts_with("PATCH ");
}

}  // namespace

void append_job_params(std::string& out, const Claimed& job, const conf::Queue& queue) {
    const auto add = [&](std::string_view name, std::string_view value) {
        http::fastcgi::append_param(out, name, value);
    };
    const std::string path = "/" + queue.name;
    add("GATEWAY_INTERFACE", "CGI/1.1");
    add("SERVER_SOFTWARE", "reeve/" REEVE_VERSION);
    add("SERVER_PROTOCOL", "HTTP/1.1");
    add("SERVER_NAME", "localhost");
    add("SERVER_PORT", "80");
    add("REMOTE_ADDR", "127.0.0.1");
    add("REDIRECT_STATUS", "200");  // without it php-cgi believes that somebody has called it past its server
    add("REQUEST_METHOD", "POST");
    if (!queue.script.empty()) add("SCRIPT_FILENAME", queue.script);
    add("SCRIPT_NAME", path);
    add("REQUEST_URI", path);
    add("QUERY_STRING", "");
    add("CONTENT_LENGTH", std::to_string(job.body.size()));
    if (!job.content_type.empty()) add("CONTENT_TYPE", job.content_type);
    if (!job.trace.empty()) add("HTTP_TRACEPARENT", job.trace);
    add("HTTP_IDEMPOTENCY_KEY", job.id);
    append_name_params(out, job, queue);
    if (queue.function.empty()) return;
    add("REEVE_JOB", queue.function);
    add("REEVE_JOB_ENQUEUED", std::to_string(job.created));
}

void append_request_params(std::string& out, const StoredRequest& request, const Claimed& job,
                           const conf::Queue& queue) {
    out.append(request.head);
    http::fastcgi::append_param(out, "CONTENT_LENGTH", std::to_string(job.body.size()));
    append_name_params(out, job, queue);
}

void append_job_head(std::string& out, const Claimed& job, const conf::Queue& queue, std::string_view host) {
    out.append("POST ").append(queue.upstream.path).append(" HTTP/1.1\r\nHost: ").append(host).append("\r\n");
    append_line(out, "Content-Type", job.content_type);
    append_line(out, "Content-Length", std::to_string(job.body.size()));
    append_line(out, "Idempotency-Key", job.id);
    append_name_lines(out, job, queue);
    append_line(out, "traceparent", job.trace);
    out.append("\r\n");
}

void append_request_head(std::string& out, const StoredRequest& request, const Claimed& job,
                         const conf::Queue& queue) {
    out.append(request.head);
    if (!job.body.empty() || has_usual_body(request.head))
        append_line(out, "Content-Length", std::to_string(job.body.size()));
    append_name_lines(out, job, queue);
    out.append("\r\n");
}

}  // namespace worker::jobs
