// worker/jobs/target.h: who does the jobs of a queue.
#pragma once

#include "conf/config.h"
#include "conf/queue.h"
#include "worker/execution/loop.h"
#include "worker/jobs/pool_door.h"
#include "worker/observe/program_log.h"
#include "worker/upstream/upstream.h"

namespace worker::jobs {

/// What all jobs of one queue share on their way there and back.
struct Target {
    /// `pool`: of a queue that has one; else the upstream that its configuration names. All must outlive it.
    Target(const conf::Queue& of, upstream::Upstreams& all, PoolDoor* pool, execution::Loop& on);

    const conf::Queue& queue;
    upstream::Upstreams& upstreams;
    PoolDoor* door;  ///< null: peers of an upstream are asked
    upstream::Upstream& upstream;
    const conf::Proxy terms;
    execution::Loop& loop;
    observe::ProgramLog log;
};

}  // namespace worker::jobs
