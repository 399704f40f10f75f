test_that("a line is one JSON object, whatever is in it", {
  line <- format_log_line("info", "said", text = "a\"b\n\u001b\u00e9", none = NULL, n = 1L)

  expect_false(grepl("[[:cntrl:]]", line))
  fields <- jsonlite::fromJSON(line)
  expect_equal(fields$text, "a\"b\n\u001b\u00e9")
  expect_match(fields$time, "^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}\\.\\d{3}Z$")
  expect_equal(fields[c("level", "event", "n")], list(level = "info", event = "said", n = 1L))
})

test_that("a line begins with the mark that serve.sh knows", {
  withr::local_options(penstock.log_mark = "mark:")

  expect_output(log_line("info", "said"), "^mark:\\{\"time\"")
})
