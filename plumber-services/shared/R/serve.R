# The process that computes.

# Where free ports are looked for: below those that systems give to outgoing connections, and
# within what Plumber 1.3 and later accept.
free_ports <- 20000:32767

#' Runs the application of the working directory until serve.sh says `quit`.
#'
#' Says that it listens once it does, in the log and in the file `listening`. Leaves with status
#' 98 when its port was taken meanwhile, so that serve.sh may try another.
serve <- function(settings) {
  use_own_library()
  app <- load_app(settings$entry)
  app$require_secret(settings$shared_secret)
  port <- choose_port(settings$host, settings$port)
  on_listening(function() {
    announce(settings, port)
    watch_for_quit(settings$run_dir, app$stop)
  })

  run_app(app, settings$host, port)
  unlink(file.path(settings$run_dir, "listening"))
}

run_app <- function(app, host, port) {
  listening <- FALSE
  on_listening(function() listening <<- TRUE)
  tryCatch(
    app$run(host, port),
    error = function(err) {
      if (listening || is_free(host, port)) stop(err)
      log_line("error", "port-taken", port = port, message = conditionMessage(err))
      quit(save = "no", status = 98)
    }
  )
}

#' Plumber's own shared secret, but for the health check: that proves life and nothing else, and
#' Consul would show the secret to everyone if it had to send it.
require_secret <- function(pr, secret) {
  if (!nzchar(secret)) return(invisible(pr))
  options(plumber.sharedSecret = secret)
  plumber::pr_hook(pr, "preroute", function(data, req, res) {
    if (identical(req$PATH_INFO, "/ping")) req$HTTP_PLUMBER_SHARED_SECRET <- secret
  })
}

choose_port <- function(host, port, is_free_at = is_free) {
  if (port != 0) return(port)
  for (candidate in sample(free_ports, 50)) {
    if (is_free_at(host, candidate)) return(candidate)
  }
  stop("no free port among 50 between ", min(free_ports), " and ", max(free_ports))
}

is_free <- function(host, port) {
  tryCatch({
    httpuv::stopServer(httpuv::startServer(host, port, list(), quiet = TRUE))
    TRUE
  }, error = function(err) FALSE)
}

# The event loop runs only after the port was bound.
on_listening <- function(action) later::later(action, 0)

announce <- function(settings, port) {
  unfinished <- file.path(settings$run_dir, "listening.part")
  writeLines(as.character(port), unfinished)
  file.rename(unfinished, file.path(settings$run_dir, "listening"))
  log_line("info", "listening", service = settings$service, host = settings$host, port = port,
           pid = Sys.getpid())
}

watch_for_quit <- function(run_dir, stop_app) {
  force(stop_app) # else each look keeps the one before, and the last one evaluates them all
  if (file.exists(file.path(run_dir, "quit"))) return(stop_app())
  later::later(function() watch_for_quit(run_dir, stop_app), 0.2)
}
