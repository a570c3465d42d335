// worker/jobs/watchers.h: who of a loop watches which job.
#pragma once

#include <cstddef>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "worker/jobs/watching.h"

namespace worker::jobs {

/// Loop thread only. Watchers may come and go while they are told.
class Watchers {
 public:
    explicit Watchers(std::size_t watchers_max) : watchers_max_(watchers_max) {}

    enum class Added { first, another, refused };  ///< the first of that job, or not
    [[nodiscard]] Added add(const std::string& id, JobWatcher& watcher);
    /// Whether it was the last of that job.
    bool remove(const std::string& id, JobWatcher& watcher) noexcept;

    [[nodiscard]] bool empty() const noexcept { return jobs_.empty(); }
    template <class Visit>
    void for_jobs(const Visit& visit) const {
        for (const auto& [id, watchers] : jobs_) visit(id);
    }

    void tell_changed(const std::string& id);
    void tell_all_changed();
    void tell_leaving();

 private:
    using All = std::vector<std::pair<std::string, JobWatcher*>>;
    [[nodiscard]] All all() const;
    [[nodiscard]] bool watches(const std::string& id, const JobWatcher* watcher) const noexcept;

    std::size_t watchers_max_, count_ = 0;
    std::unordered_map<std::string, std::vector<JobWatcher*>> jobs_;
};

}  // namespace worker::jobs
