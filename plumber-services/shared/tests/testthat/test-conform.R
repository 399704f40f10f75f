prototype <- data.frame(
  size = 1.5,
  count = 1L,
  colour = factor("red", levels = c("red", "blue")),
  name = "a",
  new = TRUE
)

from_json <- function(json) conform(jsonlite::parse_json(json, simplifyVector = TRUE), prototype)

record <- function(...) {
  fields <- utils::modifyList(
    list(size = 2.5, count = 3, colour = "blue", name = "b", new = FALSE), list(...)
  )
  jsonlite::toJSON(list(fields), auto_unbox = TRUE)
}

expected <- function(...) {
  row <- data.frame(size = 2.5, count = 3L, colour = factor("blue", levels = c("red", "blue")),
                    name = "b", new = FALSE)
  utils::modifyList(row, list(...))
}

test_that("records become a data frame like the prototype", {
  expect_identical(from_json(record()), expected())
})

test_that("columns may come in any order, with others beside them", {
  json <- '[{"other":1,"new":false,"name":"b","colour":"blue","count":3,"size":2.5,"_row":"x"}]'

  expect_identical(from_json(json), expected())
})

test_that("names that R would change are left alone", {
  odd <- data.frame(`a b` = 1, check.names = FALSE)

  expect_named(conform(data.frame(`a b` = 2, check.names = FALSE), odd), "a b")
})

test_that("numbers and truths may come as text, as the query of a URL has them", {
  expect_identical(from_json(record(size = "2.5", count = "3", new = "FALSE")), expected())
})

test_that("a missing value stays one, as null or as \"NA\"", {
  for (missing in list(NA, "NA")) {
    row <- from_json(record(size = missing, count = missing))
    expect_identical(row, expected(size = NA_real_, count = NA_integer_))
  }
  row <- from_json('[{"size":null,"count":1,"colour":null,"name":"b","new":null}]')
  expect_identical(row$colour, factor(NA, levels = c("red", "blue")))
})

test_that("a date comes as text", {
  like <- data.frame(day = as.Date("2024-01-01"))

  expect_identical(conform(data.frame(day = c("2024-02-29", NA)), like),
                   data.frame(day = as.Date(c("2024-02-29", NA))))
  expect_error(conform(data.frame(day = "soon"), like), "`day` must be a date")
})

refused <- list(
  list("no array of records", '{"size":1}', "must be a JSON array of records"),
  list("no JSON object in it", "[1,2]", "must be a JSON array of records"),
  list("no records", "[]", "must be a JSON array of records"),
  list("a missing column", '[{"size":1,"count":1,"name":"b"}]', "are missing: `colour`, `new`"),
  list("an unknown level", record(colour = "green"), "`colour`: \"green\" is not one of red, blue"),
  list("text for a number", record(size = "big"), "`size`: \"big\" is not a number"),
  list("a truth for a number", record(size = TRUE), "`size` must be a number"),
  list("a fraction for a whole number", record(count = 1.5), "`count` must be a whole number"),
  list("a number too big for R", record(count = 3e9), "`count` must be a whole number"),
  list("a number for text", record(name = 7), "`name` must be text"),
  list("a number for a truth", record(new = 2), "`new` must be true or false"),
  list("text for a truth", record(new = "perhaps"), "`new`: \"perhaps\" is not true or false"),
  list("a list for a value", '[{"size":{"x":[1]},"count":1,"colour":"red","name":"b","new":true}]',
       "`size` must hold one value")
)
for (case in refused) {
  test_that(paste("it refuses", case[[1]]), {
    expect_error(from_json(case[[2]]), case[[3]], fixed = TRUE)
  })
}

test_that("an error names the value that does not fit, not the first one", {
  json <- '[{"x":"1"},{"x":"two"}]'

  expect_error(
    conform(jsonlite::parse_json(json, simplifyVector = TRUE), data.frame(x = 1)),
    "`x`: \"two\" is not a number"
  )
})
