#include "worker/module/loader.h"

#include <dlfcn.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <exception>
#include <utility>

namespace worker::module {
namespace {

using reeve::detail::Descriptor;

ipc::Result<const Descriptor*> open(const std::string& path) {
    void* object = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (object == nullptr) {
        const char* said = ::dlerror();
        std::string_view why = said != nullptr ? said : "";
        if (why.starts_with(path + ": ")) why.remove_prefix(path.size() + 2);
        return ipc::failure(fmt::format("cannot be loaded: {}", why));
    }
    const auto* found = static_cast<const Descriptor*>(::dlsym(object, "reeve_module"));
    if (found == nullptr) return ipc::failure("is no module: it has no REEVE_MODULE(...)");
    return found;
}

/// What another reeve's header has put there must not be misread.
ipc::Result<void> compare(const Descriptor& its) {
    if (its.magic != reeve::detail::magic) return ipc::failure("is no module of reeve");
    if (its.abi != REEVE_MODULE_ABI)
        return ipc::failure(
            fmt::format("was compiled for module interface {}, and this reeve has {}: "
                        "compile it anew with its <reeve/module.h>",
                        its.abi, REEVE_MODULE_ABI));
    if (std::string_view(its.library) != reeve::detail::library)
        return ipc::failure(
            fmt::format("is compiled with {}, and reeve with {}", its.library, reeve::detail::library));
    if (its.layout != reeve::detail::layout())
        return ipc::failure(
            fmt::format("lays out memory otherwise (compiled by {}): compile it anew with this reeve's "
                        "<reeve/module.h>",
                        its.compiler));
    return {};
}

template <class All>
std::string names_of(const All& all) {
    std::vector<std::string_view> names;
    names.reserve(all.size());
    for (const auto& one : all) names.push_back(one.name);
    return fmt::format("`{}`", fmt::join(names, "`, `"));
}

template <class All>
const std::string* repeated(const All& all) {
    for (auto one = all.begin(); one != all.end(); ++one)
        if (std::any_of(all.begin(), one, [&](const auto& other) { return other.name == one->name; }))
            return &one->name;
    return nullptr;
}

ipc::Result<void> run(const Descriptor& its, reeve::Setup& setup) {
    try {
        its.load(setup);
    } catch (const std::exception& thrown) {
        setup.refuse(thrown.what());
    } catch (...) {
        setup.refuse("its load throws something");
    }
    if (!setup.refusal.empty()) return ipc::failure(setup.refusal);
    if (const auto* twice = repeated(setup.handlers))
        return ipc::failure(fmt::format("registers the handler `{}` twice", *twice));
    if (const auto* twice = repeated(setup.functions))
        return ipc::failure(fmt::format("registers the function `{}` twice", *twice));
    if (const auto* twice = repeated(setup.jobs))
        return ipc::failure(fmt::format("registers the job function `{}` twice", *twice));
    return {};
}

}  // namespace

ipc::Result<Module> Module::load(const conf::Module& config, bool checking) {
    const auto opened = open(config.path);
    if (!opened) return tl::make_unexpected(opened.error());
    if (auto fits = compare(**opened); !fits) return tl::make_unexpected(std::move(fits.error()));
    Module module(config.name, *opened);
    module.setup_.checking = checking;
    module.setup_.options.reserve(config.options.size());
    for (const auto& option : config.options) module.setup_.options.emplace_back(option.name, option.value);
    if (auto loaded = run(**opened, module.setup_); !loaded)
        return tl::make_unexpected(std::move(loaded.error()));
    return module;
}

const reeve::Setup::NamedHandler* Module::handler(std::string_view name) const noexcept {
    if (name.empty()) return setup_.handlers.size() == 1 ? &setup_.handlers.front() : nullptr;
    for (const auto& one : setup_.handlers)
        if (one.name == name) return &one;
    return nullptr;
}

const reeve::Function* Module::function(std::string_view name) const noexcept {
    for (const auto& one : setup_.functions)
        if (one.name == name) return &one.function;
    return nullptr;
}

const reeve::JobFunction* Module::job(std::string_view name) const noexcept {
    for (const auto& one : setup_.jobs)
        if (one.name == name) return &one.function;
    return nullptr;
}

std::string Module::missing_job(std::string_view name) const {
    if (setup_.jobs.empty()) return fmt::format("module {} has no job functions", name_);
    return fmt::format("module {} has no job function `{}`; it has {}", name_, name, names_of(setup_.jobs));
}

std::string Module::missing_handler(std::string_view name) const {
    if (setup_.handlers.empty()) return fmt::format("module {} has no handlers", name_);
    const auto names = names_of(setup_.handlers);
    if (name.empty()) return fmt::format("which handler of {}? It has {}", name_, names);
    return fmt::format("module {} has no handler `{}`; it has {}", name_, name, names);
}

ipc::Result<Modules> Modules::load(const conf::Config& config, const OnLoad& on_load) {
    Modules modules;
    for (const conf::Module& one : config.modules) {
        if (std::none_of(config.routes.begin(), config.routes.end(), [&](const conf::Route& route) {
                return route.handler == conf::Route::Handler::module && route.module.module == one.name;
            }))
            continue;
        if (on_load) on_load(one.name);
        auto module = Module::load(one, false);
        if (!module) return ipc::failure(fmt::format("module {}: {}", one.name, module.error().text()));
        modules.all_.push_back(std::move(*module));
    }
    for (const conf::Route& route : config.routes) {
        if (route.handler != conf::Route::Handler::module) continue;
        const Module* module = modules.find(route.module.module);
        if (module == nullptr) return ipc::failure("there is no module " + route.module.module);
        if (module->handler(route.module.handler) == nullptr)
            return ipc::failure(module->missing_handler(route.module.handler));
    }
    return modules;
}

const Module* Modules::find(std::string_view name) const noexcept {
    for (const Module& one : all_)
        if (one.name() == name) return &one;
    return nullptr;
}

std::vector<conf::Error> check_modules(const conf::Loaded& loaded) {
    const conf::Config& config = loaded.config;
    std::vector<conf::Error> errors;
    const auto complain = [&](conf::Error where, std::string why) {
        where.message = std::move(why);
        errors.push_back(std::move(where));
    };
    std::deque<Module> all;
    for (std::size_t i = 0; i < config.modules.size(); ++i) {
        auto module = Module::load(config.modules[i], true);
        if (module)
            all.push_back(std::move(*module));
        else
            complain(loaded.module_lines.at(i),
                     fmt::format("path: {} {}", config.modules[i].path, module.error().text()));
    }
    const auto find = [&](std::string_view name) {
        return std::find_if(all.begin(), all.end(), [&](const Module& one) { return one.name() == name; });
    };
    for (std::size_t i = 0; i < config.routes.size(); ++i) {
        const conf::Route& route = config.routes[i];
        const auto module = find(route.module.module);
        if (route.handler != conf::Route::Handler::module || module == all.end()) continue;
        if (module->handler(route.module.handler) == nullptr)
            complain(loaded.route_lines.at(i), "module: " + module->missing_handler(route.module.handler));
    }
    for (std::size_t i = 0; i < config.pools.size(); ++i) {
        const conf::Pool& pool = config.pools[i];
        if ((pool.kind != conf::Pool::Kind::process && !conf::is_hosted(pool)) ||
            pool.run.kind != conf::PoolRun::Kind::module)
            continue;
        const conf::Module its = conf::module_of(pool, config.modules);
        const bool named = std::any_of(config.modules.begin(), config.modules.end(),
                                       [&](const conf::Module& one) { return one.name == its.name; });
        if (named && find(its.name) == all.end()) continue;  // there is a complaint already
        const auto own = named ? ipc::Result<Module>(*find(its.name)) : Module::load(its, true);
        if (!own) {
            complain(loaded.pool_lines.at(i), fmt::format("run: {} {}", its.path, own.error().text()));
            continue;
        }
        const std::string handler = conf::module_handler_of(pool);
        const bool routed = std::any_of(config.routes.begin(), config.routes.end(), [&](const auto& route) {
            return route.handler == conf::Route::Handler::pool && route.pool == pool.name;
        });
        if ((routed || !handler.empty()) && own->handler(handler) == nullptr)
            complain(loaded.pool_lines.at(i), "run: " + own->missing_handler(handler));
        for (std::size_t at = 0; at < config.queues.size(); ++at) {
            const conf::Queue& queue = config.queues[at];
            if (queue.pool != pool.name) continue;
            if (!queue.function.empty() && own->job(queue.function) == nullptr)
                complain(loaded.queue_lines.at(at), "function: " + own->missing_job(queue.function));
            if (queue.function.empty() && own->handler(handler) == nullptr)
                complain(loaded.queue_lines.at(at),
                         fmt::format("pool: no function is named, and {}", own->missing_handler(handler)));
        }
    }
    return errors;
}

}  // namespace worker::module
