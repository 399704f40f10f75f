# The species of iris flowers: linear discriminant analysis of iris.
source("../shared/load.R")

seed <- 4

set.seed(seed)
model <- MASS::lda(Species ~ ., data = iris)
left_out <- MASS::lda(Species ~ ., data = iris, CV = TRUE)

write_artefact(
  name = "iris",
  version = "1.0.0",
  description = "Species of an iris, from its measures in cm (linear discriminant analysis)",
  model = model,
  data = iris,
  outcome = "Species",
  hyper_parameters = list(formula = "Species ~ .", prior = "observed", seed = seed),
  metrics = list(accuracy_leave_one_out = mean(left_out$class == iris$Species)),
  packages = "MASS"
)
