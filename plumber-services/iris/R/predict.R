#' The species of each flower, and how probable each species is, from its four measures in cm.
#'
#' One record a flower, as tidymodels' `augment()` has it: `.pred_class`, and `.pred_…` a species.
predict_iris <- function(model, flowers) {
  predicted <- predict(model, newdata = flowers)
  probabilities <- as.data.frame(predicted$posterior)
  names(probabilities) <- paste0(".pred_", colnames(predicted$posterior))
  cbind(data.frame(.pred_class = predicted$class), probabilities)
}
