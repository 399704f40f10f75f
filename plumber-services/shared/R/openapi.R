#' Plumber's description of the API, with what vetiver's adds: the version, and what /predict takes.
#'
#' Plumber knows nothing of the body, since the handler reads it from the request.
describe_api <- function(spec, artefact) {
  spec$info$title <- paste(artefact$name, "model API")
  spec$info$description <- artefact$description
  spec$info$version <- artefact$version
  spec$paths$`/ping`$get$summary <- "Health check"
  spec$paths$`/metadata`$get$summary <- "Get all metadata of the model"
  spec$paths$`/prototype`$get$summary <- "Get input data prototype of the model"
  inputs <- ncol(artefact$prototype)
  spec$paths$`/predict`$post <- list(
    summary = sprintf("Return predictions from model using %d feature%s", inputs,
                      if (inputs == 1) "" else "s"),
    requestBody = list(content = list(
      `application/json` = list(schema = body_schema(artefact$prototype))
    )),
    responses = c(spec$paths$`/predict`$post$responses, mistake_responses())
  )
  spec
}

mistake_responses <- function() {
  statuses <- vapply(mistakes, function(mistake) as.character(mistake$status), "")
  responses <- lapply(mistakes, function(mistake) {
    problem <- list(schema = list(type = "object"))
    list(description = mistake$title, content = list(`application/problem+json` = problem))
  })
  stats::setNames(responses, statuses)
}

body_schema <- function(prototype) {
  list(
    type = "array",
    minItems = 1,
    items = list(type = "object", properties = lapply(prototype, property_schema)),
    example = lapply(seq_len(nrow(prototype)), function(i) example_record(prototype[i, , FALSE]))
  )
}

property_schema <- function(column) {
  type <- switch(class(column)[[1]],
    numeric = "number", integer = "integer", logical = "boolean", "string"
  )
  list(type = type)
}

example_record <- function(row) {
  lapply(row, function(value) if (is.factor(value)) as.character(value) else value)
}
