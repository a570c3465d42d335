// ipc/message.cpp: frames to messages and back, both from each message's list of fields.
#include "ipc/message.h"

#include <algorithm>
#include <concepts>
#include <type_traits>

namespace ipc {
namespace {

class Writer {
 public:
    template <std::unsigned_integral Number>
    void put(Number number) {
        for (std::size_t byte = 0; byte < sizeof number; ++byte)
            bytes_.push_back(static_cast<std::byte>((number >> (8 * byte)) & 0xff));
    }
    void put(const std::string& text) {
        const auto length = std::min(text.size(), text_bytes_max);
        put(static_cast<std::uint16_t>(length));
        const auto bytes = std::as_bytes(std::span(text)).first(length);
        bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    }
    void put(const std::vector<std::uint32_t>& numbers) {
        const auto length = std::min(numbers.size(), numbers_max);
        put(static_cast<std::uint16_t>(length));
        for (std::size_t index = 0; index < length; ++index) put(numbers[index]);
    }
    [[nodiscard]] std::vector<std::byte> take() { return std::move(bytes_); }

 private:
    std::vector<std::byte> bytes_;
};

/// Takes fields off the front; once bytes were missing, everything reads as empty and `exact` says no.
class Reader {
 public:
    explicit Reader(std::span<const std::byte> bytes) : rest_(bytes) {}

    template <std::unsigned_integral Number>
    void get(Number& number) {
        number = 0;
        const auto bytes = next(sizeof number);
        for (std::size_t byte = 0; byte < bytes.size(); ++byte)
            number |= static_cast<Number>(std::to_integer<Number>(bytes[byte]) << (8 * byte));
    }
    void get(std::string& text) {
        std::uint16_t length = 0;
        get(length);
        if (length > text_bytes_max) missing_ = true;
        const auto bytes = next(length);
        text.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
    void get(std::vector<std::uint32_t>& numbers) {
        std::uint16_t length = 0;
        get(length);
        if (length > numbers_max || rest_.size() < length * sizeof(std::uint32_t)) missing_ = true;
        numbers.resize(missing_ ? 0 : length);
        for (auto& number : numbers) get(number);
    }
    [[nodiscard]] bool exact() const noexcept { return !missing_ && rest_.empty(); }

 private:
    std::span<const std::byte> next(std::size_t size) {
        if (missing_ || rest_.size() < size) {
            missing_ = true;
            return {};
        }
        const auto taken = rest_.first(size);
        rest_ = rest_.subspan(size);
        return taken;
    }

    std::span<const std::byte> rest_;
    bool missing_ = false;
};

template <class Kind>
Result<Message> read(Reader in) {
    Kind message;
    std::apply([&](auto&... field) { (in.get(field), ...); }, Kind::fields(message));
    if (!in.exact()) return failure("decode frame: its length does not fit its kind");
    return message;
}

/// Tries each alternative of Message in turn; the kinds are distinct.
template <std::size_t Index = 0>
Result<Message> read_kind(std::uint8_t kind, Reader in) {
    if constexpr (Index == std::variant_size_v<Message>) {
        return failure("decode frame: unknown kind " + std::to_string(kind));
    } else {
        using Kind = std::variant_alternative_t<Index, Message>;
        return kind == Kind::kind ? read<Kind>(in) : read_kind<Index + 1>(kind, in);
    }
}

}  // namespace

std::vector<std::byte> encode(const Message& message) {
    Writer out;
    out.put(protocol_version);
    std::visit(
        [&](const auto& value) {
            out.put(std::remove_cvref_t<decltype(value)>::kind);
            std::apply([&](const auto&... field) { (out.put(field), ...); }, value.fields(value));
        },
        message);
    return out.take();
}

Result<Message> decode(std::span<const std::byte> frame) {
    if (frame.size() < 2) return failure("decode frame: no head");
    if (std::to_integer<std::uint8_t>(frame[0]) != protocol_version)
        return failure("decode frame: another version of the protocol");
    return read_kind(std::to_integer<std::uint8_t>(frame[1]), Reader(frame.subspan(2)));
}

}  // namespace ipc
