#include "worker/jobs/postgres_calls.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <limits>
#include <utility>

namespace worker::jobs {
namespace {

constexpr std::size_t together_max = 256;  ///< jobs of one call; their bodies are in the database's memory
constexpr std::size_t together_bytes_max = 8u << 20;
constexpr std::size_t said_max = 1024;  ///< of errors and progress

template <class... Kinds>
struct Match : Kinds... {
    using Kinds::operator()...;
};
template <class... Kinds>
Match(Kinds...) -> Match<Kinds...>;

std::int64_t clamped(std::uint64_t value) {
    return static_cast<std::int64_t>(
        std::min(value, static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max() / 2)));
}

std::string_view cut(std::string_view text) { return text.substr(0, said_max); }

PostgresParams& clock_of(PostgresParams& params, const PostgresMoment& moment) {
    return moment.clock ? params.number(*moment.clock) : params.null();
}

/// The columns of jobs that are asked for.
struct JobColumns {
    std::vector<std::string_view> ids, queues, types, bodies, keys, uniques, idempotency, prints, callbacks,
        traces, requests;
    std::vector<std::int64_t> run_ats, attempts, untils, room_jobs, room_bytes;
    std::vector<std::int32_t> priorities;

    explicit JobColumns(std::size_t count) {
        for (auto* list : {&ids, &queues, &types, &bodies, &keys, &uniques, &idempotency, &prints, &callbacks,
                           &traces, &requests})
            list->reserve(count);
        for (auto* list : {&run_ats, &attempts, &untils, &room_jobs, &room_bytes}) list->reserve(count);
        priorities.reserve(count);
    }
    void add(const Enqueue& one) {
        const NewJob& job = one.job;
        ids.push_back(job.id);
        queues.push_back(job.queue);
        types.push_back(job.content_type);
        bodies.push_back(job.body);
        keys.push_back(job.key);
        uniques.push_back(job.unique);
        idempotency.push_back(job.idempotency_key);
        prints.push_back(job.fingerprint);
        callbacks.push_back(job.callback);
        traces.push_back(job.trace);
        requests.push_back(job.request);
        run_ats.push_back(job.run_at);
        attempts.push_back(job.attempts);
        untils.push_back(job.idempotency_until);
        room_jobs.push_back(clamped(one.room.jobs));
        room_bytes.push_back(clamped(one.room.bytes));
        priorities.push_back(std::clamp(job.priority, -100, 100));
    }
    void put(PostgresParams& params) const {
        params.all_bytes(ids).all_bytes(queues).all_bytes(types).all_bytes(bodies).numbers(run_ats);
        params.integers(priorities).numbers(attempts).all_bytes(keys).all_bytes(uniques);
        params.all_bytes(idempotency).all_bytes(prints).numbers(untils).all_bytes(callbacks);
        params.all_bytes(traces).numbers(room_jobs).numbers(room_bytes).all_bytes(requests);
    }
    /// What reeve_enqueue_plain is for.
    [[nodiscard]] bool plain() const {
        const auto same = [](const auto& list) {
            return std::adjacent_find(list.begin(), list.end(), std::not_equal_to<>()) == list.end();
        };
        const auto empty = [](const std::vector<std::string_view>& list) {
            return std::all_of(list.begin(), list.end(), [](std::string_view text) { return text.empty(); });
        };
        if (ids.size() < 2 || !same(queues) || !same(room_jobs) || !same(room_bytes) || !empty(keys) ||
            !empty(uniques) || !empty(idempotency))
            return false;
        auto sorted = ids;
        std::sort(sorted.begin(), sorted.end());
        return std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end();
    }
};

PostgresCall enqueue_call(std::span<Operation> operations, const PostgresMoment& moment) {
    JobColumns columns(operations.size());
    for (const auto& operation : operations) columns.add(std::get<Enqueue>(operation));
    PostgresCall call{"enqueue", {}, operations};
    call.params.number(moment.now).integer(moment.part);
    if (!columns.plain()) {
        columns.put(call.params);
        return call;
    }
    call.statement = "enqueue_plain";
    call.params.all_bytes(columns.ids).bytes(columns.queues[0]).all_bytes(columns.types);
    call.params.all_bytes(columns.bodies).numbers(columns.run_ats).integers(columns.priorities);
    call.params.numbers(columns.attempts).all_bytes(columns.callbacks).all_bytes(columns.traces);
    call.params.number(columns.room_jobs[0]).number(columns.room_bytes[0]).all_bytes(columns.requests);
    return call;
}

PostgresParams fire_params(const Fire& fire, const PostgresMoment& moment) {
    PostgresParams params;
    params.number(moment.now).integer(moment.part);
    JobColumns columns(1);
    columns.add(fire.enqueue);
    columns.put(params);
    params.bytes(fire.schedule).number(fire.due);
    return params;
}

PostgresParams finish_params(std::span<Operation> operations, const PostgresMoment& moment) {
    std::vector<std::string_view> ids, errors, types, results, fields;
    std::vector<std::int64_t> fences, agains, crashes;
    std::vector<std::int32_t> endings, cuts, statuses;
    for (auto* list : {&ids, &errors, &types, &results, &fields}) list->reserve(operations.size());
    for (auto* list : {&fences, &agains, &crashes}) list->reserve(operations.size());
    for (auto* list : {&endings, &cuts, &statuses}) list->reserve(operations.size());
    for (const auto& operation : operations) {
        const auto& one = std::get<Finish>(operation);
        ids.push_back(one.id);
        errors.push_back(cut(one.error));
        types.push_back(one.result_type);
        results.push_back(one.result);
        fences.push_back(one.fence);
        agains.push_back(one.again_at);
        crashes.push_back(one.crashes_max);
        endings.push_back(static_cast<std::int32_t>(one.ending));
        cuts.push_back(one.result_cut ? 1 : 0);
        statuses.push_back(one.result_status);
        fields.push_back(one.result_fields);
    }
    PostgresParams params;
    params.number(moment.now).integer(moment.part).all_bytes(ids).numbers(fences).integers(endings);
    params.all_bytes(errors).all_bytes(types).all_bytes(results).numbers(agains).numbers(crashes);
    params.integers(cuts).integers(statuses).all_bytes(fields);
    return params;
}

std::int64_t lease_of(UnixMs until, UnixMs now) { return until == 0 ? 0 : std::max<UnixMs>(until - now, 1); }

PostgresParams claim_params(const Claim& claim, const PostgresMoment& moment) {
    PostgresParams params;
    params.number(moment.now).integer(moment.part);
    clock_of(params, moment).bytes(claim.queue).bytes(claim.owner).number(claim.count);
    params.integer(static_cast<std::int32_t>(clamped(claim.key_concurrency)));
    params.number(lease_of(claim.lease_until, moment.now)).number(moment.batch);
    params.number(claim.running_max).number(clamped(claimed_bytes_max));
    return params;
}

/// Those of `wanted`, all if there is none, without those that may not be.
std::vector<std::int32_t> numbers_of(const std::vector<State>& wanted, bool running) {
    std::vector<std::int32_t> numbers;
    for (std::int32_t number = 0; number <= static_cast<std::int32_t>(State::cancelled); ++number) {
        const auto state = static_cast<State>(number);
        if (state == State::running && !running) continue;
        if (wanted.empty() || std::find(wanted.begin(), wanted.end(), state) != wanted.end())
            numbers.push_back(number);
    }
    return numbers;
}

PostgresCall list_call(List& list, std::span<Operation> operations) {
    std::int64_t before = std::numeric_limits<std::int64_t>::max();
    if (const auto& after = list.after; !after.empty()) {
        const auto [end, error] = std::from_chars(after.data(), after.data() + after.size(), before);
        if (error != std::errc() || end != after.data() + after.size()) before = 0;  // nothing comes after it
    }
    PostgresCall call{"list", {}, operations};
    call.params.number(before).number(std::min(list.limit, listed_max) + 1);
    if (list.queue.empty() && list.states.empty()) return call;
    call.statement = "list_some";
    call.params.bytes(list.queue).integers(numbers_of(list.states, true));
    return call;
}

PostgresParams expire_params(const Expire& expire, const PostgresMoment& moment) {
    std::vector<std::string_view> queues;
    std::vector<std::int64_t> ended, dead;
    queues.reserve(expire.queues.size());
    ended.reserve(expire.queues.size());
    dead.reserve(expire.queues.size());
    for (const auto& keep : expire.queues) {
        queues.push_back(keep.queue);
        ended.push_back(keep.ended_before);
        dead.push_back(keep.dead_before);
    }
    PostgresParams params;
    params.number(moment.now).integer(moment.part).all_bytes(queues).numbers(ended).numbers(dead);
    params.number(clamped(removed_bytes_max));
    return params;
}

PostgresParams recover_params(const Recover& recover, const PostgresMoment& moment,
                              const std::vector<std::string>& gone) {
    PostgresParams params;
    params.number(moment.now).integer(moment.part);
    clock_of(params, moment).integer(recover.by_lease ? 1 : 0);
    params.all_bytes({gone.begin(), gone.end()}).number(0);
    return params;
}

template <class Kind>
std::size_t run_of(std::span<const Operation> operations, std::size_t (*weigh)(const Kind&)) {
    std::size_t count = 0, bytes = 0;
    for (; count < operations.size() && count < together_max; ++count) {
        const auto* one = std::get_if<Kind>(&operations[count]);
        if (one == nullptr) break;
        bytes += weigh(*one);
        if (count > 0 && bytes > together_bytes_max) break;
    }
    return count;
}

}  // namespace

std::size_t together(std::span<const Operation> operations) {
    if (operations.empty()) return 0;
    if (std::holds_alternative<Enqueue>(operations[0]))
        return run_of<Enqueue>(
            operations, [](const Enqueue& one) { return one.job.body.size() + one.job.request.size(); });
    if (std::holds_alternative<Finish>(operations[0]))
        return run_of<Finish>(operations, [](const Finish& one) { return one.result.size(); });
    return 1;
}

PostgresCall call_of(std::span<Operation> operations, const PostgresMoment& moment,
                     const std::vector<std::string>& gone) {
    const auto by_id = [&](const char* statement, const std::string& id) {
        PostgresCall call{statement, {}, operations};
        call.params.number(moment.now).integer(moment.part).bytes(id);
        return call;
    };
    const auto plain = [&](const char* statement, PostgresParams params) {
        return PostgresCall{statement, std::move(params), operations};
    };
    return std::visit(
        Match{
            [&](Enqueue&) { return enqueue_call(operations, moment); },
            [&](Claim& one) { return plain("claim", claim_params(one, moment)); },
            [&](Extend& one) {
                PostgresCall call{"extend", {}, operations};
                clock_of(call.params, moment).bytes(one.owner).number(lease_of(one.lease_until, moment.now));
                return call;
            },
            [&](Finish&) { return plain("finish", finish_params(operations, moment)); },
            [&](Progress& one) {
                PostgresCall call{"progress", {}, operations};
                call.params.bytes(one.id).number(one.fence).bytes(cut(one.text));
                return call;
            },
            [&](Cancel& one) { return by_id("cancel", one.id); },
            [&](Retry& one) { return by_id("retry", one.id); },
            [&](Get& one) {
                PostgresCall call{"get", {}, operations};
                call.params.bytes(one.id).flag(one.with_result).number(clamped(one.room));
                return call;
            },
            [&](List& one) { return list_call(one, operations); },
            [&](Pause& one) {
                PostgresCall call{"pause", {}, operations};
                call.params.bytes(one.queue).flag(one.paused);
                return call;
            },
            [&](Purge& one) {
                PostgresCall call{"purge", {}, operations};
                call.params.integer(moment.part).bytes(one.queue);
                call.params.integers(numbers_of(one.states, false))
                    .number(one.before)
                    .number(clamped(removed_bytes_max));
                return call;
            },
            [&](Expire& one) { return plain("expire", expire_params(one, moment)); },
            [&](Recover& one) { return plain("recover", recover_params(one, moment, gone)); },
            [&](Stats&) { return plain("stats", {}); },
            [&](Fire& one) { return plain("fire", fire_params(one, moment)); },
            [&](LastFired& one) {
                PostgresCall call{"last_fired", {}, operations};
                call.params.bytes(one.schedule);
                return call;
            },
        },
        operations[0]);
}

void drop_answers(std::span<Operation> operations) {
    for (auto& operation : operations) {
        std::visit(
            [](auto& one) {
                if constexpr (requires { one.answer; }) one.answer = {};
                if constexpr (requires { one.enqueue.answer; }) one.enqueue.answer = {};
            },
            operation);
    }
}

std::vector<std::string_view> changed_jobs(std::span<const Operation> operations) {
    std::vector<std::string_view> ids;
    ids.reserve(operations.size());
    for (const auto& operation : operations) {
        std::visit(
            [&](const auto& one) {
                using Kind = std::decay_t<decltype(one)>;
                if constexpr (std::is_same_v<Kind, Finish> || std::is_same_v<Kind, Progress> ||
                              std::is_same_v<Kind, Cancel> || std::is_same_v<Kind, Retry>)
                    ids.push_back(one.id);
            },
            operation);
    }
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    return ids;
}

}  // namespace worker::jobs
