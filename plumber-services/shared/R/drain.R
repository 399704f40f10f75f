# How an R ends: neither SIGTERM nor SIGINT leaves the answer in hand whole.

#' Waits until R has answered what it was asked, then tells it to quit, and waits until it did.
#'
#' A /ping takes its place behind all that R has accepted. What is not done within
#' `drain_timeout_s` is given up, and serve.sh kills.
drain <- function(settings) {
  listening <- file.path(settings$run_dir, "listening")
  if (!file.exists(listening)) return(invisible(FALSE))
  port <- as.integer(readLines(listening))
  deadline <- now_s() + settings$drain_timeout_s

  drained <- await_ping(loopback_of(settings$host), port, deadline)
  if (drained) {
    # An asynchronous application answers the ping before its other work.
    patience <- if (settings$concurrency > 1) deadline else min(deadline, now_s() + 2)
    await(function() open_connections(port) == 0, patience)
    await(function() unsent_bytes(port) == 0, deadline)
  }
  log_line(if (drained) "info" else "warn", if (drained) "drained" else "drain-timeout",
           service = settings$service, port = port)
  file.create(file.path(settings$run_dir, "quit"))
  await(function() !file.exists(listening), now_s() + 2)
  invisible(drained)
}

#' Whether `/ping` was answered, however, before the deadline.
await_ping <- function(host, port, deadline) {
  left_s <- max(1, ceiling(deadline - now_s()))
  tryCatch({
    connection <- socketConnection(host, port, open = "r+b", blocking = TRUE, timeout = left_s)
    on.exit(close(connection))
    writeLines(paste0("GET /ping HTTP/1.1\r\nHost: ", host, "\r\nConnection: close\r\n\r"),
               connection)
    length(readLines(connection, n = 1, warn = FALSE)) == 1
  }, error = function(err) FALSE, warning = function(condition) FALSE)
}

loopback_of <- function(host) {
  switch(host, "0.0.0.0" = "127.0.0.1", "::" = "::1", host)
}

open_connections <- function(port) nrow(connections_of(port))

unsent_bytes <- function(port) sum(connections_of(port)$unsent_bytes)

#' The established connections of a local port, where the system tells (Linux); else none.
connections_of <- function(port) {
  lines <- unlist(lapply(Filter(file.exists, c("/proc/net/tcp", "/proc/net/tcp6")), readLines))
  parse_connections(lines, port)
}

parse_connections <- function(lines, port) {
  fields <- strsplit(trimws(lines), "[ ]+")
  is_ours <- vapply(fields, function(field) {
    length(field) > 4 && grepl(sprintf(":%04X$", port), field[[2]]) && field[[4]] == "01"
  }, logical(1))
  unsent <- vapply(fields[is_ours], function(field) sub(":.*", "", field[[5]]), "")
  data.frame(unsent_bytes = strtoi(unsent, 16))
}

await <- function(holds, deadline) {
  while (!holds()) {
    if (now_s() >= deadline) return(FALSE)
    Sys.sleep(0.05)
  }
  TRUE
}

now_s <- function() as.numeric(Sys.time())
