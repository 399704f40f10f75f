# Makes log lines of what R and its packages print: each line becomes a JSON object. Lines that
# begin with the mark are such objects already.

BEGIN {
  line_bytes_max = 8192
  for (i = 1; i < 32; i++) escaped[sprintf("%c", i)] = sprintf("\\u%04x", i)
  escaped[sprintf("%c", 127)] = "\\u007f"
  escaped["\\"] = "\\\\"
  escaped["\""] = "\\\""
}

index($0, mark) == 1 { print substr($0, length(mark) + 1); fflush(); next }

$0 != "" {
  printf "{\"time\":\"%s\",\"level\":\"%s\",\"event\":\"r-output\",\"service\":\"%s\",\"message\":%s}\n", \
    now(), level($0), service, quote(shorten($0))
  fflush()
}

function now(    command, time) {
  # POSIX awk has no clock.
  command = "date -u +%Y-%m-%dT%H:%M:%SZ"
  command | getline time
  close(command)
  return time
}

function level(line) {
  if (line ~ /^(Error|<[A-Za-z]*Error|Fatal error|Execution halted| \*\*\*)/) return "error"
  return line ~ /^Warning/ ? "warn" : "info"
}

function shorten(line) {
  if (length(line) <= line_bytes_max) return line
  line = substr(line, 1, line_bytes_max)
  # Not in the middle of a character.
  while (line ~ /[\200-\377]$/) line = substr(line, 1, length(line) - 1)
  return line "..."
}

function quote(line,    i, c, text) {
  for (i = 1; i <= length(line); i++) {
    c = substr(line, i, 1)
    text = text (c in escaped ? escaped[c] : c)
  }
  return "\"" text "\""
}
