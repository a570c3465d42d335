// worker/handler/module_visit.h: one request with a module's coroutine, which asks the server by it.
#pragma once

#include <coroutine>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ipc/event.h"
#include "worker/handler/module.h"

namespace worker::handler {

//  collecting ──body complete──▶ running ⇄ waiting ──returns──▶ over
//  any ──client left, or time is over──▶ the coroutine is destroyed where it waits ──▶ over
/// Belongs to itself until it is over, and then to its route.
class ModuleVisit final : private http::Streamer, private reeve::detail::Host {
 public:
    explicit ModuleVisit(ModuleRoute& route) : route_(route) {}
    ModuleVisit(const ModuleVisit&) = delete;
    ModuleVisit& operator=(const ModuleVisit&) = delete;
    ~ModuleVisit() override = default;

    void begin(http::Exchange& exchange);

    // For its work.

    [[nodiscard]] ModuleRoute& route() noexcept { return route_; }
    [[nodiscard]] http::Exchange& exchange() noexcept { return *exchange_; }
    /// That is over: who waits for it goes on.
    void go_on(ModuleWork& work);

 private:
    void on_body(std::string_view payload) override;
    void on_body_end() override;
    void on_room() override;
    void on_gone() override;
    void on_limit(short what);

    bool sleep(reeve::detail::Wait& wait, reeve::milliseconds time) override;
    bool fetch(reeve::detail::Wait& wait, std::string_view upstream, const reeve::Question& question,
               reeve::Answer& answer, reeve::detail::Outcome& outcome) override;
    bool compute(reeve::detail::Wait& wait, std::string_view pool, std::string_view function,
                 std::string_view bytes, std::string& result, reeve::detail::Outcome& outcome) override;
    bool blocking(reeve::detail::Wait& wait, std::string_view pool,
                  const std::shared_ptr<reeve::detail::Job>& job, reeve::detail::Outcome& outcome) override;
    bool read(reeve::detail::Wait& wait, std::optional<std::string>& piece) override;
    void begin(const reeve::Response& head, std::optional<std::uint64_t> length) override;
    bool write(reeve::detail::Wait& wait, std::string_view bytes) override;
    void give_up(reeve::detail::Wait& wait) noexcept override;
    void log(reeve::Level level, std::string_view text) override;
    bool enqueue(reeve::detail::Wait& wait, std::string_view queue, std::string&& body,
                 const reeve::JobOptions& options, reeve::Enqueued& job,
                 reeve::detail::Refusal& refusal) override;

    void start();
    void run(std::coroutine_handle<> coroutine);
    bool wait_for(std::unique_ptr<ModuleWork> work);
    void pass_piece_on();
    void end();
    void answer(reeve::Response&& response);
    void send(std::string_view bytes);
    void refuse(http::Status status, std::string_view why);
    void leave();

    ModuleRoute& route_;
    http::Exchange* exchange_ = nullptr;  ///< null: it is over
    reeve::Context context_{*this};
    reeve::Task<reeve::Response> coroutine_;
    std::string body_;  ///< what has come, and was not read
    bool body_ended_ = false;
    ModuleWork* reader_ = nullptr;  ///< waits for more of it
    std::optional<std::string>* piece_ = nullptr;
    std::vector<ModuleWork*> writers_;   ///< wait for the client, in order
    std::optional<std::uint64_t> left_;  ///< bytes of the response's length that are still to come
    bool begun_ = false, head_only_ = false;
    std::optional<ipc::Event> limit_;
};

}  // namespace worker::handler
