# What serve.sh is told by its environment and options, checked once.

#' The settings in the variables `env`, or an error that names the variable.
read_settings <- function(env) {
  text <- function(name, default = "") {
    if (name %in% names(env) && nzchar(env[[name]])) env[[name]] else default
  }
  number <- function(name, default, min = 0) to_number(text(name, default), name, min)
  list(
    run_dir = text("PENSTOCK_RUN_DIR"),
    log_mark = text("PENSTOCK_LOG_MARK"),
    host = text("PENSTOCK_HOST", "127.0.0.1"),
    port = number("PENSTOCK_PORT", "0"),
    service = text("PENSTOCK_SERVICE_NAME"),
    entry = text("PENSTOCK_ENTRY", "plumber.R"),
    shared_secret = text("PLUMBER_SHARED_SECRET", text("PLUMBER_SHAREDSECRET")),
    drain_timeout_s = number("PENSTOCK_DRAIN_TIMEOUT_S", "30"),
    concurrency = number("PENSTOCK_CONCURRENCY", "1", min = 1),
    registration = list(
      id = text("PENSTOCK_SERVICE_ID"),
      tags = split_list(text("PENSTOCK_TAGS")),
      advertise = text("PENSTOCK_ADVERTISE"),
      weight = number("PENSTOCK_WEIGHT", "1", min = 1),
      check_interval_s = number("PENSTOCK_CHECK_INTERVAL_S", "5", min = 1),
      check_timeout_s = number("PENSTOCK_CHECK_TIMEOUT_S", "4", min = 1),
      # Consul itself takes no less than a minute.
      deregister_after_s = number("PENSTOCK_DEREGISTER_AFTER_S", "60", min = 60),
      settle_s = number("PENSTOCK_SETTLE_S", "1"),
      poll_s = number("PENSTOCK_CONSUL_POLL_S", "3", min = 1)
    ),
    consul = list(
      address = text("CONSUL_HTTP_ADDR"),
      token = text("CONSUL_HTTP_TOKEN"),
      ca_file = text("CONSUL_CACERT")
    )
  )
}

to_number <- function(text, name, min) {
  number <- suppressWarnings(as.numeric(text))
  if (is.na(number) || number < min) stop(name, " must be a number of at least ", min)
  number
}

split_list <- function(text) {
  items <- trimws(strsplit(text, ",", fixed = TRUE)[[1]])
  items[nzchar(items)]
}
