-- Predictions of one row each, no two alike. All have one length, so that the head is made once.
dofile(os.getenv("BENCH_LOAD") .. "shared.lua")

local head
local count = 0

function init()
  local body = string.format('[{"wt":%.6f,"hp":%d}]', 1, 100)
  wrk.headers["Content-Type"] = "application/json"
  head = wrk.format("POST", nil, nil, body):sub(1, -#body - 1)
  count = thread_number * 4000000 + tonumber(os.getenv("BENCH_SEED")) * 1000003 % 4000000
end

function request()
  count = count + 1
  return head .. string.format('[{"wt":%.6f,"hp":%d}]', 1 + count % 8999999 / 1000000, 100 + count % 300)
end
