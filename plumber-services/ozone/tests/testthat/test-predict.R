artefact <- read_artefact("../..")

test_that("a hot, still day has more ozone than a cold, windy one", {
  days <- artefact$prototype[c(1, 1), ]
  days$Temp <- c(95, 60)
  days$Wind <- c(4, 18)

  ozone <- predict_ozone(artefact$model, days)$.pred

  expect_gt(ozone[[1]], ozone[[2]])
})

test_that("one day has one number, without a name", {
  expect_named(predict_ozone(artefact$model, artefact$prototype)$.pred, NULL)
  expect_length(predict_ozone(artefact$model, artefact$prototype)$.pred, 1)
})
