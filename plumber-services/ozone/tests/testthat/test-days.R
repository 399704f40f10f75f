test_that("days are kept that lack nothing, and months are a factor of the summer", {
  days <- measured_days(airquality)

  expect_equal(nrow(days), sum(stats::complete.cases(airquality)))
  expect_equal(levels(days$Month), c("May", "Jun", "Jul", "Aug", "Sep"))
  expect_equal(as.character(days$Month[[1]]), "May")
  expect_false("Day" %in% names(days))
})
