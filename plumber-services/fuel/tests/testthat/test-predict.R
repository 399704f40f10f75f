artefact <- read_artefact("../..")

test_that("a heavier or stronger car goes fewer miles", {
  cars <- data.frame(wt = c(2.6, 3.6, 2.6), hp = c(110, 110, 210))

  mpg <- predict_fuel(artefact$model, cars)$.pred

  expect_length(mpg, 3)
  expect_true(all(mpg[2:3] < mpg[[1]]))
})

test_that("the predictions are those of the linear model, without names", {
  cars <- mtcars[c("wt", "hp")]

  expect_equal(
    predict_fuel(artefact$model, cars),
    list(.pred = as.vector(fitted(lm(mpg ~ wt + hp, data = mtcars))))
  )
})
