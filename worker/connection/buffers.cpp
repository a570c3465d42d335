#include "worker/connection/buffers.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "ipc/clock.h"

namespace worker::connection {
namespace {

constexpr std::uint64_t told_every_ms = 1'000;  // lines about files that fail, at most

}  // namespace

Block::Block(Buffers& owner, std::size_t bytes)
    : owner_(owner), bytes_(std::make_unique_for_overwrite<char[]>(bytes)), size_(bytes) {
    owner_.add_memory(size_);
}

Block::~Block() {
    owner_.add_memory(0 - std::uint64_t{size_});
    owner_.totals_.give_back_memory(size_);
}

std::string_view Block::append(std::string_view bytes) noexcept {
    char* const at = bytes_.get() + used_;
    const std::size_t size = std::min(bytes.size(), room());
    std::memcpy(at, bytes.data(), size);
    used_ += size;
    return {at, size};
}

SpillFile::~SpillFile() {
    owner_.add_file(0 - size_);
    owner_.totals_.give_back_file(size_);
}

std::size_t SpillFile::append(std::string_view bytes, ipc::BufferRefusal& why) {
    const auto wanted = static_cast<std::size_t>(owner_.totals_.take_file(bytes.size()));
    if (wanted < bytes.size()) why = ipc::BufferRefusal::total;
    std::size_t written = 0;
    while (written < wanted) {
        const ssize_t got = ::pwrite(file_.get(), bytes.data() + written, wanted - written,
                                     static_cast<off_t>(size_ + written));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
            owner_.tell_failure(got < 0 ? errno : ENOSPC);
            why = ipc::BufferRefusal::disk;
            break;
        }
        written += static_cast<std::size_t>(got);
    }
    size_ += written;
    owner_.totals_.give_back_file(wanted - written);
    owner_.add_file(written);
    owner_.use_.spilled.add(written);
    return written;
}

Buffers::Buffers(BufferTotals& totals, std::optional<SpillFolder> folder, ipc::BufferUse& use)
    : totals_(totals), folder_(std::move(folder)), use_(use) {
    use_.memory.set(0);  // what is there is of a worker that died in the seat
    use_.file.set(0);
}

Ref<Block> Buffers::take(std::size_t bytes, bool beyond) {
    if (beyond)
        totals_.add_memory(bytes);
    else if (!totals_.take_memory(bytes))
        return {};
    return Ref<Block>(new Block(*this, bytes));
}

Ref<SpillFile> Buffers::make_file() {
    if (!folder_) return {};
    ipc::UniqueFd file = folder_->make();
    if (file) return Ref<SpillFile>(new SpillFile(*this, std::move(file)));
    tell_failure(errno);
    return {};
}

void Buffers::count(ipc::BufferedBody body, ipc::BufferRefusal refusal) noexcept {
    use_.refused[static_cast<std::size_t>(body)][static_cast<std::size_t>(refusal)].add();
}

void Buffers::tell_failure(int error) {
    const std::uint64_t now = ipc::monotonic_ms();
    if (told_ms_ != 0 && now - told_ms_ < told_every_ms) {
        ++untold_;
        return;
    }
    spdlog::error("no file for a body buffer_path={} why={:?} more_untold={}", folder_->path(),
                  std::generic_category().message(error), untold_);
    told_ms_ = now;
    untold_ = 0;
}

}  // namespace worker::connection
