advertised_as <- function(...) advertised(read_settings(c(...)), 9101L)

test_that("an instance is known by the address it listens on", {
  expect_equal(advertised_as(PENSTOCK_HOST = "10.0.0.7"), list(host = "10.0.0.7", port = 9101L))
})

test_that("an instance may be known by another address, and another port", {
  expect_equal(advertised_as(PENSTOCK_ADVERTISE = "r.internal"),
               list(host = "r.internal", port = 9101L))
  expect_equal(advertised_as(PENSTOCK_ADVERTISE = "r.internal:80"),
               list(host = "r.internal", port = 80L))
  expect_equal(advertised_as(PENSTOCK_ADVERTISE = "[fd00::1]:80"),
               list(host = "fd00::1", port = 80L))
})

test_that("an instance that listens on all addresses is not known by that", {
  expect_false(advertised_as(PENSTOCK_HOST = "0.0.0.0")$host %in% c("0.0.0.0", "127.0.0.1"))
})

test_that("without its directory a process has nothing to stay for", {
  directory <- withr::local_tempdir()
  expect_false(is_told_to_stop(directory))

  file.create(file.path(directory, "stop"))
  expect_true(is_told_to_stop(directory))

  unlink(directory, recursive = TRUE)
  expect_true(is_told_to_stop(directory))
})

#' Follows `keep_registered` while Consul answers with the given statuses, one a request.
follow <- function(statuses) {
  requests <- character()
  ask <- function(method, path, body = NULL) {
    requests <<- c(requests, paste(method, sub("\\?.*", "", path)))
    statuses[[length(requests)]]
  }
  settings <- read_settings(c(PENSTOCK_SERVICE_NAME = "fuel"))
  settings$registration$poll_s <- 0
  # Nothing listens on port 1, so that it is registered as critical.
  instance <- list(id = "fuel-1", address = "127.0.0.1", port = 1L, check_host = "127.0.0.1",
                   version = "", model = "fuel", has_ping = TRUE)
  lines <- utils::capture.output(
    keep_registered(settings, instance, ask, function() length(requests) >= length(statuses))
  )
  events <- vapply(lines, function(line) jsonlite::fromJSON(line)$event, "", USE.NAMES = FALSE)
  list(requests = requests, events = events)
}

test_that("what Consul does not know is registered, and again when it has forgotten", {
  seen <- follow(c(404, 200, 200, 404, 200))

  get <- "GET /v1/agent/service/fuel-1"
  put <- "PUT /v1/agent/service/register"
  expect_equal(seen$requests, c(get, put, get, get, put))
  expect_equal(seen$events, c("registered", "registered"))
})

test_that("a Consul that is away is reported once", {
  expect_equal(follow(c(200, 0, 0))$events, "registration-failed")
})

test_that("a Consul that refuses is reported", {
  expect_equal(follow(c(404, 403))$events, "registration-failed")
})

test_that("an instance is what its metadata say, and else what it is called", {
  settings <- read_settings(c(PENSTOCK_SERVICE_NAME = "fuel"))
  about <- function(text) {
    describe_instance(settings, 9101L, parse_metadata(text))[c("version", "model")]
  }

  expect_equal(about('{"version":"2.0","name":"mpg"}'), list(version = "2.0", model = "mpg"))
  for (text in c("{}", "[1]", "\"text\"", "no JSON", '{"version":2,"name":["a","b"]}')) {
    expect_equal(about(text), list(version = "", model = "fuel"))
  }
})

test_that("an id has no characters that a URL would change", {
  settings <- read_settings(c(PENSTOCK_SERVICE_NAME = "fuel", PENSTOCK_SERVICE_ID = "fuel/1 a"))

  expect_equal(describe_instance(settings, 9101L, list())$id, "fuel-1-a")
})
