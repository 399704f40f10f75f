source("../shared/load.R", local = TRUE)

#* @plumber
function(pr) {
  model_api(pr, read_artefact(), predict_iris)
}
