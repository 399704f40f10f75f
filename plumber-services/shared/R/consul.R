# Consul's agent, as far as a service needs it.

#' A function that asks the agent: `ask(method, path, body)` returns the status, 0 where no
#' agent answered.
consul_agent <- function(consul, timeout_s = 5) {
  address <- sub("/+$", "", consul$address)
  if (!grepl("^https?://", address)) address <- paste0("http://", address)
  function(method, path, body = NULL) {
    handle <- consul_handle(consul, timeout_s)
    curl::handle_setopt(handle, customrequest = method)
    if (method == "PUT") {
      text <- if (is.null(body)) "" else as.character(body)
      curl::handle_setopt(handle, post = TRUE, postfields = text)
    }
    tryCatch(
      curl::curl_fetch_memory(paste0(address, path), handle)$status_code,
      error = function(err) 0L
    )
  }
}

consul_handle <- function(consul, timeout_s) {
  # The agent is this machine's: no proxy stands between.
  handle <- curl::new_handle(timeout_ms = timeout_s * 1000, connecttimeout = 2, noproxy = "*")
  if (nzchar(consul$ca_file)) curl::handle_setopt(handle, cainfo = consul$ca_file)
  headers <- c("Content-Type" = "application/json")
  if (nzchar(consul$token)) headers[["X-Consul-Token"]] <- consul$token
  curl::handle_setheaders(handle, .list = as.list(headers))
}

#' What is registered: a service with a check on /ping, or, where it has none, by connecting.
#'
#' @param instance A list of `port`, `address`, `check_host`, `version`, `model` and `has_ping`.
#' @param status What the check says until it has run.
registration <- function(settings, instance, status) {
  options <- settings$registration
  jsonlite::toJSON(auto_unbox = TRUE, list(
    ID = instance$id,
    Name = settings$service,
    Address = instance$address,
    Port = instance$port,
    Tags = I(c("plumber", options$tags)),
    Meta = Filter(nzchar, list(
      version = instance$version,
      model = instance$model,
      concurrency = format(settings$concurrency)
    )),
    Weights = list(Passing = options$weight, Warning = 1),
    Check = c(how_to_check(instance), list(
      CheckID = paste0("ping:", instance$id),
      Interval = paste0(options$check_interval_s, "s"),
      Timeout = paste0(options$check_timeout_s, "s"),
      Status = status,
      DeregisterCriticalServiceAfter = paste0(options$deregister_after_s, "s")
    ))
  ))
}

how_to_check <- function(instance) {
  where <- sprintf("%s:%d", bracket(instance$check_host), instance$port)
  if (!instance$has_ping) return(list(Name = paste("connect to", where), TCP = where))
  list(Name = "GET /ping", HTTP = paste0("http://", where, "/ping"))
}

bracket <- function(host) {
  if (grepl(":", host, fixed = TRUE)) paste0("[", host, "]") else host
}
