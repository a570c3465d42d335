// master/title.cpp: argv and the environment's strings stand in one piece of memory; the title takes it.
#include "master/title.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace master {

ProcessTitle::ProcessTitle(int argc, char** argv) : original_(environ) {
    if (argc < 1) return;
    begin_ = argv[0];
    char* end = begin_ + std::strlen(begin_) + 1;
    const auto extend = [&](char* text) {
        if (text == end) end = text + std::strlen(text) + 1;
    };
    for (int index = 1; index < argc; ++index) extend(argv[index]);
    for (char** variable = environ; *variable != nullptr; ++variable) {
        extend(*variable);
        variables_.emplace_back(*variable);
    }
    size_ = static_cast<std::size_t>(end - begin_);
    for (auto& variable : variables_) environment_.push_back(variable.data());
    environment_.push_back(nullptr);
    environ = environment_.data();
}

ProcessTitle::~ProcessTitle() {
    if (environ == environment_.data()) environ = original_;
}

void ProcessTitle::set(std::string_view title) noexcept {
    std::string name(title);
    if (name.size() > 15) name.erase(std::remove(name.begin(), name.end(), ' '), name.end());
    ::prctl(PR_SET_NAME, name.c_str());  // the kernel cuts it
    if (size_ == 0) return;
    const auto length = std::min(title.size(), size_ - 1);
    std::memset(begin_, 0, size_);
    std::memcpy(begin_, title.data(), length);
}

}  // namespace master
