# A real httpuv application with a WebSocket and an event stream. It prints its port, and ends by
# itself after a while, so that it outlives no test for long.
suppressPackageStartupMessages(library(httpuv))

as_text <- function(req) {
  fields <- grep("^HTTP_", names(req), value = TRUE)
  paste0(fields, "=", vapply(fields, function(name) req[[name]], ""), collapse = "\n")
}

app <- list(
  call = function(req) {
    if (req$PATH_INFO == "/events") {
      body <- paste0("data: ", 1:3, "\n\n", collapse = "")
      return(list(status = 200L, headers = list("Content-Type" = "text/event-stream"), body = body))
    }
    if (req$PATH_INFO == "/length") {
      body <- as.character(length(req$rook.input$read()))
      return(list(status = 200L, headers = list("Content-Type" = "text/plain"), body = body))
    }
    list(status = 404L, headers = list("Content-Type" = "text/plain"), body = "no such thing")
  },
  onWSOpen = function(ws) {
    ws$onMessage(function(binary, message) {
      if (identical(message, "fields")) {
        ws$send(as_text(ws$request))
      } else if (identical(message, "close")) {
        ws$close()
      } else if (identical(message, "die")) {
        tools::pskill(Sys.getpid(), tools::SIGKILL)
      } else {
        ws$send(message)
      }
    })
  }
)

port <- randomPort()
server <- startServer("127.0.0.1", port, app)
cat(port, "\n")
ends <- Sys.time() + 300
while (Sys.time() < ends) service(250)
