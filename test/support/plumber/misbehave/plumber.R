# A Plumber service that misbehaves on demand, for tests of what stands in front of one.
# Start it as any service: plumber-services/serve.sh test/support/plumber/misbehave
#
#   GET  /ping             {"status":"online","time":…}
#   GET  /metadata         {"name":"misbehave","version":"0.0.1"}
#   POST /predict          the JSON body, as R has parsed it
#   GET  /who              {"pid":…,"port":…,"calls":…}: so many calls of /who, /sleep and /wait yet
#   ANY  /sleep?ms=        answers {"slept":ms,"pid":…} after so many milliseconds of R's one thread
#   ANY  /busy?ms=         the same, computing instead of sleeping
#   GET  /wait?file=       answers {"pid":…} once that file is there, and keeps R till then
#   ANY  /loop             never answers, and keeps R's one thread for ever
#                          (these four print a line "at work" when they begin)
#   ANY  /crash            ends R at once (kill -9), so that the connection is lost
#   ANY  /crash-once?file= the same if the file is not there, and makes it; else as /who
#   ANY  /quit             R leaves by itself, with status 3
#   ANY  /error            an error in R: Plumber's 500, application/json
#   ANY  /text500          500 "An exception occurred.", text/plain, as of an R that is broken
#   ANY  /status?code=     an empty object with that status
#   GET  /big?bytes=       so many letters x, text/plain
#   ANY  /echo             method, path, query, headers (as R has them: HTTP_…) and body
#   POST /upload            of a form: its note, and how many bytes its file has, and their sum
#   GET  /print?text=      R prints the text; {"printed":true}
#   GET  /warn             R warns and sends a message; {"warned":true}
#   GET  /async?ms=        a promise that answers after so many milliseconds, while R is free
#
# Models of x, each with its /prototype beside it, for tests of rows that travel together:
#
#   POST /twice/predict    twice x: rows together are answered as each alone
#   POST /centred/predict  x less the mean of all rows
#   POST /first/predict    for the first row only
#   POST /random/predict   x and a random number
#   POST /boxed/predict    twice x, as Plumber's default serializer writes it
#
# And without a /prototype:
#
#   POST /double           twice x of each record, not for x < 0; POST /off-centre: x less the mean
#   POST /sum              a + b of columns

calls <- 0

who <- function(req) {
  list(pid = Sys.getpid(), port = as.integer(req$SERVER_PORT), calls = calls)
}

kill_self <- function() tools::pskill(Sys.getpid(), tools::SIGKILL)

#* @get /ping
#* @serializer unboxedJSON
function() list(status = "online", time = Sys.time())

#* @get /metadata
#* @serializer unboxedJSON
function() list(name = "misbehave", version = "0.0.1")

#* @post /predict
#* @serializer unboxedJSON list(digits = NA)
function(req) req$body

#* @get /who
#* @serializer unboxedJSON
function(req) {
  calls <<- calls + 1
  who(req)
}

#* @get /sleep
#* @post /sleep
#* @put /sleep
#* @serializer unboxedJSON
function(ms = "1000") {
  calls <<- calls + 1
  cat("at work\n")
  Sys.sleep(as.numeric(ms) / 1000)
  list(slept = as.numeric(ms), pid = Sys.getpid())
}

#* @get /busy
#* @post /busy
#* @serializer unboxedJSON
function(ms = "1000") {
  cat("at work\n")
  end <- Sys.time() + as.numeric(ms) / 1000
  while (Sys.time() < end) sum(stats::runif(1000))
  list(slept = as.numeric(ms), pid = Sys.getpid())
}

#* @get /wait
#* @serializer unboxedJSON
function(file) {
  calls <<- calls + 1
  cat("at work\n")
  while (!file.exists(file)) Sys.sleep(0.02)
  list(pid = Sys.getpid())
}

#* @get /loop
#* @post /loop
function() {
  cat("at work\n")
  repeat sum(stats::runif(1000))
}

#* @get /crash
#* @post /crash
function() kill_self()

#* @get /crash-once
#* @post /crash-once
#* @serializer unboxedJSON
function(req, file) {
  if (!file.exists(file)) {
    file.create(file)
    kill_self()
  }
  who(req)
}

#* @get /quit
#* @post /quit
function() quit(save = "no", status = 3)

#* @get /error
#* @post /error
function() stop("an error on purpose")

#* @get /text500
#* @post /text500
function(res) {
  res$status <- 500L
  res$setHeader("Content-Type", "text/plain")
  res$body <- "An exception occurred."
  res
}

#* @get /status
#* @post /status
#* @serializer unboxedJSON
function(res, code = "200") {
  res$status <- as.integer(code)
  stats::setNames(list(), character())
}

#* @get /big
#* @serializer text
function(bytes = "1048576") strrep("x", as.integer(bytes))

#* @get /echo
#* @post /echo
#* @put /echo
#* @delete /echo
#* @serializer unboxedJSON
function(req) {
  headers <- grep("^(HTTP_|CONTENT_)", ls(req), value = TRUE)
  list(
    method = req$REQUEST_METHOD,
    path = req$PATH_INFO,
    query = req$QUERY_STRING,
    headers = mget(headers, envir = req),
    body = paste(req$postBody, collapse = "\n")
  )
}

#* @post /upload
#* @parser multi
#* @parser octet
#* @serializer unboxedJSON list(digits = NA)
function(req, file) {
  bytes <- file[[1]]
  note <- rawToChar(req$body$note$value)
  Encoding(note) <- "UTF-8"
  list(note = note, bytes = length(bytes), sum = sum(as.integer(bytes)))
}

#* @get /print
#* @serializer unboxedJSON
function(text = "") {
  cat(text, "\n", sep = "")
  list(printed = TRUE)
}

#* @get /warn
#* @serializer unboxedJSON
function() {
  warning("a warning on purpose")
  message("a message on purpose")
  list(warned = TRUE)
}

#* @get /async
#* @serializer unboxedJSON
function(ms = "1000") {
  promises::promise(function(resolve, reject) {
    later::later(function() resolve(list(slept = as.numeric(ms))), as.numeric(ms) / 1000)
  })
}

prototype_of_x <- function() {
  list(x = list(type = "numeric", example = "1.5", details = list()))
}

#* @get /twice/prototype
#* @get /centred/prototype
#* @get /first/prototype
#* @get /random/prototype
#* @get /boxed/prototype
#* @serializer unboxedJSON
function() prototype_of_x()

#* @post /twice/predict
#* @serializer unboxedJSON list(digits = NA)
function(req) list(.pred = 2 * req$body$x)

#* @post /centred/predict
#* @post /off-centre
#* @serializer unboxedJSON list(digits = NA)
function(req) list(.pred = req$body$x - mean(req$body$x))

#* @post /first/predict
#* @serializer unboxedJSON list(digits = NA)
function(req) list(.pred = 2 * req$body$x[[1]])

#* @post /random/predict
#* @serializer unboxedJSON list(digits = NA)
function(req) list(.pred = req$body$x + stats::runif(nrow(req$body)))

#* @post /boxed/predict
function(req) list(.pred = 2 * req$body$x)

#* @post /double
#* @serializer unboxedJSON list(digits = NA)
function(req) {
  if (any(req$body$x < 0)) stop("no root of this")
  list(.pred = 2 * req$body$x)
}

#* @post /sum
#* @serializer unboxedJSON list(digits = NA)
function(a, b) a + b
