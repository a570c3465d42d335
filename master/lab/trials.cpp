#include "master/lab/trials.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "conf/models.h"

namespace master::lab {
namespace {

constexpr double quick_unit_seconds = 0.4, unit_seconds_min = 0.3;
constexpr double one_worker_per_second = 1000 / load_wait_ms;

std::string work_route(std::string_view name, std::string_view work) {
    return fmt::format("[route {0}]\npath = = /{0}\nwork = {1}\n", name, work);
}

/// Collects them with loads of so many units of time, which are made seconds at the end.
class Plan {
 public:
    explicit Plan(const Extent& extent) : extent_(extent) {}

    std::vector<Trial> make() {
        add_models();
        add_loads();
        add_scales();
        add_skews();
        add_freezes();
        add_tiny();
        double units = 0;
        for (const Trial& trial : all_) units += trial.load.seconds;
        const double left = extent_.seconds - trial_overhead_seconds * static_cast<double>(all_.size());
        const double unit = extent_.quick ? quick_unit_seconds : std::max(unit_seconds_min, left / units);
        for (Trial& trial : all_) trial.load.seconds *= unit;
        // Tasks that freeze a loop are few: at least three of them, in whatever time there is.
        for (Trial& trial : all_)
            for (Stream& stream : trial.load.streams)
                if (stream.name == "crunch")
                    stream.per_second = std::max(stream.per_second, 3 / trial.load.seconds);
        return std::move(all_);
    }

 private:
    void add(std::string key, std::string title, Setting setting, std::vector<Stream> streams, double units) {
        all_.push_back({std::move(key), std::move(title), std::move(setting), {std::move(streams), units}});
    }

    /// Every model with every workload.
    void add_models() {
        const std::string routes = work_route("wait", "wait=20ms") + work_route("cpu", "cpu=5ms") +
                                   work_route("mixed", "cpu=2ms wait=10ms") +
                                   work_route("light", "wait=1ms") +
                                   work_route("heavy", fmt::format("wait={}ms", heavy_wait_ms));
        const std::vector<std::pair<std::string_view, std::vector<Stream>>> loads{
            {"wait", {{.name = "requests", .target = "/wait", .per_second = 200, .clients = 32}}},
            {"cpu", {{.name = "requests", .target = "/cpu", .per_second = 140, .clients = 32}}},
            {"mixed", {{.name = "requests", .target = "/mixed", .per_second = 120, .clients = 32}}},
            {"heavy",
             {{.name = "heavy", .target = "/heavy", .per_second = 2.5, .clients = 1, .evenly = true},
              {.name = "light", .target = "/light", .per_second = 120, .clients = 32}}},
        };
        for (const auto& [workload, streams] : loads) {
            if (extent_.quick && workload != "heavy") continue;
            for (const auto& named : conf::models())
                add(fmt::format("{}/{}", workload, named.name), fmt::format("{}, {}", named.name, workload),
                    {fmt::format("model = {}\n", named.name), routes}, streams, 1);
        }
    }

    /// One worker nearer and nearer to all that it can do, and past it.
    void add_loads() {
        const std::string route = work_route("wait", fmt::format("wait={}ms", load_wait_ms));
        const auto add_load = [&](const std::string& who, const std::string& execution, int percent) {
            add(fmt::format("load/{}/{}", who, percent),
                fmt::format("{}, {} % of what one worker can do",
                            who == "one" ? "one worker" : "16 executors", percent),
                {execution, route},
                {{.name = "requests",
                  .target = "/wait",
                  .per_second = one_worker_per_second * percent / 100,
                  .clients = 64}},
                percent < 100 ? 1 : 1.5);
        };
        for (const int percent : extent_.quick ? std::vector{30, 130} : std::vector{30, 60, 75, 90, 130})
            add_load("one", "model = event\nworkers = 1\n", percent);
        for (const int percent : extent_.quick ? std::vector{130} : std::vector{30, 90, 130})
            add_load("many", fmt::format("model = pool\nloops = {}\n", many_loops), percent);
    }

    /// More executors, and more than all of them can do.
    void add_scales() {
        const auto add_scale = [&](const char* what, double ms, std::uint32_t executors, double per_second) {
            add(fmt::format("scale/{}/{}", what, executors),
                fmt::format("pool of {}, {}={}ms", executors, what, ms),
                {fmt::format("model = pool\nloops = {}\n", executors),
                 work_route(what, fmt::format("{}={}ms", what, ms))},
                {{.name = "requests",
                  .target = fmt::format("/{}", what),
                  .per_second = per_second,
                  .clients = 48}},
                0.75);
        };
        const std::uint32_t cpus = std::clamp(extent_.cpus, 1u, 16u);
        for (const std::uint32_t executors : extent_.quick ? std::set{1u, 8u} : std::set{1u, 2u, 4u, 8u, 16u})
            add_scale("wait", scale_wait_ms, executors, 600);
        for (const std::uint32_t executors :
             extent_.quick ? std::set{1u, cpus * 2} : std::set{1u, 2u, 4u, 8u, cpus})
            add_scale("cpu", scale_cpu_ms, executors, 1000 / scale_cpu_ms * cpus * 1.4);
    }

    /// One client that keeps a loop busy, and many that would not notice.
    void add_skews() {
        const std::string routes = work_route("busy", "wait=20ms") + work_route("light", "wait=1ms");
        const std::vector<Stream> streams{
            {.name = "busy", .target = "/busy", .per_second = 40, .clients = 1, .evenly = true},
            {.name = "light", .target = "/light", .per_second = 31 * 8, .clients = 31, .each_its_own = true}};
        add("skew/readers", fmt::format("readers, {} loops, one busy client", skew_loops),
            {fmt::format("model = readers\nloops = {}\n", skew_loops), routes}, streams, 2);
        add("skew/message", fmt::format("message, {} threads, one busy client", skew_loops),
            {fmt::format("model = message\nthreads = {}\n", skew_loops), routes}, streams, 2);
    }

    /// A loop with much to do in short, and a long computation now and then.
    void add_freezes() {
        for (const std::string where : {"inline", "processes", "threads"}) {
            if (extent_.quick && where == "threads") continue;
            const bool pool = where != "inline";
            add("freeze/" + where, fmt::format("one loop, a computation now and then, {}", where),
                {"model = event\nworkers = 1\n",
                 "[route light]\npath = = /light\nrespond = 200 \"light\"\n" +
                     work_route("crunch", fmt::format("cpu={}ms", freeze_cpu_ms)) +
                     (pool ? "work_pool = crunch\n[pool crunch]\nsize = 1\n" +
                                 std::string(where == "threads" ? "kind = thread\n" : "run = work\n")
                           : "")},
                {{.name = "light", .target = "/light", .per_second = 150, .clients = 16},
                 {.name = "crunch", .target = "/crunch", .per_second = 2, .clients = 4, .evenly = true}},
                2);
        }
    }

    /// Tasks that are nothing, one at a time: what is measured is the way there and back.
    void add_tiny() {
        const auto add_where = [&](const char* what, const char* work, const std::string& where,
                                   double per_second) {
            const bool threads = where == "threads", pool = where == "thread-pool" || where == "processes";
            add(fmt::format("{}/{}", what, where), fmt::format("{} tasks, {}", what, where),
                {threads ? "model = message\nthreads = 2\n" : "model = event\nworkers = 1\n",
                 work_route("task", work) +
                     (pool ? "work_pool = hands\n[pool hands]\nsize = 1\n" +
                                 std::string(where == "processes" ? "run = work\n" : "kind = thread\n")
                           : "")},
                {{.name = "tasks",
                  .target = "/task",
                  .per_second = per_second,
                  .clients = 1,
                  .evenly = true}},
                1);
        };
        for (const std::string where : {"inline", "threads", "processes", "thread-pool"})
            if (!extent_.quick || where != "thread-pool") add_where("tiny", "none", where, 400);
        if (extent_.quick) return;
        for (const std::string where : {"inline", "processes"}) add_where("task", "cpu=2ms", where, 150);
    }

    const Extent& extent_;
    std::vector<Trial> all_;
};

}  // namespace

const std::vector<Workload>& workloads() {
    static const std::vector<Workload> all{
        {"wait", "Waiting", "Each request waits 20 ms, as in a library that blocks; 200 a second.",
         "requests"},
        {"cpu", "Computing", "Each request keeps a processor busy for 5 ms; 140 a second.", "requests"},
        {"mixed", "Both", "Each request computes for 2 ms and waits for 10 ms; 120 a second.", "requests"},
        {"heavy", "One heavy client among many light ones",
         "One client asks 2.5 times a second for what waits 200 ms; the others ask 120 times a second for "
         "what "
         "waits 1 ms. Figures are of the light requests.",
         "light"},
    };
    return all;
}

std::vector<Trial> trials(const Extent& extent) { return Plan(extent).make(); }

}  // namespace master::lab
