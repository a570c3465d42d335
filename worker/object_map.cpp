// worker/object_map.cpp: what the dynamic linker says of itself, written down.
#include "worker/object_map.h"

#include <link.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <vector>

namespace worker {
namespace {

/// Cut, with a zero behind it; a text that there is gets a comma and this one more.
template <std::size_t Bytes>
void append(std::array<char, Bytes>& to, std::string_view text) {
    auto at = static_cast<std::size_t>(std::find(to.begin(), to.end(), '\0') - to.begin());
    if (at > 0 && at + 1 < Bytes) to[at++] = ',';
    for (std::size_t index = 0; index < text.size() && at + 1 < Bytes; ++index) to[at++] = text[index];
}

template <std::size_t Bytes>
std::string_view text_in(const std::array<char, Bytes>& from) {
    return {from.data(), static_cast<std::size_t>(std::find(from.begin(), from.end(), '\0') - from.begin())};
}

/// Without segments it lies nowhere.
ObjectMap::Object object_of(const dl_phdr_info& info) {
    ObjectMap::Object object;
    std::uintptr_t lowest = std::numeric_limits<std::uintptr_t>::max(), highest = 0;
    for (std::size_t index = 0; index < info.dlpi_phnum; ++index) {
        const auto& segment = info.dlpi_phdr[index];
        if (segment.p_type != PT_LOAD) continue;
        lowest = std::min<std::uintptr_t>(lowest, segment.p_vaddr);
        highest = std::max<std::uintptr_t>(highest, segment.p_vaddr + segment.p_memsz);
    }
    if (highest == 0) return object;
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    object.bias = info.dlpi_addr;
    object.begin = object.bias + lowest / page * page;
    object.end = object.bias + highest;
    const std::string_view path(info.dlpi_name);
    append(object.file, path.substr(path.rfind('/') + 1));
    return object;
}

int collect(dl_phdr_info* info, std::size_t, void* into) {
    const bool is_program = info->dlpi_name == nullptr || info->dlpi_name[0] == '\0';
    if (!is_program) static_cast<std::vector<ObjectMap::Object>*>(into)->push_back(object_of(*info));
    return 0;
}

bool lies_in(const ObjectMap::Object& object, std::uintptr_t address) {
    return address >= object.begin && address < object.end;
}

}  // namespace

std::string_view ObjectMap::Object::file_name() const noexcept { return text_in(file); }
std::string_view ObjectMap::Object::module_name() const noexcept { return text_in(module); }

ObjectMap ObjectMap::of_process(std::span<const Named> modules) {
    std::vector<Object> all;
    ::dl_iterate_phdr(collect, &all);
    for (const Named& module : modules) {
        const auto inside = reinterpret_cast<std::uintptr_t>(module.inside);
        const auto its =
            std::find_if(all.begin(), all.end(), [&](const Object& one) { return lies_in(one, inside); });
        if (its != all.end()) append(its->module, module.name);
    }
    std::stable_partition(all.begin(), all.end(), [](const Object& one) { return one.module[0] != '\0'; });
    ObjectMap map;
    for (const Object& object : all) map.add(object);
    return map;
}

void ObjectMap::add(const Object& object) noexcept {
    if (size_ < objects_.size()) objects_[size_++] = object;
}

const ObjectMap::Object* ObjectMap::find(std::uintptr_t address) const noexcept {
    for (std::size_t index = 0; index < size_; ++index)
        if (lies_in(objects_[index], address)) return &objects_[index];
    return nullptr;
}

}  // namespace worker
