-- Sends every request `pipeline` times at once when asked to; prints what run.py reads as one line.
local batch

function init(args)
    local depth = tonumber(args[1])
    if depth > 1 then
        local requests = {}
        for i = 1, depth do requests[i] = wrk.format() end
        batch = table.concat(requests)
        request = function() return batch end
    end
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format("result %d %d %d %d %d\n", summary.requests, summary.duration,
        errors.connect + errors.read + errors.write + errors.timeout, errors.status,
        latency:percentile(99)))
end
