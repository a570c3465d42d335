#include "conf/sections.h"

#include <algorithm>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "conf/models.h"
#include "conf/nearest.h"
#include "conf/settings.h"

namespace conf {
namespace {

class Reader {
 public:
    Reader(Document& document, Config& config, Report& report)
        : document_(document), config_(config), report_(report) {}

    Origins read() {
        for (auto& section : document_.sections) read_section(section);
        return std::move(origins_);
    }

 private:
    void read_section(Section& section) {
        const auto& kinds = section_kinds();
        if (std::find(kinds.begin(), kinds.end(), section.kind) == kinds.end())
            return report_.refuse(section.place, fmt::format("unknown section `{}`{}", section.kind,
                                                             hint(section.kind, kinds)));
        if (is_named(section.kind) == section.name.empty())
            return report_.refuse(
                section.place,
                is_named(section.kind)
                    ? fmt::format("[{0}] needs a name: [{0} NAME]", section.kind)
                    : fmt::format("[{}] has no name, and here it is {}", section.kind, shown(section.name)));
        const auto [first, fresh] = first_.try_emplace({section.kind, section.name}, section.place);
        if (!fresh)
            report_.refuse(section.place, fmt::format("{} stands already, at {}", section.text(),
                                                      report_.refer(first->second, section.place)));
        read_known(section, fresh);
    }

    /// A repeated section is read for its complaints and then forgotten.
    void read_known(Section& section, bool keep) {
        if (section.kind == "reeve") {
            Reeve reeve;
            read_settings(section, reeve_settings(), reeve);
            if (keep) config_.reeve = std::move(reeve), origins_.reeve = &section;
        } else if (section.kind == "execution") {
            Execution execution = defaults_of(model_of(section));
            read_settings(section, execution_settings(), execution);
            if (keep) config_.execution = execution, origins_.execution = &section;
        } else if (section.kind == "server") {
            Server server;
            server.name = section.name;
            read_settings(section, server_settings(), server);
            if (keep) config_.servers.push_back(std::move(server)), origins_.servers.push_back(&section);
        } else if (section.kind == "upstream") {
            Upstream upstream;
            upstream.name = section.name;
            read_settings(section, upstream_settings(), upstream);
            if (keep)
                config_.upstreams.push_back(std::move(upstream)), origins_.upstreams.push_back(&section);
        } else if (section.kind == "pool") {
            Pool pool;
            pool.name = section.name;
            read_settings(section, pool_settings(), pool);
            if (keep) config_.pools.push_back(std::move(pool)), origins_.pools.push_back(&section);
        } else if (section.kind == "module") {
            Module module;
            module.name = section.name;
            read_settings(section, module_settings(), module);
            if (keep) config_.modules.push_back(std::move(module)), origins_.modules.push_back(&section);
        } else if (section.kind == "store") {
            Store store;
            read_settings(section, store_settings(), store);
            if (keep) config_.store = std::move(store), origins_.store = &section;
        } else if (section.kind == "queue") {
            Queue queue;
            queue.name = section.name;
            read_settings(section, queue_settings(), queue);
            if (keep) config_.queues.push_back(std::move(queue)), origins_.queues.push_back(&section);
        } else if (section.kind == "schedule") {
            Schedule schedule;
            schedule.name = section.name;
            read_settings(section, schedule_settings(), schedule);
            if (keep)
                config_.schedules.push_back(std::move(schedule)), origins_.schedules.push_back(&section);
        } else {
            Route route;
            route.name = section.name;
            read_settings(section, route_settings(), route);
            read_handler(section, route);
            if (keep) config_.routes.push_back(std::move(route)), origins_.routes.push_back(&section);
        }
    }

    /// As written, so that the other settings go on top of its defaults wherever it stands.
    static Model model_of(const Section& section) {
        for (const auto& entry : section.entries)
            if (entry.key == "model")
                for (const NamedModel& each : models())
                    if (each.name == entry.value) return each.model;
        return Execution{}.model;
    }

    template <class T>
    void read_settings(Section& section, const Settings<T>& rows, T& into) {
        std::map<std::string_view, const Entry*> firsts;
        for (std::size_t i = 0; i < section.entries.size(); ++i) {
            auto& entry = section.entries[i];
            const auto row =
                std::find_if(rows.begin(), rows.end(), [&](const auto& r) { return r.key == entry.key; });
            if (row == rows.end()) {
                if (!entry.continued) refuse(entry, unknown(section, entry, rows));
                continue;
            }
            const auto [first, fresh] = firsts.try_emplace(row->key, &entry);
            if (!fresh && !row->list) {
                refuse(entry, repeated(entry, *first->second));
                continue;
            }
            if (fresh && row->list) row->clear(into);
            const bool list_follows =
                row->list && i + 1 < section.entries.size() && section.entries[i + 1].continued;
            if (entry.value.empty() && list_follows) continue;
            if (entry.value.empty()) {
                refuse(entry, fmt::format("{}: has no value", entry.key));
                continue;
            }
            const auto read = row->read(into, {entry.value, document_.folders.at(entry.place.file)});
            if (!read) refuse(entry, fmt::format("{}: {}", entry.key, read.error()));
        }
    }

    template <class T>
    std::string unknown(const Section& section, const Entry& entry, const Settings<T>& rows) const {
        std::vector<std::string_view> keys;
        for (const auto& row : rows) keys.push_back(row.key);
        std::vector<std::string> elsewhere;
        for (const auto& other : described())
            if (other.key == entry.key) elsewhere.push_back(fmt::format("[{}]", other.kind));
        if (!elsewhere.empty())
            return fmt::format("unknown key `{}` in {}; it belongs to {}", entry.key, section.text(),
                               fmt::join(elsewhere, " and "));
        return fmt::format("unknown key `{}`{}", entry.key, hint(entry.key, keys));
    }

    std::string repeated(const Entry& entry, const Entry& first) const {
        if (entry.continued)
            return fmt::format("{}: takes one value, and this indented line adds another to {}", entry.key,
                               report_.refer(first.place, entry.place));
        return fmt::format("{}: stands already, at {}", entry.key, report_.refer(first.place, entry.place));
    }

    /// Exactly one handler, and no setting that another one would use.
    void read_handler(Section& section, Route& route) {
        const Entry* chosen = nullptr;
        for (auto& entry : section.entries) {
            const auto* row = row_of(entry);
            if (row == nullptr || !row->is_handler || (chosen != nullptr && chosen->key == entry.key))
                continue;
            if (chosen != nullptr) {
                refuse(entry, fmt::format("{}: the route has a handler already, `{}` at {}", entry.key,
                                          chosen->key, report_.refer(chosen->place, entry.place)));
                continue;
            }
            chosen = &entry;
            route.handler = row->used_by.front();
        }
        if (chosen == nullptr)
            return report_.refuse(
                section.place, fmt::format("{} has no handler: one of {}", section.text(), handler_keys()));

        for (auto& entry : section.entries) {
            const auto* row = row_of(entry);
            if (row == nullptr || row->is_handler || is_used_by(*row, route.handler)) continue;
            std::vector<std::string_view> users;
            for (const auto handler : row->used_by) users.push_back(key_of(handler));
            refuse(entry, fmt::format("{}: belongs to `{}`, and this route's handler is `{}`", entry.key,
                                      fmt::join(users, "` and `"), chosen->key));
        }
    }

    static const Setting<Route>* row_of(const Entry& entry) {
        for (const auto& row : route_settings())
            if (row.key == entry.key) return &row;
        return nullptr;
    }

    static std::string handler_keys() {
        std::vector<std::string_view> keys;
        for (const auto& row : route_settings())
            if (row.is_handler) keys.push_back(row.key);
        return fmt::format("{}", fmt::join(keys, ", "));
    }

    void refuse(Entry& entry, std::string message) {
        entry.refused = true;
        report_.refuse(entry.place, std::move(message));
    }

    Document& document_;
    Config& config_;
    Report& report_;
    Origins origins_;
    std::map<std::pair<std::string_view, std::string_view>, Place> first_;
};

}  // namespace

Origins read_sections(Document& document, Config& config, Report& report) {
    return Reader(document, config, report).read();
}

}  // namespace conf
