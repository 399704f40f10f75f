# What every model service answers, by vetiver's convention.

#' Gives the router the paths of a model: /predict, /ping, /metadata and /prototype.
#'
#' @param predict A function of the model and a data frame with the columns and types of the
#'   prototype. It returns vetiver's shapes: `list(.pred = )` for a column of predictions, a data
#'   frame with columns `.pred_…` for records.
#' @return The router.
model_api <- function(pr, artefact, predict) {
  respond <- function(new_data) {
    without_row_names(predict(artefact$model, conform(new_data, artefact$prototype)))
  }
  # A model that cannot predict shall not start; and the caller who comes first does not wait
  # for the compiler.
  respond(artefact$prototype)

  plumber::pr_set_debug(pr, debug = FALSE)
  plumber::pr_set_serializer(pr, model_serializer())
  plumber::pr_set_error(pr, answer_error)
  plumber::pr_get(pr, "/ping", function() list(status = "online", time = Sys.time()))
  plumber::pr_get(pr, "/metadata", function() metadata_of(artefact))
  plumber::pr_get(pr, "/prototype", function() encode_prototype(artefact$prototype))
  plumber::pr_post(pr, "/predict", function(req) respond(records_of(req)))
  plumber::pr_set_api_spec(pr, function(spec) describe_api(spec, artefact))
}

#' The body as Plumber has parsed it.
#'
#' What R's curl posts, and the command curl with `-d`, says that it is a form, and is JSON all the
#' same.
records_of <- function(req) {
  if (!grepl("^application/x-www-form-urlencoded", req$CONTENT_TYPE %||% "")) return(req$body)
  jsonlite::parse_json(req$postBody, simplifyVector = TRUE)
}

`%||%` <- function(value, default) if (is.null(value)) default else value

# jsonlite would make a field `_row` of them.
without_row_names <- function(predictions) {
  if (is.data.frame(predictions)) rownames(predictions) <- NULL
  predictions
}

#' JSON as vetiver writes it, scalars unboxed, but with all digits R has.
#'
#' jsonlite's default of four decimals makes a probability of 0.00001 a zero.
model_serializer <- function() {
  plumber::serializer_unboxed_json(null = "null", digits = NA)
}

#' What is known of the artefact: vetiver's four fields, and how it came about.
metadata_of <- function(artefact) {
  list(
    user = list(),
    version = artefact$version,
    url = NULL,
    required_pkgs = I(artefact$packages),
    name = artefact$name,
    description = artefact$description,
    hyper_parameters = artefact$hyper_parameters,
    training_data = artefact$training_data,
    metrics = artefact$metrics
  )
}

#' Plumber's own answer to an error, which is logged as one line instead of several.
answer_error <- function(req, res, err) {
  log_line("error", "r-error", path = req$PATH_INFO, message = conditionMessage(err))
  res$serializer <- plumber::serializer_unboxed_json()
  if (res$status != 200L) return(list(error = "Internal error"))
  res$status <- 500L
  list(error = "500 - Internal server error")
}
