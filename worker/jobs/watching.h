// worker/jobs/watching.h: to be told when a job has changed, instead of asking again and again.
#pragma once

#include <string>

namespace worker::jobs {

/// Somebody who follows a job. Loop thread only.
class JobWatcher {
 public:
    virtual ~JobWatcher() = default;
    /// It may have changed, or told changes may have been missed: look again.
    virtual void on_changed() = 0;
    /// This process takes leave of its clients.
    virtual void on_leaving() = 0;
};

/// Whoever knows. Loop thread only.
class Watching {
 public:
    virtual ~Watching() = default;
    /// From now on until `unwatch`, which may be said within any call. False: too many are watching; the
    /// watcher is told nothing. What other machines do to a job, and the time that makes it ready, are not
    /// told: whoever watches looks by itself too, now and then.
    [[nodiscard]] virtual bool watch(const std::string& id, JobWatcher& watcher) = 0;
    virtual void unwatch(const std::string& id, JobWatcher& watcher) noexcept = 0;
    /// `on_leaving` has been told; `watch` is false from then on.
    [[nodiscard]] virtual bool leaving() const noexcept = 0;
};

}  // namespace worker::jobs
