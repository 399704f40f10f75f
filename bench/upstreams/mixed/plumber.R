# Keeps R's one thread for as long as it is told, without the processor: what is left is who waits for whom.

#* @get /ping
#* @serializer unboxedJSON
function() list(status = "online")

#* @get /work
#* @serializer unboxedJSON
function(ms) {
  Sys.sleep(as.numeric(ms) / 1000)
  list(done = TRUE)
}
