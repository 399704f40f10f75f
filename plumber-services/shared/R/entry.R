# What a service begins with, as its author wrote it: a file with Plumber's annotations, one that
# makes a router in code, or a `_server.yml`.

#' The library of the folder itself, where renv keeps one. R has taken it up already where the
#' folder's `.Rprofile` says so, as renv writes it.
use_own_library <- function() {
  is_in_use <- nzchar(Sys.getenv("RENV_PROJECT"))
  if (!is_in_use && file.exists("renv/activate.R")) source("renv/activate.R")
}

#' The application: `run(host, port)`, which returns when it has ended, `stop()`, and
#' `require_secret(secret)`.
load_app <- function(entry) {
  if (identical(entry, "_server.yml")) return(engine_app(entry))
  require_package("plumber", entry)
  pr <- load_router(entry)
  list(
    run = function(host, port) plumber::pr_run(pr, host = host, port = port, quiet = TRUE),
    stop = httpuv::interrupt,
    require_secret = function(secret) require_secret(pr, secret)
  )
}

require_package <- function(name, entry) {
  if (requireNamespace(name, quietly = TRUE)) return(invisible(TRUE))
  stop(entry, " needs the package ", name, ", which is in none of: ",
       paste(.libPaths(), collapse = ", "), call. = FALSE)
}

load_router <- function(entry) {
  is_annotated <- !grepl("^entrypoint\\.r$", entry, ignore.case = TRUE) && has_annotations(entry)
  if (is_annotated) plumber::plumb(entry) else source_router(entry)
}

has_annotations <- function(entry) {
  lines <- readLines(entry, warn = FALSE, encoding = "UTF-8")
  tags <- "get|post|put|delete|head|options|patch|use|filter|assets|plumber"
  any(grepl(paste0("^\\s*#['*]\\s*@(", tags, ")\\b"), lines, useBytes = TRUE))
}

#' The router that a file makes in code: what its last line is.
source_router <- function(entry) {
  refuse_own_server(entry)
  pr <- source(entry, local = new.env(parent = globalenv()), encoding = "UTF-8")$value
  loading$entry <- NULL
  if (inherits(pr, "Plumber")) return(pr)
  stop(entry, " has no annotation such as #* @post /predict, and its last line is no router",
       call. = FALSE)
}

#' What `source_router` takes in, until it has.
loading <- new.env()

#' A file that listens itself would never return. It would be heard where it chose to be, and not
#' where the gateway looks.
refuse_own_server <- function(entry) {
  loading$entry <- entry
  on_listening(function() {
    if (is.null(loading$entry) || length(httpuv::listServers()) == 0) return()
    message("Error: ", entry, " starts a server of its own. ",
            "Let its last line be the router, without run(): the port is the gateway's to choose.")
    quit(save = "no", status = 1)
  })
}

#' An application whose `_server.yml` names its engine, a package, such as plumber2. The engine's
#' `launch_server` does the rest: the standard is plumber2's vignette "server_yml".
engine_app <- function(entry) {
  engine <- engine_of(readLines(entry, warn = FALSE))
  require_package(engine, entry)
  launch <- get0("launch_server", asNamespace(engine), mode = "function", inherits = FALSE)
  if (is.null(launch)) {
    stop(engine, ", the engine in ", entry, ", has no function launch_server()", call. = FALSE)
  }
  list(
    run = function(host, port) launch(settings = entry, host = host, port = port),
    stop = function() quit(save = "no"),
    require_secret = function(secret) {
      if (nzchar(secret)) stop("a shared secret is Plumber 1's; ", engine, " would not ask for it")
    }
  )
}

engine_of <- function(lines) {
  pattern <- "^engine:[ \t]*[\"']?([A-Za-z][A-Za-z0-9.]+)[\"']?[ \t]*(#.*)?$"
  found <- grep(pattern, lines, value = TRUE)
  if (length(found) == 0) stop("_server.yml names no engine: plumber2, or another", call. = FALSE)
  sub(pattern, "\\1", found[[1]])
}
