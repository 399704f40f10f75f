# Ozone in New York: a random forest of airquality. Its many trees smooth the answers, and make
# each take tens of milliseconds.
source("../shared/load.R")

seed <- 73
trees <- 12000
days <- measured_days(airquality)

set.seed(seed)
model <- randomForest::randomForest(Ozone ~ ., data = days, ntree = trees)

write_artefact(
  name = "ozone",
  version = "1.0.0",
  description = "Ozone in New York (ppb), from sun, wind, warmth and month (random forest)",
  model = model,
  data = days,
  outcome = "Ozone",
  hyper_parameters = list(formula = "Ozone ~ .", trees = trees, mtry = model$mtry, seed = seed),
  metrics = list(
    rmse_out_of_bag = sqrt(model$mse[[trees]]),
    r_squared_out_of_bag = model$rsq[[trees]]
  ),
  packages = "randomForest"
)
