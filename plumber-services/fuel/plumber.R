source("../shared/load.R", local = TRUE)

#* @apiTitle fuel
#* @plumber
function(pr) {
  model_api(pr, read_artefact(), predict_fuel)
}
