// worker/pool/in_place.h: what coroutines of modules ask for in a process of a pool: done where they stand.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "worker/module/loader.h"
#include "worker/pool/fastcgi_server.h"

namespace worker::pool {

/// Until more of the request is here or its end is known, or for so long (-1: no limit). False: nobody wants
/// an answer any more.
[[nodiscard]] bool wait_for_more(FastcgiRequest& request, int leave, int limit_ms);

/// The server, as one request or attempt at a job sees it. Nobody else is served, so what would be awaited is
/// done, or waited for, when the await is over; what is not is awaited for ever, as nobody wants it.
class InPlace final : public reeve::detail::JobHost {
 public:
    enum class For : std::uint8_t { request, job };

    /// All must outlive it; `leave` as of `FastcgiServer`.
    InPlace(const module::Module& module, FastcgiRequest& request, int leave, For what)
        : module_(module), request_(request), leave_(leave), for_(what) {}

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
    void give_up(reeve::detail::Wait&) noexcept override {}
    void log(reeve::Level level, std::string_view text) override;
    bool enqueue(reeve::detail::Wait& wait, std::string_view queue, std::string&& body,
                 const reeve::JobOptions& options, reeve::Enqueued& job,
                 reeve::detail::Refusal& refusal) override;
    /// Of a flood not each word is passed on, but the last one is, by `tell_progress` at the latest.
    void progress(std::string_view text) override;
    bool ending() override;

    void tell_progress();
    /// `begin` was called.
    [[nodiscard]] bool begun() const noexcept { return begun_; }

 private:
    [[nodiscard]] bool wait(int limit_ms);

    const module::Module& module_;
    FastcgiRequest& request_;
    int leave_;
    For for_;
    bool begun_ = false;
    std::optional<std::string> progress_;  ///< that was not passed on yet
    std::uint64_t credit_ms_ = 0;          ///< when all of the allowance for progress is there again
};

/// What a response's head is as CGI has it. `length`: of its body, where it is known. Throws `reeve::Failed`
/// where a field is none.
[[nodiscard]] std::string cgi_head_of(const reeve::Response& response, std::optional<std::uint64_t> length);

}  // namespace worker::pool
