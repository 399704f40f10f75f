# What every model service answers, by vetiver's convention.

#' Gives the router the paths of a model: /predict, /ping, /metadata and /prototype.
#'
#' @param predict A function of the model and a data frame with the columns and types of the
#'   prototype. It returns vetiver's shapes: `list(.pred = )` for a column of predictions, a data
#'   frame with columns `.pred_…` for records.
#' @param rows_max How many rows one call may bring.
#' @return The router.
model_api <- function(pr, artefact, predict, rows_max = 10000) {
  respond <- function(new_data) {
    without_row_names(predict(artefact$model, conform(new_data, artefact$prototype, rows_max)))
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
  # No parser of Plumber's: it chooses by what the caller says the body is, and fails with a 500.
  plumber::pr_post(pr, "/predict", function(req) respond(read_json(req$bodyRaw)),
                   parsers = no_parsers())
  plumber::pr_set_api_spec(pr, function(spec) describe_api(spec, artefact))
}

# An empty list with names is none; "none" is all of them.
no_parsers <- function() stats::setNames(list(), character())

#' The body as JSON, whatever the caller says it is: R's curl, and the command curl with `-d`, call
#' JSON a form, and httr calls it nothing.
read_json <- function(bytes) {
  if (length(bytes) == 0) refuse_body("the body is empty; it must be a JSON array of records")
  text <- tryCatch(rawToChar(bytes), error = function(err) NA_character_)
  if (is.na(text) || !validUTF8(text)) refuse_body("the body is not text in UTF-8")
  Encoding(text) <- "UTF-8"
  tryCatch(jsonlite::parse_json(text, simplifyVector = TRUE), error = function(err) {
    # The lines beneath the first quote the caller.
    reason <- sub("[.]?\n.*", "", conditionMessage(err))
    is_parsers <- grepl("^(parse|lexical) error: ", reason)
    refuse_body(paste("the body is not JSON:", if (is_parsers) reason else "nested too deeply"))
  })
}

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

#' The answer to a caller's mistake; else Plumber's own answer to an error, which is logged as one
#' line instead of several.
answer_error <- function(req, res, err) {
  if (inherits(err, "caller_mistake")) return(answer_mistake(req, res, err))
  log_line("error", "r-error", path = req$PATH_INFO, message = conditionMessage(err))
  res$serializer <- plumber::serializer_unboxed_json()
  if (res$status != 200L) return(list(error = "Internal error"))
  res$status <- 500L
  list(error = "500 - Internal server error")
}
