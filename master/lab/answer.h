// master/lab/answer.h: finds the end of an HTTP answer, as far as our own server's need it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace master::lab {

/// The bytes of one answer after the other. Knows Content-Length; what has none is not understood.
class Answer {
 public:
    struct Whole {
        int status = 0;       ///< 0: this is no answer that we understand
        bool closes = false;  ///< the connection ends with it
    };

    /// More bytes; whole when the answer has come to its end.
    [[nodiscard]] std::optional<Whole> take(std::string_view bytes);
    void clear() { head_.clear(), body_left_.reset(); }

 private:
    std::string head_;
    Whole whole_;
    std::optional<std::uint64_t> body_left_;  ///< none: the head is not whole
};

}  // namespace master::lab
