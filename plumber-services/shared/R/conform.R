# What the body of a prediction is held against: vetiver does it with hardhat and readr, which
# Debian lacks.

#' The rows of `new_data` with the columns of `prototype`, in their order and of their types.
#'
#' As in vetiver, further columns are dropped, text is read as what the column is, and what does
#' not fit is an error that names the column.
conform <- function(new_data, prototype) {
  if (!is.data.frame(new_data)) stop("the body must be a JSON array of records")
  missing <- setdiff(names(prototype), names(new_data))
  if (length(missing) > 0) {
    stop("the required columns are missing: ", paste0("`", missing, "`", collapse = ", "))
  }
  columns <- Map(conform_column, new_data[names(prototype)], prototype, names(prototype))
  as.data.frame(columns, optional = TRUE, stringsAsFactors = FALSE)
}

conform_column <- function(values, like, name) {
  if (is.list(values)) stop("`", name, "` must hold one value in each record")
  if (is.factor(like)) return(conform_factor(values, like, name))
  if (is.character(like)) return(conform_text(values, name))
  if (inherits(like, "Date")) return(conform_date(values, name))
  if (is.character(values)) values <- read_text(values, like, name)
  if (is.logical(like)) return(conform_logical(values, name))
  conform_number(values, like, name)
}

conform_number <- function(values, like, name) {
  # A column of nulls alone, or of "NA", has come as logical.
  if (is.logical(values) && !all(is.na(values))) stop("`", name, "` must be a number")
  if (!is.integer(like)) return(as.double(values))
  whole <- suppressWarnings(as.integer(values))
  if (!identical(as.double(whole), as.double(values))) stop("`", name, "` must be a whole number")
  whole
}

conform_factor <- function(values, like, name) {
  unknown <- setdiff(values[!is.na(values)], levels(like))
  if (length(unknown) > 0) {
    known <- paste(levels(like), collapse = ", ")
    stop("`", name, "`: \"", unknown[[1]], "\" is not one of ", known)
  }
  factor(as.character(values), levels = levels(like), ordered = is.ordered(like))
}

conform_text <- function(values, name) {
  if (!is.character(values) && !all(is.na(values))) stop("`", name, "` must be text")
  as.character(values)
}

conform_date <- function(values, name) {
  dates <- as.Date(as.character(values), optional = TRUE)
  if (!identical(is.na(dates), is.na(values))) stop("`", name, "` must be a date, as 2024-02-29")
  dates
}

conform_logical <- function(values, name) {
  if (!all(values %in% c(0, 1, NA))) stop("`", name, "` must be true or false")
  as.logical(values)
}

read_text <- function(values, like, name) {
  values[values %in% c("NA", "")] <- NA
  read <- if (is.logical(like)) as.logical(values) else suppressWarnings(as.numeric(values))
  unread <- values[is.na(read) & !is.na(values)]
  kind <- if (is.logical(like)) "true or false" else "a number"
  if (length(unread) > 0) stop("`", name, "`: \"", unread[[1]], "\" is not ", kind)
  read
}
