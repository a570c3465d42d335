#include "worker/command/result_text.h"

#include "worker/command/terminal_text.h"

namespace worker::command {
namespace {

std::string base64(std::string_view bytes) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        const auto byte = [&](std::size_t next) {
            return at + next < bytes.size() ? static_cast<unsigned char>(bytes[at + next]) : 0u;
        };
        const unsigned group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (unsigned digit = 0; digit < 4; ++digit)
            text += at + digit > bytes.size() ? '=' : digits[group >> (18 - 6 * digit) & 63u];
    }
    return text;
}

bool is_utf8(std::string_view bytes) {
    try {  // as the library that writes it has it
        (void)nlohmann::json(bytes).dump();
        return true;
    } catch (const nlohmann::json::exception&) {
        return false;
    }
}

}  // namespace

std::string result_on_terminal(std::string_view result) {
    auto text = terminal_text(result, true);
    if (!text.empty() && !text.ends_with('\n')) text += '\n';
    return text;
}

void add_result(nlohmann::ordered_json& json, std::string_view result) {
    if (is_utf8(result))
        json["text"] = result;
    else
        json["base64"] = base64(result);
}

}  // namespace worker::command
