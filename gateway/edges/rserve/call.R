# What the gateway defines in each R that Rserve forks for it. What it is asked later arrives as
# arguments that are values, never as text to be parsed.

.penstock <- local({
  # Data alone: factors and dates as strings, no names of elements, no attributes.
  plain <- function(x) {
    is_vector <- is.atomic(x) && !is.object(x) && !is.complex(x) && is.null(dim(x))
    if (is_vector) return(as.vector(x)) # as most answers are
    if (is.null(x) || is.raw(x)) return(x)
    if (is.factor(x)) return(as.character(x))
    if (inherits(x, c("Date", "POSIXt"))) return(format(x))
    if (inherits(x, "difftime") || inherits(x, "integer64")) return(as.double(x))
    if (is.data.frame(x)) return(plain_frame(x))
    if (is.list(x)) return(structure(lapply(unclass(x), plain), names = names(x)))
    if (is.complex(x)) x <- structure(as.character(x), dim = dim(x))
    if (is.atomic(x)) return(structure(as.vector(unclass(x)), dim = dim(x)))
    stop("the answer holds what is no data: an object of class ", class(x)[[1]])
  }
  plain_frame <- function(x) {
    structure(lapply(unclass(x), plain), names = names(x), row.names = .set_row_names(nrow(x)),
              class = "data.frame")
  }

  # A name, or a package and a name of it.
  find <- function(task) {
    if (length(task) == 2L) return(getExportedValue(task[[1L]], task[[2L]]))
    get(task, envir = globalenv(), mode = "function")
  }

  # A script as FastRWeb has them; what Rserve itself would ask, where that is defined.
  run_script <- function(request) {
    request$query <- unlist(request$query)
    request$fields <- unlist(request$fields)
    own <- get0(".http.request", globalenv(), mode = "function")
    path <- request$script
    if (!is.null(own)) {
      body <- request$body
      if (!is.null(body)) attr(body, "content-type") <- request$type
      return(http_answer(own(path, request$query, body, request$headers)))
    }
    file <- file.path(request$folder, paste0(path, ".R"))
    if (!file.exists(file)) return(list(404L, "text/plain", character(), ""))
    scope <- new.env(parent = globalenv())
    scope$request <- list(uri = request$uri, method = request$method, c.type = request$type,
                          c.length = length(request$body), body = request$body,
                          client.ip = "0.0.0.0", query.string = request$query_string,
                          query.vector = request$query, raw.cookies = "",
                          headers = request$fields)
    source(file, local = scope, encoding = "UTF-8")
    run <- get0("run", scope, mode = "function", inherits = FALSE)
    if (is.null(run)) stop(path, ".R has no function run()")
    web_answer(do.call(run, as.list(request$query)), request$folder)
  }

  # What run() returns: text, a WebResult (command, payload, type, headers), or bytes.
  web_answer <- function(said, folder) {
    if (is.raw(said)) return(list(200L, "application/octet-stream", character(), said))
    said <- as.character(said)
    if (length(said) < 2) return(list(200L, "text/html; charset=utf-8", character(), said))
    type <- if (length(said) > 2) said[[3]] else "text/html; charset=utf-8"
    headers <- if (length(said) > 3) said[[4]] else character()
    body <- said[[2]]
    if (said[[1]] %in% c("file", "tmpfile")) {
      place <- if (said[[1]] == "file") "web" else "tmp"
      body <- bytes_of(file.path(dirname(folder), place, gsub("/", "_", body, fixed = TRUE)))
    }
    status <- sub("^[Ss]tatus: *([0-9]{3}).*", "\\1", c(headers, "200")[[1]])
    list(if (grepl("^[0-9]{3}$", status)) as.integer(status) else 200L, type, headers, body)
  }

  # A list of payload, type, headers and status, as Rserve's own HTTP server takes it.
  http_answer <- function(said) {
    if (is.character(said)) stop(said[[1]])
    payload <- said[[1]]
    is_file <- identical(names(said)[1], "file") || identical(names(payload), "file")
    if (is_file) payload <- bytes_of(as.character(payload))
    part <- function(i, otherwise) {
      if (length(said) >= i && length(said[[i]])) said[[i]] else otherwise
    }
    body <- if (is.raw(payload)) payload else as.character(payload)
    list(as.integer(part(4, 200L)), as.character(part(2, "text/html")),
         as.character(part(3, character())), body)
  }

  bytes_of <- function(file) readBin(file, "raw", file.info(file)$size)

  # Bytes of memory that this R occupies, where the system tells.
  memory <- function() {
    said <- tryCatch(readChar("/proc/self/statm", 64L, useBytes = TRUE),
                     error = function(err) "0 0", warning = function(err) "0 0")
    as.double(strsplit(said, " ", fixed = TRUE)[[1]][[2]]) * 4096
  }

  # To ask costs half of what all else here does.
  calls <- 0L
  memory_now_and_then <- function() {
    calls <<- calls + 1L
    if (calls %% 8L == 0L) memory()
  }

  # The answer of the function `task`, or, without one, of a script: a value, R's message where
  # it failed, and with every eighth call how much memory is taken.
  function(task, input, limit_s) {
    setTimeLimit(elapsed = limit_s, transient = TRUE)
    message <- NULL
    value <- tryCatch(
      if (is.null(task)) run_script(input) else plain(find(task)(input)),
      error = function(err) {
        message <<- enc2utf8(conditionMessage(err))
        NULL
      }
    )
    setTimeLimit()
    list(value, message, memory_now_and_then())
  }
})
