// worker/jobs/watched_jobs.h: which jobs of a keeper are watched by which of its clients.
#pragma once

#include <cstddef>
#include <string>
#include <unordered_map>
#include <vector>

#include "worker/jobs/operations.h"

namespace worker::jobs {

/// A client of the keeper that watches jobs.
class ChangeListener {
 public:
    virtual ~ChangeListener() = default;
    /// Not from within its own calls.
    virtual void on_job_changed(const std::string& id) = 0;
};

/// Loop thread only.
class WatchedJobs {
 public:
    void add(const std::string& id, ChangeListener& listener);
    void remove(const std::string& id, ChangeListener& listener) noexcept;
    /// What was stored: those are told whose jobs it changed, or may have changed.
    void note(const Operation& stored) const;
    [[nodiscard]] bool empty() const noexcept { return jobs_.empty(); }

 private:
    void tell(const std::string& id) const;
    void tell_all() const;

    std::unordered_map<std::string, std::vector<ChangeListener*>> jobs_;
};

}  // namespace worker::jobs
