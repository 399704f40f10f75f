# Lints the R code and runs the testthat tests: `Rscript plumber-services/check.R [NAME]…`, of the
# services named, or of all. Prints each test and each lint; exits with 1 where anything is wrong.

file <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE)[[1]])
here <- dirname(gsub("~+~", " ", file, fixed = TRUE)) # as R writes a space in it
root <- normalizePath(file.path(here, ".."))
services <- file.path(root, "plumber-services")

lint_folder <- function(folder) {
  lintr::lint_dir(folder, pattern = "[.]R$", relative_path = FALSE)
}

lint_all <- function(folders) {
  # One file of settings for all, wherever R is started. The check of what is defined is off in it:
  # it does not follow source().
  options(lintr.linter_file = file.path(services, ".lintr"))
  lints <- unlist(lapply(folders, lint_folder), recursive = FALSE)
  for (lint in lints) {
    cat(sprintf("LINT %s:%d:%d %s\n", lint$filename,
                lint$line_number, lint$column_number, lint$message))
  }
  length(lints)
}

#' Runs the tests of one folder, with what it and all services define. Returns how many failed.
test_folder <- function(folder) {
  if (!dir.exists(file.path(folder, "tests", "testthat"))) {
    cat("FAIL ", folder, " has no tests\n", sep = "")
    return(1)
  }
  previous <- setwd(folder)
  on.exit(setwd(previous))
  env <- new.env(parent = globalenv())
  sys.source("../shared/load.R", envir = env)
  results <- as.data.frame(testthat::test_dir(
    "tests/testthat", env = env, reporter = "check", stop_on_failure = FALSE, load_package = "none"
  ))
  bad <- results$failed > 0 | results$error | results$skipped
  cat(sprintf("%s %s: %s\n", ifelse(bad, "FAIL", "ok  "), basename(folder), results$test), sep = "")
  sum(bad) + (nrow(results) == 0)
}

tested <- file.path(services, commandArgs(TRUE))
linted <- tested
if (length(tested) == 0) {
  tested <- dirname(dirname(Sys.glob(file.path(services, "*", "tests", "testthat"))))
  linted <- c(services, file.path(root, "test", "support", "plumber"))
}

problems <- lint_all(linted) + sum(vapply(tested, test_folder, 0))
cat(if (problems == 0) "All is well.\n" else sprintf("%d problems.\n", problems))
quit(save = "no", status = if (problems == 0) 0 else 1)
