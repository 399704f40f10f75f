train <- function(..., data = data.frame(y = 1:3, x = c(0.1, 0.2, 0.4))) {
  directory <- withr::local_tempdir(.local_envir = parent.frame())
  withr::local_dir(directory, .local_envir = parent.frame())
  write_artefact(
    name = "line", version = "2.1.0", description = "A line", model = lm(y ~ x, data = data),
    data = data, outcome = "y", ...
  )
}

test_that("an artefact is read as it was written", {
  written <- train(hyper_parameters = list(depth = 3), metrics = list(rmse = 0.5))

  read <- read_artefact()

  expect_equal(read[names(read) != "model"], written[names(written) != "model"])
  expect_equal(coef(read$model), coef(written$model))
  expect_equal(list.files(), "model.rds")
})

test_that("the prototype has the inputs, and an example of each", {
  expect_equal(train()$prototype, data.frame(x = 0.1))
})

test_that("the version is the author's, and a hash of what the model was made from", {
  version <- train(hyper_parameters = list(depth = 3))$version
  expect_match(version, "^2\\.1\\.0-[0-9a-f]{8}$")

  expect_equal(train(hyper_parameters = list(depth = 3))$version, version)
  expect_false(train(hyper_parameters = list(depth = 4))$version == version)
  other <- data.frame(y = 1:3, x = c(0.1, 0.2, 0.5))
  expect_false(train(hyper_parameters = list(depth = 3), data = other)$version == version)
})

test_that("another training script has another version", {
  withr::local_dir(withr::local_tempdir())
  version <- function() artefact_version("1", "hash", list(), read_scripts())
  writeLines("set.seed(1)", "train.R")
  one <- version()
  writeLines("set.seed(2)", "train.R")
  two <- version()
  dir.create("R")
  writeLines("double <- function(x) 2 * x", "R/double.R")

  expect_length(unique(c(one, two, version())), 3)
})

test_that("the hash of the data is that of its CSV", {
  csv <- "\"y\",\"x\"\n1,\"a\"\n"

  expect_equal(
    hash_data(data.frame(y = 1, x = "a")),
    paste0("sha256:", digest::digest(csv, "sha256", serialize = FALSE))
  )
})

test_that("an input of a type that JSON cannot bring is refused", {
  data <- data.frame(y = 1, at = as.POSIXct("2024-02-29", tz = "UTC"))

  expect_error(
    write_artefact("line", "1", "A line", model = 1, data = data, outcome = "y"),
    "the input `at` is a POSIXct; it must be one of numeric"
  )
})

test_that("a missing artefact says how to make it", {
  withr::local_dir(withr::local_tempdir())

  expect_error(read_artefact(), "no model.rds: run `plumber-services/train.sh .*` first")
})
