artefact <- list(name = "line", version = "1.0.0-00000000", description = "A line",
                 prototype = data.frame(x = 1.5, n = 2L, f = factor("a"), yes = TRUE))

test_that("the body of a prediction is described by the prototype", {
  plumbers <- list(paths = list(`/predict` = list(post = list(responses = list(`200` = "r")))))

  api <- describe_api(plumbers, artefact)

  post <- api$paths$`/predict`$post
  expect_equal(post$summary, "Return predictions from model using 4 features")
  expect_named(post$responses, c("200", "400", "422"))
  expect_equal(post$responses$`422`$description, "Invalid input")
  schema <- post$requestBody$content$`application/json`$schema
  expect_equal(schema[c("type", "minItems")], list(type = "array", minItems = 1))
  expect_equal(unlist(schema$items$properties), c(
    x.type = "number", n.type = "integer", f.type = "string", yes.type = "boolean"
  ))
  expect_equal(schema$example, list(list(x = 1.5, n = 2L, f = "a", yes = TRUE)))
  expect_equal(api$info$version, "1.0.0-00000000")
})
