# How a caller's mistake is answered: in the shape of the gateway's own refusals (RFC 9457), with
# the reason. What R itself gets wrong is answered without one, in model-api.R.

mistakes <- list(
  BAD_REQUEST = list(status = 400L, title = "Bad request"),
  INVALID_INPUT = list(status = 422L, title = "Invalid input")
)

# A caller's text is echoed, and their places are listed, up to here.
echo_chars_max <- 100
places_max <- 20

#' Refuses the input of a call: the caller is answered 422 with `detail`. A service's own function
#' may call it for what the prototype cannot say.
#'
#' @param places A data frame with a row a place that is wrong: `pointer` (RFC 6901), and `detail`,
#'   which may quote the caller.
#' @param logged What the log says. It quotes no caller.
refuse_input <- function(detail, places = place("", detail), logged = detail) {
  stop(caller_mistake("INVALID_INPUT", detail, places, logged))
}

#' Refuses a body that cannot be read: 400.
refuse_body <- function(detail) stop(caller_mistake("BAD_REQUEST", detail))

caller_mistake <- function(code, detail, places = NULL, logged = detail) {
  structure(
    class = c("caller_mistake", "error", "condition"),
    list(message = logged, call = NULL, code = code, detail = detail, places = places)
  )
}

place <- function(pointer, detail) data.frame(pointer, detail, stringsAsFactors = FALSE)

#' The answer to a caller's mistake. `err` is what `refuse_input` or `refuse_body` has raised.
answer_mistake <- function(req, res, err) {
  kind <- mistakes[[err$code]]
  log_line("info", "caller-mistake", path = req$PATH_INFO, code = err$code,
           message = conditionMessage(err))
  res$status <- kind$status
  res$serializer <- plumber::serializer_unboxed_json(null = "null",
                                                     type = "application/problem+json")
  res$setHeader("Cache-Control", "no-store")
  problem <- list(
    type = paste0("urn:penstock:error:", err$code),
    title = kind$title,
    status = kind$status,
    detail = err$detail,
    code = err$code,
    requestId = request_id(req),
    message = err$detail # what vetiver's client shows
  )
  if (is.null(err$places)) return(problem)
  c(problem, list(errors = utils::head(err$places, places_max)))
}

#' The id that the gateway gave the request; NULL where it sent none, as to what callers share.
request_id <- function(req) {
  id <- req$HTTP_X_REQUEST_ID
  if (is.null(id) || !grepl("^[A-Za-z0-9._:+/=@-]{1,128}$", id)) NULL else id
}

#' A caller's value as JSON spells it, shortened.
quote_value <- function(value) {
  if (is.character(value) && nchar(value) > echo_chars_max) {
    value <- paste0(substr(value, 1, echo_chars_max), "\u2026")
  }
  as.character(jsonlite::toJSON(value, auto_unbox = TRUE, digits = NA, na = "string"))
}

#' A JSON pointer to a column of one record; rows count from 1 here, and from 0 there.
pointer_to <- function(row, column) {
  escaped <- gsub("/", "~1", gsub("~", "~0", column, fixed = TRUE), fixed = TRUE)
  paste0("/", row - 1, "/", escaped)
}
