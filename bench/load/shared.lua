-- The same small GET again and again; and what every load has in common: callers spread over the addresses in
-- BENCH_ADDRESSES, one a thread, each sending the token in BENCH_TOKEN; and the figures, as one line of JSON for load.ts.

local addresses = {}
for host, port in os.getenv("BENCH_ADDRESSES"):gmatch("([^:,]+):(%d+)") do
  addresses[#addresses + 1] = { host = host, port = port }
end

wrk.headers["Authorization"] = "Bearer " .. os.getenv("BENCH_TOKEN")
if os.getenv("BENCH_CLOSE") == "yes" then wrk.headers["Connection"] = "close" end

-- So many calls and no more: what is on its way when the last answer is waited for belongs to them.
local calls = tonumber(os.getenv("BENCH_CALLS"))
if calls > 0 then
  local answers = 0
  function response()
    answers = answers + 1
    if answers > calls - tonumber(os.getenv("BENCH_CONNECTIONS")) then wrk.thread:stop() end
  end
end

local threads = 0

function setup(thread)
  local address = addresses[threads % #addresses + 1]
  thread.addr = wrk.lookup(address.host, address.port)[1]
  thread:set("thread_number", threads)
  threads = threads + 1
end

function done(summary, latency)
  local errors = summary.errors
  print(string.format(
    'FIGURES {"requests":%d,"durationMs":%.3f,"p50Ms":%.3f,"p99Ms":%.3f,"refused":%d,"broken":%d}',
    summary.requests, summary.duration / 1000,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
