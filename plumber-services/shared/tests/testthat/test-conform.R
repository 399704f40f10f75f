prototype <- data.frame(
  size = 1.5,
  count = 1L,
  colour = factor("red", levels = c("red", "blue")),
  name = "a",
  new = TRUE
)

from_json <- function(json) conform(read_json(charToRaw(json)), prototype)

refusal_of <- function(code) {
  expect_s3_class(mistake <- tryCatch(code, error = identity), "caller_mistake")
  mistake
}

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

test_that("a missing value beside others stays one, as vetiver's client writes it", {
  like <- data.frame(colour = factor("red"), day = as.Date("2024-01-01"), size = 1)
  json <- '[{"colour":"NA","day":"NA","size":"NA"},{"colour":"red","day":"2024-02-29","size":2}]'

  rows <- conform(read_json(charToRaw(json)), like)

  expect_identical(is.na(rows$colour), c(TRUE, FALSE))
  expect_identical(is.na(rows$day), c(TRUE, FALSE))
  expect_identical(is.na(rows$size), c(TRUE, FALSE))
  expect_identical(conform(data.frame(colour = c("NA", "red")),
                           data.frame(colour = factor(c("NA", "red"))))$colour,
                   factor(c("NA", "red")))
})

test_that("a date comes as text, and each by itself", {
  like <- data.frame(day = as.Date("2024-01-01"))

  expect_identical(conform(data.frame(day = c("2024-02-29", NA)), like),
                   data.frame(day = as.Date(c("2024-02-29", NA))))
  for (bad in c("soon", "2024-02-30", "2024/02/29", "1/2/3", "2024-02-29x")) {
    refused <- refusal_of(conform(data.frame(day = c("2024-02-28", bad)), like))
    expect_equal(refused$detail,
                 paste0("row 2: `day`: \"", bad, "\" is not a date such as 2024-02-29"))
  }
})

refused <- list(
  list("no array of records", '{"size":1}', "must be a JSON array of records"),
  list("no JSON object in it", "[1,2]", "must be a JSON array of records"),
  list("no records", "[]", "must be a JSON array of records"),
  list("nothing", "null", "must be a JSON array of records"),
  list("what is no record among records", '[{"size":1},5]', "row 2 is not a JSON object"),
  list("a missing column", '[{"size":1,"count":1,"name":"b"}]', "are missing: `colour`, `new`"),
  list("an unknown level", record(colour = "green"), "`colour`: \"green\" is not one of red, blue"),
  list("text for a number", record(size = "big"), "`size`: \"big\" is not a number"),
  list("a truth for a number", record(size = TRUE), "`size`: true is not a number"),
  list("a fraction for a whole number", record(count = 1.5),
       "`count`: 1.5 is not a whole number"),
  list("a number too big for R", record(count = 3e9),
       "`count`: 3000000000 is not a whole number"),
  list("a number for text", record(name = 7), "`name`: 7 is not text"),
  list("a number for a truth", record(new = 2), "`new`: 2 is not true or false"),
  list("text for a truth", record(new = "perhaps"), "`new`: \"perhaps\" is not true or false"),
  list("half a character", gsub("half", "\\\\udc00", record(name = "half")),
       "`name` is not text in Unicode"),
  list("a list for a value", '[{"size":{"x":[1]},"count":1,"colour":"red","name":"b","new":true}]',
       "`size` must hold one value in each record")
)
for (case in refused) {
  test_that(paste("it refuses", case[[1]]), {
    expect_match(refusal_of(from_json(case[[2]]))$detail, case[[3]], fixed = TRUE)
  })
}

test_that("what is refused names the row, and its place in the body", {
  json <- '[{"a/b":"1"},{"a/b":"two"},{"a/b":3},{"a/b":"four"}]'
  like <- data.frame(`a/b` = 1, check.names = FALSE)

  refused <- refusal_of(conform(read_json(charToRaw(json)), like))

  expect_equal(refused$detail, "row 2: `a/b`: \"two\" is not a number; `errors` has more")
  expect_equal(refused$places$pointer, c("/1/a~1b", "/3/a~1b"))
  expect_equal(refused$places$detail[[2]], "row 4: `a/b`: \"four\" is not a number")
})

test_that("all columns that do not fit are told at once", {
  refused <- refusal_of(from_json(record(size = "big", name = 7)))

  expect_equal(refused$places$pointer, c("/0/size", "/0/name"))
})

test_that("rows are named where values are lists", {
  json <- '[{"x":1},{"x":[1,2]},{"x":null},{"x":{"y":1}}]'

  refused <- refusal_of(conform(read_json(charToRaw(json)), data.frame(x = 1)))

  expect_equal(refused$places$pointer, c("/1/x", "/3/x"))
})

test_that("more rows than are taken at once are refused", {
  rows <- data.frame(x = c(1, 2, 3))

  expect_equal(nrow(conform(rows, data.frame(x = 1), rows_max = 3)), 3)
  expect_equal(refusal_of(conform(rows, data.frame(x = 1), rows_max = 2))$detail,
               "the body has 3 rows; at most 2 are taken at once")
})

test_that("the caller's values are echoed in part, and never logged", {
  long <- strrep("\u00e9", 1000)
  refused <- refusal_of(from_json(record(colour = long)))

  expect_match(refused$detail, paste0("\"", strrep("\u00e9", 100), "\u2026\""), fixed = TRUE)
  expect_lt(nchar(refused$detail), 200)
  expect_equal(conditionMessage(refused), "`colour`: a value is not one of red, blue")
})

test_that("a long list of levels is told in part", {
  like <- data.frame(x = factor(paste0("l", 1:1000)))

  expect_match(refusal_of(conform(data.frame(x = "m"), like))$detail,
               "is not one of l1, .*, \u2026 \\(1000 in /prototype\\)$")
})
