#' What a caller is answered, as a client reads it, and what is logged.
answer_to <- function(err, request_id = "abc") {
  res <- plumber:::PlumberResponse$new()
  req <- list(PATH_INFO = "/predict", HTTP_X_REQUEST_ID = request_id)
  line <- utils::capture.output(value <- answer_error(req, res, err))
  reply <- res$serializer(value, req, res, stop)
  list(reply = reply, body = jsonlite::parse_json(reply$body), line = jsonlite::fromJSON(line))
}

mistake_of <- function(code) tryCatch(code, error = identity)

test_that("a caller's mistake is a problem as the gateway has it, with every place", {
  places <- place(c("/0/x", "/1/x"), c("one", "two"))
  answer <- answer_to(mistake_of(refuse_input("no \"x\"", places, "no x")))

  expect_equal(answer$reply$status, 422)
  expect_equal(answer$reply$headers[["Content-Type"]], "application/problem+json")
  expect_equal(answer$reply$headers[["Cache-Control"]], "no-store")
  expect_equal(answer$body, list(
    type = "urn:penstock:error:INVALID_INPUT", title = "Invalid input", status = 422L,
    detail = "no \"x\"", code = "INVALID_INPUT", requestId = "abc", message = "no \"x\"",
    errors = list(list(pointer = "/0/x", detail = "one"), list(pointer = "/1/x", detail = "two"))
  ))
})

test_that("a body that cannot be read is a bad request, without places", {
  answer <- answer_to(mistake_of(refuse_body("the body is empty")))

  expect_equal(answer$reply$status, 400)
  expect_equal(answer$body$code, "BAD_REQUEST")
  expect_false("errors" %in% names(answer$body))
})

test_that("the log tells a caller's mistake from R's failure, and quotes no caller", {
  mistake <- answer_to(mistake_of(refuse_input("no \"x\"", logged = "no x")))$line
  failure <- answer_to(simpleError("R failed"))$line

  expect_equal(mistake[c("level", "event", "code", "message")],
               list(level = "info", event = "caller-mistake", code = "INVALID_INPUT",
                    message = "no x"))
  expect_equal(failure[c("level", "event")], list(level = "error", event = "r-error"))
})

test_that("the id of the request is the gateway's, and null where it sent none", {
  id_beside <- function(id) answer_to(mistake_of(refuse_body("no")), id)$body["requestId"]

  expect_equal(id_beside("a:b-1")[[1]], "a:b-1")
  for (id in list(NULL, "a b", strrep("x", 129))) {
    expect_equal(id_beside(id), list(requestId = NULL))
  }
})

test_that("no more than twenty places are listed", {
  many <- place(paste0("/", 0:99), "wrong")

  expect_length(answer_to(mistake_of(refuse_input("wrong", many)))$body$errors, 20)
})
