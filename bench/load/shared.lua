-- What every load has in common: callers spread over the addresses in BENCH_ADDRESSES, one a thread, each sending the
-- token in BENCH_TOKEN; and the figures, as one line of JSON that wrk.ts reads.

local addresses = {}
for host, port in os.getenv("BENCH_ADDRESSES"):gmatch("([^:,]+):(%d+)") do
  addresses[#addresses + 1] = { host = host, port = port }
end

wrk.headers["Authorization"] = "Bearer " .. os.getenv("BENCH_TOKEN")
if os.getenv("BENCH_CLOSE") == "yes" then wrk.headers["Connection"] = "close" end

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
