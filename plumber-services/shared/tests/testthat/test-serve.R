test_that("a given port is kept, and a free one is free", {
  expect_equal(choose_port("127.0.0.1", 9101), 9101)
  expect_true(is_free("127.0.0.1", choose_port("127.0.0.1", 0)))
})

test_that("a port in use is not free", {
  port <- choose_port("127.0.0.1", 0)
  server <- httpuv::startServer("127.0.0.1", port, list())
  withr::defer(httpuv::stopServer(server))

  expect_false(is_free("127.0.0.1", port))
})

test_that("a look for the end keeps nothing of the one before", {
  folder <- withr::local_tempdir()
  forced <- FALSE
  stop_app <- function() NULL

  later::with_temp_loop(watch_for_quit(folder, {
    forced <- TRUE
    stop_app
  }))

  expect_true(forced)
})
