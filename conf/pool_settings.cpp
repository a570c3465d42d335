// conf/pool_settings.cpp: the rows of [pool NAME].
#include "conf/pool_types.h"
#include "conf/settings.h"
#include "conf/types.h"

namespace conf {

const Settings<Pool>& pool_settings() {
    using namespace std::chrono_literals;
    constexpr Milliseconds a_day = 24h;
    constexpr Size memory{0, 1024ull << 30};
    static const Settings<Pool> rows{
        scalar<Pool>("kind", &Pool::kind,
                     Choice<Pool::Kind>{{{"process", Pool::Kind::process}, {"thread", Pool::Kind::thread}}},
                     "process: processes of their own; thread: threads in each worker, for what would block "
                     "its loops; with `run = module NAME` in a process of their own, for jobs"),
        scalar<Pool>("run", &Pool::run, PoolRunType{},
                     "`fastcgi CMD...`, a FastCGI application on descriptor 0; `cgi CMD...`, a CGI program; "
                     "`module NAME [HANDLER]`, functions and a handler of a [module], or of a file; `work`, "
                     "what routes with work_pool say"),
        scalar<Pool>(
            "size", &Pool::size, Number<std::uint32_t>{1, pool_members_max, "auto"},
            "processes to begin with; auto: size_min, or one a CPU; threads of each worker; auto: 4"),
        scalar<Pool>("size_min", &Pool::size_min, Optional<Number<std::uint32_t>>{{0, pool_members_max}},
                     "as few as that when there is little to do; size unless set"),
        scalar<Pool>("size_max", &Pool::size_max, Optional<Number<std::uint32_t>>{{1, pool_members_max}},
                     "as many as that while tasks wait; size unless set; threads with those that are stuck; "
                     "twice size"),
        scalar<Pool>("idle_timeout", &Pool::idle_timeout, Time{10ms, a_day},
                     "beyond size_min a process leaves that had nothing to do for so long"),
        scalar<Pool>(
            "queue", &Pool::queue, Number<std::uint32_t>{0, 1'000'000},
            "tasks that may wait, for a process over all workers, for a thread in each; beyond: 503"),
        scalar<Pool>("queue_timeout", &Pool::queue_timeout, Time{1ms, a_day},
                     "how long a task may wait; then 503"),
        scalar<Pool>("timeout", &Pool::timeout, Time{1ms, a_day},
                     "how long a task may take; then 504, its process is ended, its thread replaced"),
        scalar<Pool>("kill_grace", &Pool::kill_grace, Time{0ms, a_day},
                     "from TERM to KILL for a process that is ended"),
        scalar<Pool>("max_tasks", &Pool::max_tasks, Number<std::uint64_t>{1, 1'000'000'000, "off"},
                     "a process is replaced after about so many tasks, or off"),
        scalar<Pool>("max_memory", &Pool::max_memory, memory,
                     "a process is replaced when it holds more memory; 0: never"),
        list<Pool>("environment", &Pool::environment, VariableType{}, "`NAME=VALUE` for its processes"),
        scalar<Pool>("directory", &Pool::directory, Path{}, "where its processes work; / unless set"),
        scalar<Pool>("user", &Pool::user, UserName{}, "whom its processes run as; as workers do unless set"),
        list<Pool>("rlimits", &Pool::rlimits, ResourceLimits{},
                   "`cpu=60s memory=512m files=1024 core=0 processes=64 file_size=1g` for each process"),
    };
    return rows;
}

}  // namespace conf
