# Defines the functions all services share, then the service's own, in the environment that
# sources this file. The working directory is the service's, as plumb() and train.sh see to.
for (file in c(Sys.glob("../shared/R/*.R"), Sys.glob("R/*.R"))) {
  source(file, local = TRUE)
}
