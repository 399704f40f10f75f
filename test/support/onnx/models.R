# The models whose ONNX files lie here, as R fits them. `Rscript models.R` prints their coefficients
# as JSON, of which models.py makes the files; the tests ask R for its predictions.

fit_fuel <- function() lm(mpg ~ wt + hp, data = mtcars)

fit_chicks <- function() {
  chicks <- as.data.frame(ChickWeight)
  chicks$Diet <- as.character(chicks$Diet)
  lm(weight ~ Time * Diet, data = chicks)
}

fit_forest <- function() {
  set.seed(1)
  randomForest::randomForest(mpg ~ wt + hp, data = mtcars, ntree = 20, nodesize = 5)
}

fit_gear <- function() glm(am ~ wt + hp, family = binomial, data = mtcars)

trees_of <- function(forest) {
  lapply(seq_len(forest$ntree), function(k) {
    unname(as.data.frame(randomForest::getTree(forest, k)))
  })
}

if (sys.nframe() == 0L) {
  coefficients <- list(
    fuel = as.list(coef(fit_fuel())),
    chicks = as.list(coef(fit_chicks())),
    gear = as.list(coef(fit_gear())),
    forest = lapply(trees_of(fit_forest()), as.matrix)
  )
  cat(jsonlite::toJSON(coefficients, digits = NA, auto_unbox = TRUE))
}
