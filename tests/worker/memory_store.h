// tests/worker/memory_store.h: jobs in memory: as much of a store as those around it are tested with.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "worker/jobs/store.h"

/// Called by one thread; the switches by any.
class MemoryStore final : public worker::jobs::Store {
 public:
    struct Shared {
        std::atomic<bool> fails{false};
        std::atomic<int> takes_ms{0};    ///< for a batch
        std::atomic<bool> holds{false};  ///< then batches wait; who changes it notifies
        std::atomic<int> batches{0}, largest{0};
        std::vector<std::vector<std::size_t>> kinds;       ///< of operations, batch by batch; likewise
        std::map<std::string, worker::jobs::NewJob> jobs;  ///< looked at while no batch is under way
    };
    explicit MemoryStore(Shared& shared) : shared_(shared) {}

    ipc::Result<void> apply(std::span<worker::jobs::Operation> batch, worker::jobs::UnixMs) override {
        ++shared_.batches;
        shared_.largest = std::max(shared_.largest.load(), static_cast<int>(batch.size()));
        auto& kinds = shared_.kinds.emplace_back();
        for (const auto& operation : batch) kinds.push_back(operation.index());
        shared_.holds.wait(true);
        std::this_thread::sleep_for(std::chrono::milliseconds(shared_.takes_ms));
        if (shared_.fails) return ipc::failure("the disk is full");
        for (auto& operation : batch) {
            if (auto* enqueue = std::get_if<worker::jobs::Enqueue>(&operation)) {
                const bool fresh = shared_.jobs.try_emplace(enqueue->job.id, enqueue->job).second;
                enqueue->answer.id = enqueue->job.id;
                enqueue->answer.what = fresh ? worker::jobs::Enqueue::Answer::What::created
                                             : worker::jobs::Enqueue::Answer::What::existing;
            } else if (auto* get = std::get_if<worker::jobs::Get>(&operation)) {
                const auto found = shared_.jobs.find(get->id);
                get->answer.found = found != shared_.jobs.end();
                get->answer.job.id = get->id;
            }
        }
        return {};
    }
    void tidy() override {}
    worker::jobs::StoreFigures figures() override { return {}; }

 private:
    Shared& shared_;
};
