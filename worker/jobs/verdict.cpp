#include "worker/jobs/verdict.h"

#include <algorithm>
#include <charconv>

#include "worker/http/date.h"

namespace worker::jobs {
namespace {

/// 0: that is no such value.
UnixMs read_retry_after(std::string_view value, UnixMs now) {
    if (value.empty()) return 0;
    if (value.find_first_not_of("0123456789") == std::string_view::npos) {
        std::uint64_t seconds = 0;
        const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
        const auto most = static_cast<std::uint64_t>(retry_after_max / 1000);
        if (error != std::errc()) seconds = most;
        return now + static_cast<UnixMs>(std::min(seconds, most)) * 1000;
    }
    const auto date = http::parse_date(value, now / 1000);
    if (!date) return 0;
    return std::clamp<UnixMs>(*date * 1000, now, now + retry_after_max);
}

}  // namespace

Verdict judge_status(http::Status status, std::string_view retry_after, UnixMs now) {
    if (status >= 200 && status < 300) return {};
    Verdict verdict{Ending::failed, "status " + std::to_string(status), 0};
    if (status >= 400 && status < 500 && status != 408 && status != 425 && status != 429) {
        verdict.ending = Ending::permanent;
    } else {
        verdict.again_at = read_retry_after(retry_after, now);
    }
    return verdict;
}

Verdict judge_answer(http::Status status, std::string_view retry_after, UnixMs now) {
    Verdict verdict = judge_status(status, retry_after, now);
    if (status < 500 && verdict.ending == Ending::permanent) return {};
    if (status >= 300 && status < 400) return {};
    return verdict;
}

Verdict judge_callback(http::Status status, std::string_view retry_after, UnixMs now) {
    if (status >= 200 && status < 300) return {};
    Verdict verdict{status == 410 ? Ending::permanent : Ending::failed, "status " + std::to_string(status),
                    0};
    if (verdict.ending == Ending::failed) verdict.again_at = read_retry_after(retry_after, now);
    return verdict;
}

Verdict judge_exit(std::uint32_t status) {
    if (status == 0) return {};
    return {status == exit_permanent ? Ending::permanent : Ending::failed,
            "exit status " + std::to_string(status), 0};
}

Verdict judge_failure(const upstream::Failure& failure, bool of_program, bool exit_said) {
    const bool died = of_program && !exit_said &&
                      (failure.kind == ipc::CallFailure::reset || failure.kind == ipc::CallFailure::connect);
    if (died) return {Ending::crashed, "its process died", 0};
    return {Ending::failed, std::string(failure.reason), 0};
}

}  // namespace worker::jobs
