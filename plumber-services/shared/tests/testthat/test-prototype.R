test_that("columns are encoded as cereal does", {
  prototype <- data.frame(x = 2.62, n = 3L, day = as.Date("2024-02-29"), text = "a", yes = TRUE)

  encoded <- encode_prototype(prototype)

  expect_equal(vapply(encoded, `[[`, "", "type"),
               c(x = "numeric", n = "integer", day = "Date", text = "character", yes = "logical"))
  expect_equal(vapply(encoded, `[[`, "", "example"),
               c(x = "2.62", n = "3", day = "2024-02-29", text = "a", yes = "TRUE"))
  expect_equal(encoded$x$details, list())
})

test_that("a factor's levels are published, as a list even where there is but one", {
  encoded <- encode_prototype(data.frame(f = factor("a")))

  expect_equal(
    as.character(jsonlite::toJSON(encoded$f, auto_unbox = TRUE)),
    '{"type":"factor","example":"a","details":{"levels":["a"]}}'
  )
})

test_that("without rows there is no example", {
  expect_null(encode_prototype(data.frame(x = double()))$x$example)
})
