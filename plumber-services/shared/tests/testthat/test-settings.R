test_that("settings have defaults, and an empty variable is none", {
  settings <- read_settings(c(PENSTOCK_PORT = "", HOME = "/"))

  expect_equal(settings$host, "127.0.0.1")
  expect_equal(settings$port, 0)
  expect_equal(settings$drain_timeout_s, 30)
  expect_equal(settings$registration$tags, character())
})

test_that("settings are read and split", {
  settings <- read_settings(
    c(PENSTOCK_PORT = "9101", PENSTOCK_TAGS = " a, b,", PENSTOCK_WEIGHT = "5")
  )

  expect_equal(settings$port, 9101)
  expect_equal(settings$registration$tags, c("a", "b"))
  expect_equal(settings$registration$weight, 5)
})

test_that("what is no number, or too small, is refused by name", {
  expect_error(read_settings(c(PENSTOCK_WEIGHT = "much")), "PENSTOCK_WEIGHT must be a number")
  expect_error(read_settings(c(PENSTOCK_DEREGISTER_AFTER_S = "30")), "at least 60")
})
