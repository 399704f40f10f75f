artefact <- read_artefact("../..")

test_that("each flower has a class, and probabilities that add up to one", {
  flowers <- predict_iris(artefact$model, iris[c(1, 51, 101), 1:4])

  species <- levels(iris$Species)
  expect_named(flowers, c(".pred_class", paste0(".pred_", species)))
  expect_equal(as.character(flowers$.pred_class), species)
  expect_equal(unname(rowSums(flowers[-1])), c(1, 1, 1))
})

test_that("the class is the most probable one", {
  flowers <- predict_iris(artefact$model, iris[1:4])

  expect_equal(as.integer(flowers$.pred_class), max.col(flowers[-1]))
})

test_that("one flower is a record as well", {
  expect_equal(nrow(predict_iris(artefact$model, iris[1, 1:4])), 1)
})
