lines <- c(
  "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid",
  "   0: 0100007F:238D 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0",
  "   1: 0100007F:238D 0100007F:C350 01 00000400:00000000 00:00000000 00000000     0",
  "   2: 0100007F:238D 0100007F:C351 01 00000000:00000000 00:00000000 00000000     0",
  "   3: 0100007F:238D 0100007F:C352 06 00000000:00000000 00:00000000 00000000     0",
  "   4: 0100007F:C350 0100007F:238D 01 00000000:00000000 00:00000000 00000000     0"
)

test_that("a port's established connections are told, with what they have not sent", {
  expect_equal(parse_connections(lines, 9101), data.frame(unsent_bytes = c(1024L, 0L)))
})

test_that("a port without connections has none", {
  expect_equal(nrow(parse_connections(lines, 80)), 0)
  expect_equal(nrow(parse_connections(NULL, 80)), 0)
})

test_that("silence is not taken for a ping", {
  expect_false(await_ping("127.0.0.1", 1, now_s() + 1))
})

test_that("a condition is waited for until the deadline", {
  expect_true(await(function() TRUE, now_s()))
  expect_false(await(function() FALSE, now_s()))
})
