# An artefact is a trained model with all that is published about it. It is a file `model.rds`
# beside the service's train.R, made anew by train.sh, and not committed.

#' Writes the artefact of the service in the working directory.
#'
#' The version is `version` and a hash of all that shapes an answer: data, hyper-parameters, train.R
#' and the functions in R/. So what answers alike has the same version everywhere.
#'
#' @param data The training data: the columns in `outcome`, and the model's inputs.
#' @param hyper_parameters,metrics Named lists of scalars.
#' @param packages What has to be loaded to predict.
#' @return The artefact, invisibly.
write_artefact <- function(name, version, description, model, data, outcome,
                           hyper_parameters = list(), metrics = list(), packages = character()) {
  inputs <- data[setdiff(names(data), outcome)]
  check_types(inputs)
  data_hash <- hash_data(data)
  artefact <- list(
    name = name,
    version = artefact_version(version, data_hash, hyper_parameters, read_scripts()),
    description = description,
    model = model,
    prototype = inputs[1, , drop = FALSE],
    hyper_parameters = hyper_parameters,
    training_data = list(rows = nrow(data), hash = data_hash),
    metrics = metrics,
    packages = packages
  )
  # Renamed into place, so that a service which starts meanwhile reads the old one or the new one.
  unfinished <- tempfile("model-", tmpdir = ".", fileext = ".rds")
  on.exit(unlink(unfinished))
  saveRDS(artefact, unfinished)
  if (!file.rename(unfinished, "model.rds")) stop("cannot write model.rds")
  invisible(artefact)
}

#' Reads the artefact of the service in `folder`, with its packages loaded.
read_artefact <- function(folder = ".") {
  path <- file.path(folder, "model.rds")
  if (!file.exists(path)) {
    name <- basename(normalizePath(folder))
    stop("no model.rds: run `plumber-services/train.sh ", name, "` first")
  }
  artefact <- readRDS(path)
  lapply(artefact$packages, loadNamespace)
  artefact
}

# What JSON brings can be held against these types, and no others.
check_types <- function(inputs) {
  types <- c("numeric", "integer", "logical", "character", "factor", "ordered", "Date")
  other <- Filter(function(column) !class(column)[[1]] %in% types, inputs)
  if (length(other) > 0) {
    type <- class(other[[1]])[[1]]
    stop("the input `", names(other)[[1]], "` is a ", type, "; it must be one of ", toString(types))
  }
}

#' The published version: what the author calls it, and eight digits of what it was made from.
artefact_version <- function(version, data_hash, hyper_parameters, scripts) {
  settings <- paste(names(hyper_parameters), vapply(hyper_parameters, format, ""))
  made_from <- c(data_hash, settings, scripts)
  hash <- digest::digest(paste(made_from, collapse = "\n"), "sha256", serialize = FALSE)
  paste0(version, "-", substr(hash, 1, 8))
}

#' SHA-256 of the data as CSV: any reader can compute it, with R or without.
hash_data <- function(data) {
  csv <- utils::capture.output(utils::write.csv(data, row.names = FALSE))
  paste0("sha256:", digest::digest(paste0(csv, "\n", collapse = ""), "sha256", serialize = FALSE))
}

read_scripts <- function() {
  paths <- Filter(file.exists, c("train.R", sort(Sys.glob("R/*.R"), method = "radix")))
  unlist(lapply(paths, readLines, encoding = "UTF-8"))
}
