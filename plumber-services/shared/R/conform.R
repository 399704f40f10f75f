# What the body of a prediction is held against: vetiver does it with hardhat and readr, which
# Debian lacks.

levels_max <- 20

#' The rows of `new_data` with the columns of `prototype`, in their order and of their types.
#'
#' As in vetiver, further columns are dropped and text is read as what the column is. What does not
#' fit is refused: the caller is told which columns and rows.
conform <- function(new_data, prototype, rows_max = Inf) {
  check_records(new_data, rows_max)
  check_columns(new_data, prototype)
  refused <- list()
  conform_or_note <- function(values, like, name) {
    tryCatch(conform_column(values, like, name), caller_mistake = function(mistake) {
      refused <<- c(refused, list(mistake))
      NULL
    })
  }
  columns <- Map(conform_or_note, new_data[names(prototype)], prototype, names(prototype))
  if (length(refused) > 0) refuse_together(refused)
  as.data.frame(columns, optional = TRUE, stringsAsFactors = FALSE)
}

check_records <- function(new_data, rows_max) {
  if (!is.data.frame(new_data)) {
    row <- first_that_is_no_record(new_data)
    if (!is.na(row)) {
      detail <- paste0("row ", row, " is not a JSON object")
      refuse_input(detail, place(paste0("/", row - 1), detail))
    }
    refuse_input("the body must be a JSON array of records, such as [{\"x\": 1}]")
  }
  rows <- nrow(new_data)
  if (rows > rows_max) {
    refuse_input(sprintf("the body has %.0f rows; at most %.0f are taken at once", rows, rows_max))
  }
}

# Among objects; where there is none, the whole is no array of records.
first_that_is_no_record <- function(body) {
  if (!is.list(body) || !is.null(names(body))) return(NA)
  is_record <- vapply(body, function(row) is.list(row) && !is.null(names(row)), NA)
  if (any(is_record)) which(!is_record)[1] else NA
}

check_columns <- function(new_data, prototype) {
  missing <- setdiff(names(prototype), names(new_data))
  if (length(missing) == 0) return(invisible())
  quoted <- paste0("`", missing, "`")
  refuse_input(
    paste0("the required columns are missing: ", paste(quoted, collapse = ", ")),
    place(pointer_to(1, missing), paste(quoted, "is missing"))
  )
}

# One answer for all columns that do not fit: the first is its sentence, all are in its list.
refuse_together <- function(refused) {
  places <- do.call(rbind, lapply(refused, function(mistake) mistake$places))
  more <- if (nrow(places) > 1) "; `errors` has more" else ""
  refuse_input(paste0(places$detail[[1]], more), places, conditionMessage(refused[[1]]))
}

conform_column <- function(values, like, name) {
  if (is.list(values)) refuse_lists(values, name)
  # Half of a surrogate pair is JSON, and no text.
  if (is.character(values)) refuse_rows(!validUTF8(values), name, "is not text in Unicode")
  if (is.factor(like)) return(conform_factor(values, like, name))
  if (is.character(like)) return(conform_text(values, name))
  if (inherits(like, "Date")) return(conform_date(values, name))
  if (is.character(values)) values <- read_text(values, like, name)
  if (is.logical(like)) return(conform_logical(values, name))
  conform_number(values, like, name)
}

refuse_lists <- function(values, name) {
  is_one <- function(value) is.null(value) || (is.atomic(value) && length(value) == 1)
  bad <- if (is.data.frame(values)) rep(TRUE, nrow(values)) else !vapply(values, is_one, NA)
  # jsonlite has made one list of 1 and [1].
  if (!any(bad)) bad[] <- TRUE
  refuse_rows(bad, name, "must hold one value in each record")
}

conform_number <- function(values, like, name) {
  # A column of nulls alone, or of "NA", has come as logical.
  if (is.logical(values)) refuse_rows(!is.na(values), name, "is not a number", values)
  if (!is.integer(like)) return(as.double(values))
  whole <- suppressWarnings(as.integer(values))
  bad <- !is.na(values) & (is.na(whole) | whole != values)
  refuse_rows(bad, name, "is not a whole number", values)
  whole
}

conform_factor <- function(values, like, name) {
  text <- as.character(values)
  # As vetiver's client writes a missing value; beside others jsonlite leaves it a text.
  text[text %in% setdiff("NA", levels(like))] <- NA
  bad <- !is.na(text) & !text %in% levels(like)
  refuse_rows(bad, name, paste("is not one of", list_levels(levels(like))), values)
  factor(text, levels = levels(like), ordered = is.ordered(like))
}

list_levels <- function(levels) {
  if (length(levels) <= levels_max) return(paste(levels, collapse = ", "))
  paste0(paste(levels[seq_len(levels_max)], collapse = ", "), ", \u2026 (", length(levels),
         " in /prototype)")
}

conform_text <- function(values, name) {
  if (!is.character(values)) refuse_rows(!is.na(values), name, "is not text", values)
  as.character(values)
}

conform_date <- function(values, name) {
  text <- as.character(values)
  text[text %in% c("NA", "")] <- NA
  # By a format of its own: as.Date takes the first row's for all.
  dates <- as.Date(text, "%Y-%m-%d")
  bad <- !is.na(text) & (is.na(dates) | !grepl("^[0-9]{4}-[0-9]{2}-[0-9]{2}$", text))
  refuse_rows(bad, name, "is not a date such as 2024-02-29", values)
  dates
}

conform_logical <- function(values, name) {
  refuse_rows(!values %in% c(0, 1, NA), name, "is not true or false", values)
  as.logical(values)
}

read_text <- function(values, like, name) {
  values[values %in% c("NA", "")] <- NA
  read <- if (is.logical(like)) as.logical(values) else suppressWarnings(as.numeric(values))
  kind <- if (is.logical(like)) "is not true or false" else "is not a number"
  refuse_rows(is.na(read) & !is.na(values), name, kind, values)
  read
}

#' Refuses a column where any row is `bad`, and says which rows; with their `values`, where given.
refuse_rows <- function(bad, name, wrong, values = NULL) {
  if (!any(bad)) return(invisible())
  rows <- utils::head(which(bad), places_max)
  at <- if (length(bad) > 1) paste0("row ", rows, ": ") else ""
  if (is.null(values)) {
    details <- paste0(at, "`", name, "` ", wrong)
    logged <- details[[1]]
  } else {
    quoted <- vapply(rows, function(row) quote_value(values[[row]]), "")
    details <- paste0(at, "`", name, "`: ", quoted, " ", wrong)
    logged <- paste0(at[[1]], "`", name, "`: a value ", wrong)
  }
  refuse_input(details[[1]], place(pointer_to(rows, name), details), logged)
}
