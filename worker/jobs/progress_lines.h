// worker/jobs/progress_lines.h: finds in what a program says aside how far it has come.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace worker::jobs {

/// A line "reeve-progress: TEXT" is progress, all else is for the log. Bytes may be cut anywhere; what is
/// held back is no more than a line of progress, which is cut at 1 KiB.
class ProgressLines {
 public:
    static constexpr std::string_view mark = "reeve-progress: ";

    /// `rest` is called with what is no progress, in pieces.
    void take(std::string_view bytes, const std::function<void(std::string_view)>& rest);
    /// What the last whole line of progress since the last call said; none: there was none.
    [[nodiscard]] std::optional<std::string> said();

 private:
    enum class In : std::uint8_t { mark, text, other };

    In in_ = In::mark;
    std::string held_;  ///< the begin of a mark, or of a text
    std::optional<std::string> said_;
};

}  // namespace worker::jobs
