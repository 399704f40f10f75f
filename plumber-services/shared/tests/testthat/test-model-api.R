artefact <- list(
  name = "double", version = "1.0.0-00000000", description = "Twice x", model = 2,
  prototype = data.frame(x = 1), hyper_parameters = list(by = 2), packages = "stats",
  training_data = list(rows = 1L, hash = "sha256:00"), metrics = list(rmse = 0)
)

double <- function(model, rows) list(.pred = model * rows$x)

serialize_json <- function(value) {
  model_serializer()(value, list(), plumber:::PlumberResponse$new(), stop)$body
}

test_that("a model that cannot predict its own example does not start", {
  broken <- function(model, rows) stop("broken")

  expect_error(model_api(plumber::pr(), artefact, broken), "broken")
})

test_that("it has the paths of vetiver", {
  api <- model_api(plumber::pr(), artefact, double)

  expect_setequal(names(api$routes), c("ping", "metadata", "prototype", "predict"))
})

test_that("one prediction is a scalar, and keeps all its digits", {
  expect_equal(as.character(serialize_json(double(2, data.frame(x = 0.00000617)))),
               '{".pred":1.234e-05}')
  expect_equal(as.character(serialize_json(double(2, data.frame(x = c(1, NA))))),
               '{".pred":[2,"NA"]}')
  expect_equal(as.character(serialize_json(list(.pred = 1 / 3))), '{".pred":0.333333333333333}')
})

test_that("records have no row names", {
  rows <- data.frame(.pred_class = "a", row.names = "first")

  expect_equal(as.character(serialize_json(without_row_names(rows))), '[{".pred_class":"a"}]')
})

test_that("metadata are those of the artefact, without the model", {
  metadata <- metadata_of(artefact)

  expect_null(metadata$model)
  expect_match(as.character(serialize_json(metadata)), '"url":null,"required_pkgs":["stats"]',
               fixed = TRUE)
  expect_equal(metadata$version, "1.0.0-00000000")
})

test_that("an error keeps the status that was set before, as Plumber does", {
  answer <- function(status) {
    res <- new.env()
    res$status <- status
    utils::capture.output(body <- answer_error(list(PATH_INFO = "/x"), res, simpleError("no")))
    list(status = res$status, error = body$error)
  }

  expect_equal(answer(200L), list(status = 500L, error = "500 - Internal server error"))
  expect_equal(answer(404L), list(status = 404L, error = "Internal error"))
})

test_that("what is JSON is read, whatever it is said to be", {
  expect_equal(read_json(charToRaw('[{"x":1},{"x":2}]')), data.frame(x = 1:2))
})

test_that("what is not JSON is refused with the reason, and without the caller's text", {
  reason_of <- function(bytes) {
    expect_s3_class(err <- tryCatch(read_json(bytes), error = identity), "caller_mistake")
    expect_equal(err$code, "BAD_REQUEST")
    conditionMessage(err)
  }

  expect_equal(reason_of(raw()), "the body is empty; it must be a JSON array of records")
  expect_equal(reason_of(charToRaw("[my-own")),
               "the body is not JSON: lexical error: invalid char in json text")
  expect_equal(reason_of(as.raw(c(0x22, 0xff, 0x22))), "the body is not text in UTF-8")
  expect_equal(reason_of(as.raw(c(0x31, 0, 0x31))), "the body is not text in UTF-8")
  deep <- paste0(strrep("[", 20000), strrep("]", 20000))
  expect_equal(reason_of(charToRaw(deep)), "the body is not JSON: nested too deeply")
})
