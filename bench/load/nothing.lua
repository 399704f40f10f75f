-- The same small GET again and again.
dofile(os.getenv("BENCH_LOAD") .. "shared.lua")
