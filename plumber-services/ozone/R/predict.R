#' Ozone in the air of New York on each day, in parts per billion, from its weather.
predict_ozone <- function(model, days) {
  list(.pred = unname(predict(model, newdata = days)))
}
