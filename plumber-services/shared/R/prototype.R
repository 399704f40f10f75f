# How the inputs of a model are published: as cereal encodes them, which vetiver publishes.

#' For each column its type, an example, and what else defines it, such as a factor's levels.
encode_prototype <- function(prototype) {
  lapply(prototype, function(column) {
    list(type = class(column)[[1]], example = example_of(column), details = details_of(column))
  })
}

example_of <- function(column) {
  if (length(column) == 0) NULL else format(column[[1]], digits = getOption("digits"))
}

details_of <- function(column) {
  # I() keeps the levels a list in JSON, even one alone.
  if (is.factor(column)) return(list(levels = I(levels(column))))
  if (inherits(column, "POSIXct")) return(list(tzone = attr(column, "tzone")))
  list()
}
