#include "worker/http/request.h"

#include <functional>

namespace worker::http {

void Request::clear() noexcept {
    head = nullptr;
    head_size = 0;
    method_span = target_span = {};
    fields.clear();
    minor = 1;
    target = {};
    host = {};
    first_.fill(-1);
}

bool Request::add(const Field& field) {
    if (fields.size() == fields_max) return false;
    std::int16_t& first = first_[index(field.known)];
    if (first < 0) first = static_cast<std::int16_t>(fields.size());
    fields.push_back(field);
    return true;
}

std::size_t Request::count(Known name) const noexcept {
    if (!has(name)) return 0;
    std::size_t found = 0;
    for (const Field& field : fields)
        if (field.known == name) ++found;
    return found;
}

std::string_view Request::joined(Known name, std::string& room) const {
    if (count(name) <= 1) return value(name);
    room.clear();
    for (const Field& field : fields) {
        if (field.known != name) continue;
        if (!room.empty()) room += ", ";
        room += view(field.value);
    }
    return room;
}

void Request::keep() {
    if (head == nullptr || head == kept_.data()) return;
    const char* from = head;
    kept_.assign(head, head + head_size);
    head = kept_.data();
    rebase_target(from, head);
}

/// The normalised target may be views into the head; what lies elsewhere stays.
void Request::rebase_target(const char* from, const char* to) noexcept {
    const auto moved = [&](std::string_view& text) {
        const std::less_equal<> not_after;
        if (text.data() == nullptr || !not_after(from, text.data()) ||
            !not_after(text.data(), from + head_size))
            return;
        text = {to + (text.data() - from), text.size()};
    };
    moved(target.path);
    moved(target.query);
    moved(target.authority);
    moved(host);
}

}  // namespace worker::http
