# Fuel consumption of cars: a linear model of mtcars.
source("../shared/load.R")

seed <- 20
cars <- mtcars[c("mpg", "wt", "hp")]

set.seed(seed)
model <- lm(mpg ~ wt + hp, data = cars)

write_artefact(
  name = "fuel",
  version = "1.0.0",
  description = "Miles per gallon of a car, from its weight and power (a linear model)",
  model = model,
  data = cars,
  outcome = "mpg",
  hyper_parameters = list(formula = "mpg ~ wt + hp", seed = seed),
  metrics = list(rmse = sqrt(mean(residuals(model)^2)), r_squared = summary(model)$r.squared)
)
