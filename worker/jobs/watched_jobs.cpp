#include "worker/jobs/watched_jobs.h"

#include <algorithm>
#include <variant>

namespace worker::jobs {

void WatchedJobs::add(const std::string& id, ChangeListener& listener) {
    auto& listeners = jobs_[id];
    if (std::find(listeners.begin(), listeners.end(), &listener) == listeners.end())
        listeners.push_back(&listener);
}

void WatchedJobs::remove(const std::string& id, ChangeListener& listener) noexcept {
    const auto job = jobs_.find(id);
    if (job == jobs_.end()) return;
    std::erase(job->second, &listener);
    if (job->second.empty()) jobs_.erase(job);
}

void WatchedJobs::tell(const std::string& id) const {
    const auto job = jobs_.find(id);
    if (job == jobs_.end()) return;
    for (auto* const listener : job->second) listener->on_job_changed(id);
}

void WatchedJobs::tell_all() const {
    for (const auto& [id, listeners] : jobs_)
        for (auto* const listener : listeners) listener->on_job_changed(id);
}

void WatchedJobs::note(const Operation& stored) const {
    if (jobs_.empty()) return;
    if (const auto* claim = std::get_if<Claim>(&stored)) {
        for (const auto& job : claim->answer.jobs) tell(job.id);
    } else if (const auto* finish = std::get_if<Finish>(&stored)) {
        if (finish->answer.accepted) tell(finish->id);
    } else if (const auto* progress = std::get_if<Progress>(&stored)) {
        if (progress->answer.accepted) tell(progress->id);
    } else if (const auto* cancel = std::get_if<Cancel>(&stored)) {
        tell(cancel->id);
    } else if (const auto* retry = std::get_if<Retry>(&stored)) {
        tell(retry->id);
    } else if (const auto* purge = std::get_if<Purge>(&stored)) {
        if (purge->answer.purged > 0) tell_all();
    } else if (const auto* expire = std::get_if<Expire>(&stored)) {
        if (expire->answer.expired > 0) tell_all();
    } else if (const auto* recover = std::get_if<Recover>(&stored)) {
        if (recover->answer.recovered > 0) tell_all();
    }
}

}  // namespace worker::jobs
