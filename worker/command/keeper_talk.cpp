#include "worker/command/keeper_talk.h"

#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "worker/execution/loop.h"
#include "worker/jobs/keeper_client.h"
#include "worker/loaded.h"

namespace worker::command {
namespace {

constexpr std::size_t talk_bytes_max = 160u << 20;  ///< the largest body, and what belongs to it

}  // namespace

/// A loop that turns while something is asked.
class KeeperTalk::Line {
 public:
    Line(int address, std::chrono::milliseconds timeout)
        : loop_(cell_),
          client_(loop_, {.path = "/proc/self/fd/" + std::to_string(address),
                          .owner = {},
                          .timeout = timeout,
                          .bytes = talk_bytes_max}) {}

    ipc::Result<jobs::Operation> ask(jobs::Operation operation) {
        std::optional<ipc::Result<jobs::Operation>> heard;
        client_.submit(std::move(operation), [&](jobs::Operation&& over, const ipc::Error* failure) {
            if (failure == nullptr)
                heard.emplace(std::move(over));
            else
                heard.emplace(tl::make_unexpected(*failure));
            loop_.stop();
        });
        loop_.run();
        return std::move(*heard);
    }

 private:
    ipc::LoopCell cell_;
    execution::Loop loop_;
    jobs::KeeperClient client_;
};

ipc::Result<KeeperTalk> KeeperTalk::make(std::string_view text, std::vector<ipc::UniqueFd> descriptors,
                                         std::chrono::milliseconds timeout) {
    const auto end = text.find('\n');
    const auto version = text.substr(0, end);
    if (version != REEVE_VERSION)
        return ipc::failure("the server is reeve " + std::string(version) +
                            ", and this is " REEVE_VERSION ": ask with its own program");
    if (descriptors.size() != 2) return ipc::failure("the master does not say where its keeper is");
    auto config = load_config(descriptors[1].get());
    if (!config) return tl::make_unexpected(std::move(config.error()));
    KeeperTalk talk(std::move(descriptors[0]), std::move(*config), timeout);
    if (end != text.npos) talk.unable_ = text.substr(end + 1, text.find('\n', end + 1) - end - 1);
    return talk;
}

KeeperTalk::KeeperTalk(ipc::UniqueFd address, conf::Config config, std::chrono::milliseconds timeout)
    : address_(std::move(address)), config_(std::move(config)), timeout_(timeout) {}

KeeperTalk::KeeperTalk(KeeperTalk&& other) noexcept = default;
KeeperTalk& KeeperTalk::operator=(KeeperTalk&& other) noexcept = default;
KeeperTalk::~KeeperTalk() = default;

ipc::Result<jobs::Operation> KeeperTalk::ask(jobs::Operation operation) {
    if (!line_) line_ = std::make_unique<Line>(address_.get(), timeout_);
    auto heard = line_->ask(std::move(operation));
    if (heard || unable_.empty() || heard.error().text() == unable_) return heard;
    return ipc::failure(heard.error().text() + "; the store was unable before: " + unable_);
}

}  // namespace worker::command
