# The model `fuel`, which counts how many predictions it was asked for: GET /asked.

here <- setwd("../../../plumber-services/fuel")
source("../shared/load.R", local = TRUE)
artefact <- read_artefact()
setwd(here)

asked <- 0

#* @plumber
function(pr) {
  pr <- model_api(pr, artefact, predict_fuel)
  pr <- plumber::pr_hook(pr, "preroute", function(data, req, res) {
    if (identical(req$PATH_INFO, "/predict")) asked <<- asked + 1
  })
  plumber::pr_get(pr, "/asked", function() list(asked = asked),
                  serializer = plumber::serializer_unboxed_json())
}
