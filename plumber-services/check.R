# Lints all R code and runs all testthat tests: `Rscript plumber-services/check.R`.
# Prints each test and each lint, and exits with 1 where anything is wrong.

here <- dirname(sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE)[[1]]))
root <- normalizePath(file.path(here, ".."))
services <- file.path(root, "plumber-services")

lint_folder <- function(folder) {
  lintr::lint_dir(folder, pattern = "[.]R$", relative_path = FALSE)
}

lint_all <- function() {
  folders <- c(services, file.path(root, "test", "support", "plumber"))
  # One file of settings for all, wherever R is started.
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

folders <- dirname(dirname(Sys.glob(file.path(services, "*", "tests", "testthat"))))
problems <- lint_all() + sum(vapply(folders, test_folder, 0))
cat(if (problems == 0) "All is well.\n" else sprintf("%d problems.\n", problems))
quit(save = "no", status = if (problems == 0) 0 else 1)
