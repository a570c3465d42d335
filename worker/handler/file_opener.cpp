#include "worker/handler/file_opener.h"

#include <algorithm>
#include <utility>

#include "worker/handler/resolver.h"

namespace worker::handler {

using execution::ThreadOutcome;

/// Whoever has it last lets go of what was found: until the loop has taken that, nobody else counts it.
class FileOpener::Job final : public execution::ThreadJob {
 public:
    Job(const FileOpener& of, std::string_view path)
        : files_(of.files_), small_(of.rooms_.small), budget_(of.rooms_.budget), path_(path) {}

    void run() override { found_ = Resolver(*files_, small_, budget_).resolve(path_, {}); }
    [[nodiscard]] std::string_view about() const noexcept override { return path_; }
    /// Loop thread, once it has run.
    [[nodiscard]] connection::Ref<Resource> take() noexcept { return std::move(found_); }

 private:
    std::shared_ptr<const conf::Files> files_;
    std::uint64_t small_;
    std::shared_ptr<MemoryBudget> budget_;
    std::string path_;
    connection::Ref<Resource> found_;
};

/// An exchange that waits for a file.
class FileOpener::Asker final : public http::Streamer {
 public:
    Asker(Opening& for_that, http::Exchange& asking) : opening(for_that), exchange(asking) {}
    void on_body(std::string_view) override {}
    void on_body_end() override {}
    void on_room() override {}
    void on_gone() override;

    Opening& opening;
    http::Exchange& exchange;
};

class FileOpener::Opening final : public execution::ThreadPool::Errand {
 public:
    Opening(FileOpener& of, std::string_view which)
        : Errand(of.rooms_.desk), path(which), job(std::make_shared<Job>(of, which)), owner(of) {}

    const std::string path;
    std::shared_ptr<Job> job;
    std::vector<std::unique_ptr<Asker>> askers;
    FileOpener& owner;

 private:
    void on_over(ThreadOutcome outcome) override { owner.on_over(*this, outcome); }
};

void FileOpener::Asker::on_gone() { opening.owner.leave(*this); }

FileOpener::FileOpener(const Rooms& rooms)
    : rooms_(rooms), files_(std::make_shared<const conf::Files>(rooms.files)) {}

FileOpener::~FileOpener() = default;

void FileOpener::open(http::Exchange& exchange, std::string_view path) {
    auto& opening = openings_[std::string(path)];
    if (!opening) {
        opening = std::make_unique<Opening>(*this, path);
        rooms_.pool.submit(*opening, opening->job);
    }
    exchange.streamer = opening->askers.emplace_back(std::make_unique<Asker>(*opening, exchange)).get();
}

void FileOpener::on_over(Opening& opening, ThreadOutcome outcome) {
    const auto place = openings_.find(opening.path);
    std::unique_ptr<Opening> over = std::move(place->second);
    openings_.erase(place);
    const auto resource = outcome == ThreadOutcome::done ? over->job->take() : connection::Ref<Resource>();
    if (resource) found_(over->path, resource);
    for (const auto& asker : over->askers) {
        http::Exchange& exchange = asker->exchange;
        exchange.streamer = nullptr;  // an error page may be longer under way than the asker is there
        if (resource) {
            answer_(exchange, resource);
            continue;
        }
        const bool refused = outcome == ThreadOutcome::full || outcome == ThreadOutcome::late;
        if (refused) exchange.response.add_field("Retry-After", "1");
        exchange.refuse(refused ? 503 : outcome == ThreadOutcome::overdue ? 504 : 500);
    }
    put_aside(std::move(over));
}

/// The client is gone; when nobody else asks, the disk is left alone.
void FileOpener::leave(Asker& asker) {
    Opening& opening = asker.opening;
    if (opening.askers.size() > 1) {
        const auto here = std::find_if(opening.askers.begin(), opening.askers.end(),
                                       [&](const auto& one) { return one.get() == &asker; });
        std::swap(*here, opening.askers.back());
        opening.askers.pop_back();
        return;
    }
    opening.cancel();
    const auto place = openings_.find(opening.path);
    std::unique_ptr<Opening> over = std::move(place->second);
    openings_.erase(place);
    put_aside(std::move(over));
}

void FileOpener::put_aside(std::unique_ptr<Opening> opening) {
    if (leaving_.empty()) rooms_.loop.after_turn([this] { leaving_.clear(); });
    leaving_.push_back(std::move(opening));
}

}  // namespace worker::handler
