settings <- read_settings(c(PENSTOCK_SERVICE_NAME = "fuel", PENSTOCK_TAGS = "blue"))

instance <- list(id = "fuel-here-9101", address = "10.0.0.7", port = 9101L,
                 check_host = "10.0.0.7", version = "1.0.0-00000000", model = "fuel",
                 has_ping = TRUE)

as_consul_reads <- function(...) jsonlite::fromJSON(registration(settings, ...))

test_that("a registration has what the gateway and Consul's check need", {
  service <- as_consul_reads(instance, "passing")

  expect_equal(service[c("ID", "Name", "Address", "Port")],
               list(ID = "fuel-here-9101", Name = "fuel", Address = "10.0.0.7", Port = 9101L))
  expect_equal(service$Tags, c("plumber", "blue"))
  expect_equal(service$Meta, list(version = "1.0.0-00000000", model = "fuel", concurrency = "1"))
  expect_equal(service$Check[c("HTTP", "Interval", "Timeout", "Status")],
               list(HTTP = "http://10.0.0.7:9101/ping", Interval = "5s", Timeout = "4s",
                    Status = "passing"))
  expect_equal(service$Check$DeregisterCriticalServiceAfter, "60s")
})

test_that("one tag is a list, and an unknown version is no meta", {
  settings <- read_settings(c(PENSTOCK_SERVICE_NAME = "fuel"))

  json <- registration(settings, utils::modifyList(instance, list(version = "")), "critical")

  expect_match(json, '"Tags":["plumber"]', fixed = TRUE)
  expect_false(grepl("version", json))
})

test_that("an IPv6 address stands in brackets in a URL", {
  instance$check_host <- "::1"

  expect_equal(as_consul_reads(instance, "passing")$Check$HTTP, "http://[::1]:9101/ping")
})

test_that("an application without a /ping is checked by connecting", {
  instance$has_ping <- FALSE

  check <- as_consul_reads(instance, "passing")$Check

  expect_equal(check$TCP, "10.0.0.7:9101")
  expect_null(check$HTTP)
})
