// worker/jobs/job_head.h: a job as the request that its handler gets.
#pragma once

#include <string>
#include <string_view>

#include "conf/queue.h"
#include "worker/jobs/job.h"
#include "worker/jobs/stored_request.h"

namespace worker::jobs {

/// For a program, as the content of FastCGI's PARAMS: a POST to /QUEUE, with JOB_ID, JOB_ATTEMPT,
/// JOB_ATTEMPTS (how many there may be), JOB_QUEUE, JOB_ENQUEUED (RFC 3339) and JOB_KEY;
/// SCRIPT_FILENAME where the queue has a script.
void append_job_params(std::string& out, const Claimed& job, const conf::Queue& queue);
/// Of a job that is a request: that one, with the same JOB_....
void append_request_params(std::string& out, const StoredRequest& request, const Claimed& job,
                           const conf::Queue& queue);

/// For a peer of an upstream: the head of a POST, up to its empty line, with Job-Id, Job-Attempt and so on,
/// and the job's id as Idempotency-Key. `host`: for the field.
void append_job_head(std::string& out, const Claimed& job, const conf::Queue& queue, std::string_view host);
/// Of a job that is a request: that one, with the same Job-....
void append_request_head(std::string& out, const StoredRequest& request, const Claimed& job,
                         const conf::Queue& queue);

}  // namespace worker::jobs
