// worker/handler/file_opener.h: looks for files in a pool of threads, so that a slow disk stalls no loop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "conf/config.h"
#include "worker/execution/loop.h"
#include "worker/execution/thread_pool.h"
#include "worker/handler/open_file.h"
#include "worker/handler/resource.h"
#include "worker/http/exchange.h"

namespace worker::handler {

/// One route's, on one loop: each path is looked for once at a time, however many ask. Loop thread only.
class FileOpener {
 public:
    struct Rooms {
        const conf::Files& files;  ///< copied: a thread may be left with it
        std::uint64_t small;       ///< larger files are not read into memory
        std::shared_ptr<MemoryBudget> budget;
        execution::ThreadPool& pool;
        execution::ThreadDesk& desk;
        execution::Loop& loop;
    };
    using Found = std::function<void(std::string_view path, const connection::Ref<Resource>&)>;
    using Answer = std::function<void(http::Exchange&, const connection::Ref<Resource>&)>;

    explicit FileOpener(const Rooms& rooms);
    FileOpener(const FileOpener&) = delete;
    FileOpener& operator=(const FileOpener&) = delete;
    ~FileOpener();

    /// Both before the first `open`. Called once a path, and then once an exchange that waited for it.
    void when_found(Found found) { found_ = std::move(found); }
    void when_answered(Answer answer) { answer_ = std::move(answer); }

    /// Later it is answered, or refused: 503 where the pool has no room or too little time, 504 where the
    /// disk takes too long.
    void open(http::Exchange& exchange, std::string_view path);

 private:
    class Job;
    class Asker;
    class Opening;

    void on_over(Opening& opening, execution::ThreadOutcome outcome);
    void leave(Asker& asker);
    void put_aside(std::unique_ptr<Opening> opening);

    Rooms rooms_;
    std::shared_ptr<const conf::Files> files_;
    Found found_;
    Answer answer_;
    std::unordered_map<std::string, std::unique_ptr<Opening>> openings_;  ///< by path
    std::vector<std::unique_ptr<Opening>> leaving_;                       ///< over, and perhaps on the stack
};

}  // namespace worker::handler
