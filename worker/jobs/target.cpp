#include "worker/jobs/target.h"

#include "worker/upstream/pool_members.h"

namespace worker::jobs {
namespace {

/// Who asks keeps the time. Of an upstream another peer may be asked where the first took nothing.
conf::Proxy terms_of(bool of_pool) {
    const conf::Proxy usual;
    conf::Proxy own = upstream::task_terms(usual);
    if (of_pool) return own;
    own.connect_timeout = usual.connect_timeout;
    own.retries = usual.retries;
    return own;
}

}  // namespace

Target::Target(const conf::Queue& of, upstream::Upstreams& all, PoolDoor* pool, execution::Loop& on)
    : queue(of),
      upstreams(all),
      door(pool),
      upstream(pool != nullptr ? pool->members() : all.find(of.upstream.name)),
      terms(terms_of(pool != nullptr)),
      loop(on),
      log("queue", of.name, on.clock()) {}

}  // namespace worker::jobs
