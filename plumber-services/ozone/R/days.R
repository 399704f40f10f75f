#' The days of `airquality` on which all was measured, with the month as a factor.
measured_days <- function(days) {
  days$Month <- factor(month.abb[days$Month], levels = month.abb[5:9])
  stats::na.omit(days[c("Ozone", "Solar.R", "Wind", "Temp", "Month")])
}
