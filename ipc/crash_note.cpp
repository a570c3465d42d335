// ipc/crash_note.cpp: plain stores, in an order that a reader after death need not care about.
#include "ipc/crash_note.h"

#include <algorithm>

namespace ipc {

void CrashNote::write(const Signal& signal, std::span<void* const> frames, const Task& task,
                      const Place& place) noexcept {
    std::int32_t nothing = 0;
    if (!number_.compare_exchange_strong(nothing, being_written, std::memory_order_acq_rel)) return;
    code_.store(signal.code, std::memory_order_relaxed);
    address_.store(signal.address, std::memory_order_relaxed);
    system_call_.store(signal.system_call, std::memory_order_relaxed);
    executor_.store(signal.executor, std::memory_order_relaxed);
    const std::size_t count = std::min(frames.size(), frames_max);
    for (std::size_t index = 0; index < count; ++index)
        frames_[index].store(reinterpret_cast<std::uintptr_t>(frames[index]), std::memory_order_relaxed);
    frame_count_.store(static_cast<std::uint32_t>(count), std::memory_order_relaxed);
    const std::size_t objects = std::min(place.objects.size(), objects_max);
    for (std::size_t index = 0; index < objects; ++index) {
        const Object& from = place.objects[index];
        Noted& to = objects_[index];
        to.begin.store(from.begin, std::memory_order_relaxed);
        to.end.store(from.end, std::memory_order_relaxed);
        to.bias.store(from.bias, std::memory_order_relaxed);
        to.file.set(from.file);
    }
    object_count_.store(static_cast<std::uint32_t>(objects), std::memory_order_relaxed);
    module_.set(place.module);
    pool_.set(task.pool);
    about_.set(task.about);
    module_of_task_.set(task.module);
    number_.store(signal.number, std::memory_order_release);
}

std::string CrashNote::pool() const { return signal().number == 0 ? std::string() : pool_.get(); }

std::string CrashNote::about() const { return signal().number == 0 ? std::string() : about_.get(); }

std::string CrashNote::module_of_task() const {
    return signal().number == 0 ? std::string() : module_of_task_.get();
}

std::string CrashNote::module() const { return signal().number == 0 ? std::string() : module_.get(); }

std::optional<std::size_t> CrashNote::object_at(std::uint64_t address) const noexcept {
    if (number_.load(std::memory_order_acquire) <= 0) return std::nullopt;
    const auto count = std::min<std::size_t>(object_count_.load(std::memory_order_relaxed), objects_max);
    for (std::size_t index = 0; index < count; ++index)
        if (address >= objects_[index].begin.load(std::memory_order_relaxed) &&
            address < objects_[index].end.load(std::memory_order_relaxed))
            return index;
    return std::nullopt;
}

std::uint64_t CrashNote::begin(std::size_t object) const noexcept {
    return objects_[object].begin.load(std::memory_order_relaxed);
}

std::uint64_t CrashNote::bias(std::size_t object) const noexcept {
    return objects_[object].bias.load(std::memory_order_relaxed);
}

CrashNote::Signal CrashNote::signal() const noexcept {
    Signal signal;
    const auto number = number_.load(std::memory_order_acquire);
    if (number <= 0) return signal;
    signal.number = number;
    signal.code = code_.load(std::memory_order_relaxed);
    signal.address = address_.load(std::memory_order_relaxed);
    signal.system_call = system_call_.load(std::memory_order_relaxed);
    signal.executor = executor_.load(std::memory_order_relaxed);
    return signal;
}

std::size_t CrashNote::frames(std::span<void*, frames_max> frames) const noexcept {
    if (number_.load(std::memory_order_acquire) <= 0) return 0;
    const auto count = std::min<std::size_t>(frame_count_.load(std::memory_order_relaxed), frames_max);
    for (std::size_t index = 0; index < count; ++index)
        frames[index] = reinterpret_cast<void*>(
            static_cast<std::uintptr_t>(frames_[index].load(std::memory_order_relaxed)));
    return count;
}

}  // namespace ipc
