#include "worker/jobs/progress_lines.h"

#include <algorithm>
#include <utility>

#include "worker/jobs/plain_text.h"

namespace worker::jobs {

void ProgressLines::take(std::string_view bytes, const std::function<void(std::string_view)>& rest) {
    while (!bytes.empty()) {
        switch (in_) {
            case In::mark: {
                const std::string_view wanted = mark.substr(held_.size());
                const std::size_t some = std::min(wanted.size(), bytes.size());
                if (bytes.substr(0, some) != wanted.substr(0, some)) {
                    if (!held_.empty()) rest(std::exchange(held_, {}));
                    in_ = In::other;
                    break;
                }
                held_.append(bytes.substr(0, some));
                bytes.remove_prefix(some);
                if (held_.size() < mark.size()) return;
                held_.clear();
                in_ = In::text;
                break;
            }
            case In::text: {
                const std::size_t end = bytes.find('\n');
                const std::string_view part = bytes.substr(0, end);
                held_.append(part.substr(0, plain_text_max - held_.size()));
                if (end == std::string_view::npos) return;
                said_ = plain_text(std::exchange(held_, {}));
                bytes.remove_prefix(end + 1);
                in_ = In::mark;
                break;
            }
            case In::other: {
                const std::size_t end = bytes.find('\n');
                const std::size_t taken = end == std::string_view::npos ? bytes.size() : end + 1;
                rest(bytes.substr(0, taken));
                bytes.remove_prefix(taken);
                if (end != std::string_view::npos) in_ = In::mark;
                break;
            }
        }
    }
}

std::optional<std::string> ProgressLines::said() { return std::exchange(said_, std::nullopt); }

}  // namespace worker::jobs
