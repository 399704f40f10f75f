# Models whose rows influence one another, each for some inputs only or in its own way, for the test of batches beside
# this folder. None publishes a /prototype; /twice, whose rows are independent, does not either.

rows <- function(req) req$body

answer <- function(values) list(.pred = values)

#* @post /twice
#* @serializer unboxedJSON list(digits = NA)
function(req) answer(2 * rows(req)$wt)

# The code of a level depends on which other levels are there.
#* @post /levels
#* @serializer unboxedJSON list(digits = NA)
function(req) answer(as.integer(factor(rows(req)$cyl)))

# A missing value becomes the mean of all rows.
#* @post /imputed
#* @serializer unboxedJSON list(digits = NA)
function(req) {
  d <- rows(req)
  d$wt[is.na(d$wt)] <- mean(d$wt, na.rm = TRUE)
  answer(10 * d$wt)
}

# An empty text is filled from the first row.
#* @post /filled
#* @serializer unboxedJSON list(digits = NA)
function(req) {
  d <- rows(req)
  d$name[d$name == ""] <- d$name[[1]]
  answer(paste("of", d$name))
}

# All numbers are written as wide as the widest.
#* @post /padded
#* @serializer unboxedJSON list(digits = NA)
function(req) answer(format(round(rows(req)$wt * 3)))

# Many rows take another branch.
#* @post /crowded
#* @serializer unboxedJSON list(digits = NA)
function(req) {
  d <- rows(req)
  answer(if (nrow(d) > 6) round(d$wt, 1) else d$wt)
}

# Its rank among all, where it is heavy.
#* @post /ranked
#* @serializer unboxedJSON list(digits = NA)
function(req) {
  wt <- rows(req)$wt
  answer(ifelse(wt > 4, rank(wt), wt))
}

# A running sum over those before it, where it is light.
#* @post /summed
#* @serializer unboxedJSON list(digits = NA)
function(req) {
  wt <- rows(req)$wt
  light <- wt < 2
  wt[light] <- cumsum(wt[light])
  answer(wt)
}

# The mean of all rows of equal weight, which are few.
#* @post /grouped
#* @serializer unboxedJSON list(digits = NA)
function(req) {
  d <- rows(req)
  answer(ave(d$hp, d$wt))
}

# A table is merged to the rows, which sorts them.
#* @post /merged
#* @serializer unboxedJSON list(digits = NA)
function(req) {
  d <- merge(rows(req), data.frame(cyl = c(4, 6, 8), more = c(1, 2, 3)), by = "cyl")
  answer(d$wt + d$more)
}

# As many digits as the largest number leaves.
#* @post /rounded
#* @serializer unboxedJSON list(digits = NA)
function(req) {
  wt <- rows(req)$wt
  answer(round(wt, digits = max(0, 2 - floor(log10(max(abs(wt)))))))
}

calls <- 0

# The answer tells how often the model was asked, every hundredth time.
#* @post /counted
#* @serializer unboxedJSON list(digits = NA)
function(req) {
  calls <<- calls + 1
  answer(rows(req)$wt + (calls %% 20 == 0))
}
