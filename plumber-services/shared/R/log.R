# Log lines: one JSON object each, on standard output.

#' Writes one line. serve.sh passes lines that begin with its mark as they are, and quotes all
#' else that R prints: so no caller's input can pass for a line of ours.
log_line <- function(level, event, ...) {
  cat(getOption("penstock.log_mark", ""), format_log_line(level, event, ...), "\n", sep = "")
}

format_log_line <- function(level, event, ...) {
  time <- format(Sys.time(), "%Y-%m-%dT%H:%M:%OS3Z", tz = "UTC")
  fields <- list(time = time, level = level, event = event, ...)
  fields <- lapply(fields, function(value) if (is.character(value)) enc2utf8(value) else value)
  as.character(jsonlite::toJSON(fields, auto_unbox = TRUE, null = "null", digits = NA))
}
