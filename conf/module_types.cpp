#include "conf/module_types.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "conf/http_types.h"
#include "conf/nearest.h"

namespace conf {
namespace {

std::vector<std::string_view> names_of(const std::vector<Module>& modules) {
    std::vector<std::string_view> names;
    names.reserve(modules.size());
    for (const auto& one : modules) names.push_back(one.name);
    return names;
}

bool is_there(const std::vector<Module>& modules, std::string_view name) {
    return std::any_of(modules.begin(), modules.end(), [&](const Module& one) { return one.name == name; });
}

bool is_file(const std::string& word) { return word.find('/') != std::string::npos; }

bool runs_module(const Pool& pool) {
    return (pool.kind == Pool::Kind::process || is_hosted(pool)) && pool.run.kind == PoolRun::Kind::module &&
           !pool.run.command.empty();
}

void check_module(const Module& module, const Section* origin, Report& report) {
    if (module.path.empty() && is_sound(origin, "path"))
        report.refuse(origin->place, fmt::format("{} has no path", origin->text()));
    std::set<std::string_view> names;
    for (std::size_t i = 0; i < module.options.size(); ++i)
        if (!names.insert(module.options[i].name).second && is_sound(origin, "option"))
            report.refuse(place_of(origin, "option", i),
                          fmt::format("option: {} stands twice", module.options[i].name));
}

}  // namespace

Parsed<ModuleUse> ModuleUseType::parse(const Value& value) const {
    const auto name = SectionName{}.parse({value.text.substr(0, value.text.find('/')), value.folder});
    if (!name) return tl::unexpected(name.error());
    ModuleUse use{*name, {}};
    if (name->size() == value.text.size()) return use;
    use.handler = value.text.substr(name->size() + 1);
    if (use.handler.empty() || use.handler.find_first_of("/ \t") != std::string::npos)
        return tl::unexpected<std::string>("takes NAME or NAME/HANDLER");
    return use;
}

std::string ModuleUseType::print(const ModuleUse& use) const {
    return use.handler.empty() ? use.module : use.module + "/" + use.handler;
}

Module module_of(const Pool& pool, const std::vector<Module>& modules) {
    Module module;
    if (pool.run.command.empty()) return module;
    const auto& word = pool.run.command.front();
    if (is_file(word)) {
        module.name = word.substr(word.rfind('/') + 1);
        module.path = word;
        return module;
    }
    const auto known =
        std::find_if(modules.begin(), modules.end(), [&](const Module& one) { return one.name == word; });
    return known == modules.end() ? module : *known;
}

std::string module_handler_of(const Pool& pool) {
    return pool.run.command.size() > 1 ? pool.run.command[1] : std::string();
}

void check_modules(const Config& config, const Origins& origins, Report& report) {
    for (std::size_t i = 0; i < config.modules.size(); ++i)
        check_module(config.modules[i], origins.modules.at(i), report);
    if (config.modules.size() > modules_max)
        report.refuse(origins.modules.back()->place, fmt::format("there are {} modules, and there may be {}",
                                                                 config.modules.size(), modules_max));
    const auto must_be = [&](const std::string& name, Place place, std::string_view key) {
        if (!is_there(config.modules, name))
            report.refuse(place, fmt::format("{}: there is no [module {}]{}", key, name,
                                             hint(name, names_of(config.modules))));
    };
    for (std::size_t i = 0; i < config.routes.size(); ++i) {
        const auto* origin = origins.routes.at(i);
        if (config.routes[i].handler == Route::Handler::module && is_sound(origin, "module"))
            must_be(config.routes[i].module.module, place_of(origin, "module"), "module");
    }
    for (std::size_t i = 0; i < config.pools.size(); ++i) {
        const auto& pool = config.pools[i];
        const auto place = place_of(origins.pools.at(i), "run");
        if (!runs_module(pool) || !is_sound(origins.pools.at(i), "run")) continue;
        if (pool.run.command.size() > 2)
            report.refuse(place, "run: takes a module and the handler for requests");
        if (!is_file(pool.run.command.front())) must_be(pool.run.command.front(), place, "run");
    }
}

void advise_modules(const Config& config, const Origins& origins, Report& report) {
    for (std::size_t i = 0; i < config.modules.size(); ++i) {
        const auto& module = config.modules[i];
        const auto* origin = origins.modules.at(i);
        const bool in_workers = std::any_of(config.routes.begin(), config.routes.end(), [&](const auto& one) {
            return one.handler == Route::Handler::module && one.module.module == module.name;
        });
        const bool in_pools = std::any_of(config.pools.begin(), config.pools.end(), [&](const Pool& pool) {
            return runs_module(pool) && pool.run.command.front() == module.name;
        });
        if (!in_workers && !in_pools)
            report.advise(origin->place, fmt::format("neither route nor pool uses {}", origin->text()));
        if (in_workers && !module.sandbox && config.reeve.sandbox)
            report.advise(origin->place,
                          fmt::format("workers run without their sandbox for {}; say `sandbox = on` if it "
                                      "needs no other system calls than they do",
                                      origin->text()));
    }
}

bool workers_are_sandboxed(const Config& config) {
    return config.reeve.sandbox &&
           std::all_of(config.routes.begin(), config.routes.end(), [&](const Route& route) {
               if (route.handler != Route::Handler::module) return true;
               return std::any_of(config.modules.begin(), config.modules.end(), [&](const Module& one) {
                   return one.name == route.module.module && one.sandbox;
               });
           });
}

}  // namespace conf
