// worker/handler/head_block.h: many short pieces at the end of a head, with one look at the room they need.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace worker::handler {

/// Appends to a text that nobody else touches meanwhile, and is done when it goes.
class HeadBlock {
 public:
    /// `most`: bytes that will be written, at most.
    HeadBlock(std::string& out, std::size_t most) : out_(out), most_(most), begin_(out.size()) {
        out.resize(begin_ + most);
        at_ = out.data() + begin_;
    }
    HeadBlock(const HeadBlock&) = delete;
    HeadBlock& operator=(const HeadBlock&) = delete;
    ~HeadBlock() { out_.resize(begin_ + written()); }

    HeadBlock& operator<<(std::string_view text) noexcept {
        if (text.size() > most_ - written()) std::abort();  // our own fault: it was counted wrongly
        std::memcpy(at_, text.data(), text.size());
        at_ += text.size();
        return *this;
    }
    /// A literal, whose size the compiler knows.
    template <std::size_t Size>
    HeadBlock& operator<<(const char (&text)[Size]) noexcept {
        if (Size - 1 > most_ - written()) std::abort();
        std::memcpy(at_, text, Size - 1);
        at_ += Size - 1;
        return *this;
    }

 private:
    [[nodiscard]] std::size_t written() const noexcept {
        return static_cast<std::size_t>(at_ - (out_.data() + begin_));
    }

    std::string& out_;
    std::size_t most_, begin_;
    char* at_ = nullptr;
};

}  // namespace worker::handler
