# The process whose forks compute.

#' Runs an Rserve on what the entry defines. It never returns: it ends with its process.
#'
#' It says that it listens before the entry is read, since nothing of ours is left then that the
#' entry could replace: the functions of callers are in the same place. The gateway asks until
#' Rserve greets. Connections work in folders of their own, which end with them, and with serve.sh
#' where they were killed: Rserve's usual place is open to all users.
serve_functions <- function(settings) {
  use_own_library()
  require_package("Rserve", settings$entry)
  port <- choose_port(settings$host, settings$port, is_free_port)
  is_remote <- !identical(settings$host, "127.0.0.1")
  announce(settings, port)
  rm(list = ls(globalenv(), all.names = TRUE), envir = globalenv())
  source(settings$entry, local = globalenv(), encoding = "UTF-8")
  Rserve::run.Rserve(port = port, remote = if (is_remote) "enable" else "disable",
                     encoding = "utf8", config.file = character(), workdir.clean = "enable",
                     workdir = file.path(Sys.getenv("PENSTOCK_RUN_DIR"), "connections"))
}

#' Without httpuv: its thread is not in the forks, and their end would wait for it for ever.
is_free_port <- function(host, port) {
  tryCatch({
    close(serverSocket(port))
    TRUE
  }, error = function(err) FALSE, warning = function(condition) FALSE)
}
