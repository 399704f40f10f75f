-- Predictions of eight rows each, no two calls alike.
dofile(os.getenv("BENCH_LOAD") .. "shared.lua")

local count = 0

function init()
  wrk.headers["Content-Type"] = "application/json"
  count = thread_number * 4000000
end

function request()
  local rows = {}
  for i = 1, 8 do
    count = count + 1
    rows[i] = string.format('{"wt":%.6f,"hp":%d.5}', 1 + count % 8999999 / 1000000, 100 + count % 300)
  end
  return wrk.format("POST", nil, nil, "[" .. table.concat(rows, ",") .. "]")
end
