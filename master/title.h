// master/title.h: what `ps` and `top` show for a process.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace master {

/// Writes over the memory of argv and the environment, after moving the environment away.
/// One a program, made in `main` before anything looks at the environment; lives as long as the process.
class ProcessTitle {
 public:
    /// argv's strings are unusable once `set` was called.
    ProcessTitle(int argc, char** argv);
    ProcessTitle(const ProcessTitle&) = delete;
    ProcessTitle& operator=(const ProcessTitle&) = delete;
    ~ProcessTitle();

    /// The whole title for `ps`; its first 15 bytes, without blanks when it is longer, for the thread's name.
    void set(std::string_view title) noexcept;

 private:
    char* begin_ = nullptr;
    std::size_t size_ = 0;
    std::vector<std::string> variables_;  ///< the environment's new home
    std::vector<char*> environment_;
    char** original_ = nullptr;
};

}  // namespace master
