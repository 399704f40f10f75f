# The R side of serve.sh, which says what to do:
#
#   serve.R serve      runs the Plumber application in the working directory
#   serve.R rserve     runs an Rserve that has what a file of the working directory defines
#   serve.R register   keeps it registered in Consul, until told to stop
#   serve.R drain      waits until it has finished its work, then ends it
#
# Three processes at a time: R does one thing at a time, and the other two must work while it
# computes.
# This file alone reads the environment.

local({
  file <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE)[[1]])
  here <- dirname(gsub("~+~", " ", file, fixed = TRUE)) # as R writes a space in it
  names <- c("log", "settings", "entry", "serve", "rserve", "drain", "consul", "register")
  for (file in file.path(here, "shared", "R", paste0(names, ".R"))) {
    source(file, local = globalenv())
  }
})

settings <- read_settings(Sys.getenv())
# Warnings when they come, not when the server ends.
options(penstock.log_mark = settings$log_mark, warn = 1)

switch(commandArgs(TRUE)[[1]],
  serve = serve(settings),
  rserve = serve_functions(settings),
  register = register(settings),
  drain = drain(settings)
)
