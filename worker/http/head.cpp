#include "worker/http/head.h"

#include <algorithm>

namespace worker::http {

void Head::clear() noexcept {
    head = nullptr;
    head_size = 0;
    fields.clear();
    minor = 1;
    repeated_ = 0;
    first_.fill(-1);
}

std::size_t Head::count(Known name) const noexcept {
    if (!is_repeated(name)) return has(name) ? 1 : 0;
    std::size_t found = 0;
    for (const Field& field : fields)
        if (field.known == name) ++found;
    return found;
}

std::string_view Head::all_of(Known name, std::string& room) const {
    room.clear();
    for (const Field& field : fields) {
        if (field.known != name) continue;
        if (!room.empty()) room += ", ";
        room += view(field.value);
    }
    return room;
}

bool is_token(std::string_view text) noexcept {
    return !text.empty() && std::all_of(text.begin(), text.end(), is_token_byte);
}

bool fields_are_clean(const Head& message, std::size_t at) noexcept {
    const std::string_view head(message.head, message.head_size);
    const auto after_space = [head](std::size_t from) {
        while (from < head.size() && (head[from] == ' ' || head[from] == '\t')) ++from;
        return from;
    };
    const auto line_ends = [head](std::size_t from) {
        return from + 2 <= head.size() && head[from] == '\r' && head[from + 1] == '\n';
    };
    for (const Field& field : message.fields) {
        if (field.name.at != at) return false;
        at += field.name.size;
        if (at >= head.size() || head[at] != ':') return false;
        at = after_space(at + 1);
        if (field.value.size > 0 && field.value.at != at) return false;
        at = after_space(at + field.value.size);
        if (!line_ends(at)) return false;
        at += 2;
    }
    return line_ends(at) && at + 2 == head.size();
}

bool names_are_tokens(const Head& head) noexcept {
    return std::all_of(head.fields.begin(), head.fields.end(), [&head](const Field& field) {
        return field.known != Known::other || is_token(head.view(field.name));
    });
}

}  // namespace worker::http
