#include "worker/jobs/watchers.h"

#include <algorithm>

namespace worker::jobs {

Watchers::Added Watchers::add(const std::string& id, JobWatcher& watcher) {
    if (count_ >= watchers_max_) return Added::refused;
    ++count_;
    auto& watchers = jobs_[id];
    watchers.push_back(&watcher);
    return watchers.size() == 1 ? Added::first : Added::another;
}

bool Watchers::remove(const std::string& id, JobWatcher& watcher) noexcept {
    const auto job = jobs_.find(id);
    if (job == jobs_.end()) return false;
    auto& watchers = job->second;
    const auto here = std::find(watchers.begin(), watchers.end(), &watcher);
    if (here == watchers.end()) return false;
    --count_;
    watchers.erase(here);
    if (!watchers.empty()) return false;
    jobs_.erase(job);
    return true;
}

bool Watchers::watches(const std::string& id, const JobWatcher* watcher) const noexcept {
    const auto job = jobs_.find(id);
    return job != jobs_.end() &&
           std::find(job->second.begin(), job->second.end(), watcher) != job->second.end();
}

Watchers::All Watchers::all() const {
    All all;
    all.reserve(count_);
    for (const auto& [id, watchers] : jobs_)
        for (auto* const watcher : watchers) all.emplace_back(id, watcher);
    return all;
}

void Watchers::tell_changed(const std::string& id) {
    const auto job = jobs_.find(id);
    if (job == jobs_.end()) return;
    const auto name = job->first;  // as `id` may go with the watcher
    for (auto* const watcher : std::vector(job->second))
        if (watches(name, watcher)) watcher->on_changed();
}

void Watchers::tell_all_changed() {
    for (const auto& [id, watcher] : all())
        if (watches(id, watcher)) watcher->on_changed();
}

void Watchers::tell_leaving() {
    for (const auto& [id, watcher] : all())
        if (watches(id, watcher)) watcher->on_leaving();
}

}  // namespace worker::jobs
