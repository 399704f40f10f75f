# The process that keeps a service known to Consul, while R computes.

#' Registers the service once it listens, and again whenever Consul does not know it, until
#' serve.sh says `stop`; then deregisters it, and waits until the gateways have heard.
register <- function(settings) {
  should_stop <- function() is_told_to_stop(settings$run_dir)
  listening <- file.path(settings$run_dir, "listening")
  await(function() file.exists(listening) || should_stop(), Inf)
  if (should_stop()) return(invisible())

  port <- as.integer(readLines(listening))
  metadata <- NULL
  # An R that computes answers later; what it is has to be known before it is registered.
  await(function() {
    metadata <<- read_metadata(settings, port, timeout_s = 2)
    !is.null(metadata) || should_stop()
  }, Inf)
  instance <- describe_instance(settings, port, metadata)
  instance$has_ping <- has_ping(settings, port)
  ask <- consul_agent(settings$consul)
  keep_registered(settings, instance, ask, should_stop)
  leave(settings, instance, ask)
}

is_told_to_stop <- function(run_dir) {
  # Its directory is gone, and serve.sh with it.
  !dir.exists(run_dir) || file.exists(file.path(run_dir, "stop"))
}

#' Asks Consul every few seconds whether it knows the instance, at first and where Consul is away
#' more often than later: after 1, 2, 4 and at most 8 seconds.
keep_registered <- function(settings, instance, ask, should_stop) {
  known <- NA
  failures <- 0
  while (!should_stop()) {
    status <- ask("GET", paste0("/v1/agent/service/", instance$id))
    if (status == 404) status <- enrol(settings, instance, ask)
    is_known <- status == 200
    report(settings, instance, is_known, known, status)
    known <- is_known
    failures <- if (is_known) 0 else failures + 1
    pause_s <- if (is_known) settings$registration$poll_s else min(8, 2^(failures - 1))
    # Services that lost Consul together shall not all come back in one moment.
    await(should_stop, now_s() + pause_s * stats::runif(1, 0.8, 1.2))
  }
}

enrol <- function(settings, instance, ask) {
  # Passing where R answers now, so that callers need not wait for the first check. An R that
  # computes for long was dropped for that, and stays critical until it has finished.
  answers <- await_ping(instance$check_host, instance$port, now_s() + 1)
  body <- registration(settings, instance, if (answers) "passing" else "critical")
  status <- ask("PUT", "/v1/agent/service/register?replace-existing-checks=true", body)
  if (status == 200) {
    log_line("info", "registered", service = settings$service, id = instance$id,
             version = instance$version, status = if (answers) "passing" else "critical")
  }
  status
}

#' A line when Consul refuses or is away, and one when it is back; not one for each attempt.
report <- function(settings, instance, is_known, was_known, status) {
  if (is_known || identical(was_known, FALSE)) return(invisible())
  reason <- if (status == 0) "no answer" else paste("status", status)
  log_line("warn", "registration-failed", service = settings$service, id = instance$id,
           consul = settings$consul$address, reason = reason)
}

leave <- function(settings, instance, ask) {
  status <- ask("PUT", paste0("/v1/agent/service/deregister/", instance$id))
  left <- status == 200
  log_line(if (left) "info" else "warn", if (left) "deregistered" else "deregistration-failed",
           service = settings$service, id = instance$id, status = status)
  # Where R is gone there is nothing to keep for the gateways that have not heard yet.
  if (left && !file.exists(file.path(settings$run_dir, "gone"))) {
    Sys.sleep(settings$registration$settle_s)
  }
}

#' Where the instance is reached, and what it says of itself.
describe_instance <- function(settings, port, metadata) {
  where <- advertised(settings, port)
  id <- settings$registration$id
  if (!nzchar(id)) id <- paste(settings$service, Sys.info()[["nodename"]], where$port, sep = "-")
  list(
    id = gsub("[^A-Za-z0-9._-]", "-", id),
    address = where$host,
    port = where$port,
    check_host = where$host,
    version = text_or(metadata$version, ""),
    model = text_or(metadata$name, settings$service)
  )
}

#' The address others use: PENSTOCK_ADVERTISE; else the one R is bound to; and where that is all
#' of them, the one this machine's name stands for.
advertised <- function(settings, port) {
  advertise <- settings$registration$advertise
  if (nzchar(advertise)) {
    pattern <- "^\\[?([^]]*?)\\]?(?::([0-9]+))?$"
    parts <- regmatches(advertise, regexec(pattern, advertise, perl = TRUE))[[1]]
    if (nzchar(parts[[3]])) port <- as.integer(parts[[3]])
    return(list(host = parts[[2]], port = port))
  }
  if (!settings$host %in% c("0.0.0.0", "::")) return(list(host = settings$host, port = port))
  name <- Sys.info()[["nodename"]]
  addresses <- curl::nslookup(name, multiple = TRUE, error = FALSE)
  outside <- grep("^(127\\.|::1$|fe80:)", addresses, value = TRUE, invert = TRUE)
  list(host = if (length(outside) > 0) outside[[1]] else name, port = port)
}

#' What GET /metadata says, as vetiver has it: empty where the application has no such path, NULL
#' where R did not answer in time.
read_metadata <- function(settings, port, timeout_s) {
  reply <- ask_service(settings, port, "/metadata", timeout_s)
  if (is.null(reply)) return(NULL)
  if (reply$status_code == 200) parse_metadata(rawToChar(reply$content)) else list()
}

#' Whether the application has a GET /ping. Consul takes 404 for an instance that is ill.
has_ping <- function(settings, port, timeout_s = 5) {
  reply <- ask_service(settings, port, "/ping", timeout_s)
  is.null(reply) || reply$status_code != 404
}

ask_service <- function(settings, port, path, timeout_s) {
  handle <- curl::new_handle(noproxy = "*", timeout = timeout_s)
  if (nzchar(settings$shared_secret)) {
    curl::handle_setheaders(handle, "PLUMBER_SHARED_SECRET" = settings$shared_secret)
  }
  url <- sprintf("http://%s:%d%s", bracket(loopback_of(settings$host)), port, path)
  tryCatch(curl::curl_fetch_memory(url, handle), error = function(err) NULL)
}

parse_metadata <- function(text) {
  metadata <- tryCatch(jsonlite::fromJSON(text), error = function(err) list())
  if (is.list(metadata)) metadata else list()
}

text_or <- function(value, default) {
  if (is.character(value) && length(value) == 1 && !is.na(value)) value else default
}
