#!/bin/sh
# Starts a Plumber service, keeps it known to Consul, and ends it without losing an answer.
# POSIX sh, so that it runs wherever R does. What needs HTTP is done by R (serve.R): curl or wget
# need not be there.
set -u

usage() {
  cat <<'USAGE'
usage: serve.sh SERVICE [--host HOST] [--port PORT] [--rserve] [--watch-stdin]

Starts a Plumber service: the name of a folder beside this script, any folder (one that holds
_server.yml, entrypoint.R or plumber.R), or any R file.

  --host HOST     address to listen on (127.0.0.1; 0.0.0.0 for all)
  --port PORT     port to listen on (1024 to 49151); 0, the default, finds a free one
  --rserve        run the file in an Rserve, whose connections find what it defines, and no
                  Plumber; the file needs no router then
  --watch-stdin   end when standard input ends: for a parent that may be killed

SIGTERM and SIGINT deregister the service, let R finish what it was asked, and end it; a second
one ends it at once. Every line on standard output is a JSON object. When R listens:
  {"time":…,"level":"info","event":"listening","service":NAME,"host":…,"port":…,"pid":R's}
Exit status: 0 after a signal, 1 when R ended by itself, 2 for wrong usage.

Environment:
  PENSTOCK_SERVICE_NAME        name in the log and in Consul (the folder's or the file's name)
  PENSTOCK_DRAIN_TIMEOUT_S     how long R may take to finish (30)
  PENSTOCK_CONCURRENCY         requests R works on at once; more than 1 only for
                               asynchronous applications (1)
  PLUMBER_SHARED_SECRET        what callers must send in the header of that name;
                               GET /ping alone is open without
Registered in Consul where CONSUL_HTTP_ADDR is set:
  CONSUL_HTTP_ADDR             the agent, such as http://127.0.0.1:8500
  CONSUL_HTTP_TOKEN            its ACL token
  CONSUL_CACERT                certificate authority of an https agent
  PENSTOCK_SERVICE_ID          id (NAME-HOSTNAME-PORT)
  PENSTOCK_ADVERTISE           HOST or HOST:PORT that callers use (what R listens on, or this
                               machine's address where it listens on all)
  PENSTOCK_TAGS                further tags, separated by commas ("plumber" is always there)
  PENSTOCK_WEIGHT              weight while passing (1)
  PENSTOCK_CHECK_INTERVAL_S, PENSTOCK_CHECK_TIMEOUT_S
                               Consul's check on /ping, or, where R has none, by
                               connecting (5, 4)
  PENSTOCK_DEREGISTER_AFTER_S  critical for so long, Consul drops it (60; Consul takes no less)
  PENSTOCK_SETTLE_S            after deregistering, R goes on answering those who have not
                               heard for so long (1)
USAGE
}

refuse() {
  printf 'serve.sh: %s\n' "$1" >&2
  printf 'Try: serve.sh --help\n' >&2
  exit 2
}

log_event() { # level event [further JSON fields]
  printf '{"time":"%s","level":"%s","event":"%s","service":"%s"%s}\n' \
    "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$1" "$2" "$PENSTOCK_SERVICE_NAME" "${3:-}"
}

# --- Arguments ---------------------------------------------------------------------------------

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
service='' watch_stdin=no PENSTOCK_TASK=serve
PENSTOCK_HOST=127.0.0.1 PENSTOCK_PORT=0
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) usage; exit 0 ;;
    --host) [ $# -ge 2 ] || refuse '--host needs a value'; PENSTOCK_HOST=$2; shift ;;
    --port) [ $# -ge 2 ] || refuse '--port needs a value'; PENSTOCK_PORT=$2; shift ;;
    --watch-stdin) watch_stdin=yes ;;
    --rserve) PENSTOCK_TASK=rserve ;;
    -*) refuse "unknown option $1" ;;
    *) [ -z "$service" ] || refuse "one service at a time, not also $1"; service=$1 ;;
  esac
  shift
done
[ -n "$service" ] || refuse 'which service?'
case $PENSTOCK_PORT in '' | *[!0-9]*) refuse '--port needs a number' ;; esac
if [ "${#PENSTOCK_PORT}" -gt 5 ] || [ "$PENSTOCK_PORT" -gt 65535 ]; then
  refuse '--port goes to 65535'
fi

case $service in
  */*) folder=$service ;;
  *) folder=$here/$service; [ -d "$folder" ] || folder=$service ;;
esac
PENSTOCK_ENTRY=''
if [ -f "$folder" ]; then
  PENSTOCK_ENTRY=$(basename -- "$folder")
  folder=$(dirname -- "$folder")
else # the order is Plumber's own
  for name in _server.yml entrypoint.R entrypoint.r plumber.R plumber.r; do
    [ -n "$PENSTOCK_ENTRY" ] || ! [ -f "$folder/$name" ] || PENSTOCK_ENTRY=$name
  done
fi
[ -n "$PENSTOCK_ENTRY" ] || refuse "no plumber.R in $folder, no entrypoint.R and no _server.yml"
folder=$(CDPATH='' cd -- "$folder" && pwd)
case $PENSTOCK_ENTRY in
  _server.yml | entrypoint.[Rr] | plumber.[Rr]) named_by=$folder ;;
  *) named_by=${PENSTOCK_ENTRY%.[Rr]} ;;
esac
: "${PENSTOCK_SERVICE_NAME:=$(basename -- "$named_by")}"
case $PENSTOCK_SERVICE_NAME in
  *[!A-Za-z0-9._-]*) refuse "a service's name has letters, digits, dots, dashes and underscores" ;;
esac
command -v Rscript >/dev/null || refuse 'Rscript is not installed'

# --- What all processes share ------------------------------------------------------------------

# Files in this directory are how they speak with one another:
#   lifeline   a pipe that only this script writes to: its end is this script's end
#   output     a pipe: what R prints, on its way to the log
#   pid        R's, for the watchdog
#   listening  R's port, while it listens
#   stop       the registrar shall deregister and end; gone: R has ended already
#   quit       R shall end
PENSTOCK_RUN_DIR=$(mktemp -d "${TMPDIR:-/tmp}/penstock-r.XXXXXX") || exit 1
PENSTOCK_LOG_MARK=$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n'):
TMPDIR=$PENSTOCK_RUN_DIR # R's own temporary files go with it
export PENSTOCK_RUN_DIR PENSTOCK_LOG_MARK PENSTOCK_SERVICE_NAME PENSTOCK_ENTRY
export PENSTOCK_HOST PENSTOCK_PORT TMPDIR
run=$PENSTOCK_RUN_DIR
mkfifo "$run/lifeline" "$run/output" || exit 1
exec 9<>"$run/lifeline" # open for both: neither end has to wait for the other
exec 8<&0 </dev/null

# Signals are sent to whole process groups: Ctrl-C, systemd, a gateway that gives up. They are for
# this script; the processes beneath it would lose their work. So they ignore them, and end by the
# files above, or by SIGKILL. R sets a handler of its own for SIGINT; where env knows how, that
# signal is blocked, which R leaves alone.
block=''
if env --block-signal=INT true 2>/dev/null; then block='env --block-signal=INT'; fi

start_r() { # task, folder: the process becomes R, and never holds the lifeline open
  trap '' TERM INT HUP
  exec 7>&- 8<&- 9>&-
  cd "$2" || exit 1
  # shellcheck disable=SC2086 # none, or two words
  exec $block Rscript --no-save --no-restore "$here/serve.R" "$1"
}

# An Rserve's forks outlive it while they compute: they end first, and it makes none meanwhile.
end_r() { # its id
  if [ "$PENSTOCK_TASK" = rserve ] && kill -STOP "$1"; then
    for process in /proc/[0-9]*; do
      read -r stat <"$process/stat" || continue
      # shellcheck disable=SC2086 # words: behind the name in brackets come the state and the parent
      set -- "$1" ${stat##*) }
      [ "$3" != "$1" ] || kill -KILL "${process#/proc/}"
    done
  fi
  kill -KILL "$1"
} 2>/dev/null

# Killed itself, this script can end nothing. The watchdog then kills R; the registrar sees the
# directory gone, deregisters and ends.
start_watchdog() {
  (
    trap '' TERM INT HUP
    exec 7>&- 8<&- 9>&-
    if ! read -r _; then
      [ -f "$run/pid" ] && end_r "$(cat "$run/pid")"
      [ -z "$stdin_watch" ] || kill -KILL "$stdin_watch"
      rm -rf "$run"
    fi
  ) <"$run/lifeline" >/dev/null 2>&1 &
  watchdog=$!
}

start_stdin_watch() {
  stdin_watch=''
  [ "$watch_stdin" = yes ] || return 0
  (
    trap '' TERM INT HUP
    exec 7>&- 9>&-
    while read -r _; do :; done
    kill -TERM $$
  ) <&8 >/dev/null 2>&1 &
  stdin_watch=$!
}

start_log() {
  # mawk alone waits until a buffer is full, unless told not to.
  unbuffered=''
  case $(awk -W version 2>&1 </dev/null) in mawk*) unbuffered='-W interactive' ;; esac
  # shellcheck disable=SC2086 # none, or two words
  (
    trap '' TERM INT HUP
    exec 7>&- 8<&- 9>&-
    export LC_ALL=C
    exec awk $unbuffered -v mark="$PENSTOCK_LOG_MARK" -v service="$PENSTOCK_SERVICE_NAME" \
      -f "$here/shared/log-lines.awk"
  ) <"$run/output" &
  log=$!
}

start_service() {
  (
    sh -c 'echo $PPID' >"$run/pid" # this subshell's id, and R's, which it becomes
    start_r "$PENSTOCK_TASK" "$folder"
  ) >&7 2>&1 &
  r=$!
}

# A registrar that fails is started again.
start_registrar() {
  registrar=''
  [ -n "${CONSUL_HTTP_ADDR:-}" ] || return 0
  (
    trap '' TERM INT HUP
    exec 8<&- 9>&-
    while [ -d "$run" ]; do
      (start_r register "$here") && break
      sleep 1
    done
  ) >&7 2>&1 &
  registrar=$!
}

# --- How it ends -------------------------------------------------------------------------------

# Waiting is cut short by every signal, and a child counts as running until it was waited for.
# (The shell's own remarks on how children ended are no log lines.)
await() {
  while is_running "$1"; do wait "$1"; done 2>/dev/null
}

# The same, but the second signal ends the waiting.
await_patiently() {
  while [ "$signals" -lt 2 ] && is_running "$1"; do wait "$1"; done 2>/dev/null
}

is_running() { kill -0 "$1" 2>/dev/null; }

deregister() {
  : >"$run/stop"
  [ -z "$registrar" ] || await_patiently "$registrar"
}

drain() {
  # An Rserve has nothing in hand itself: each connection is an R of its own.
  [ "$PENSTOCK_TASK" = serve ] || return 0
  (start_r drain "$here") >&7 2>&1 &
  drainer=$!
  await_patiently "$drainer"
  kill -KILL "$drainer" 2>/dev/null
}

# Gateways hear first that the service leaves; then R finishes what has reached it.
stop() {
  log_event info stopping
  deregister
  drain
  end_r "$r"
  await "$r"
  finish 0 info stopped
}

fail() {
  : >"$run/gone"
  deregister
  finish 1 error r-ended ",\"status\":$status"
}

finish() { # exit status, then a log_event
  code=$1
  shift
  echo finished >&9 # so that the watchdog knows
  await "$watchdog"
  [ -z "$stdin_watch" ] || kill -KILL "$stdin_watch" 2>/dev/null
  exec 7>&-
  await_patiently "$log"
  rm -rf "$run"
  log_event "$@"
  exit "$code"
}

# --- Its life ----------------------------------------------------------------------------------

signals=0
trap 'signals=$((signals + 1))' TERM INT HUP
# A reader of the log who is gone must not end the draining.
trap '' PIPE

start_log
exec 7>"$run/output"
start_stdin_watch
exec 8<&-
start_watchdog
start_service
start_registrar

# From here on the first signal stops all; in its own trap, since one that came just before a
# `wait` would not be noticed by it.
trap 'signals=$((signals + 1)); [ "$signals" -gt 1 ] || stop' TERM INT HUP
[ "$signals" -eq 0 ] || stop

wait "$r" 2>/dev/null
status=$?
# Someone else took the free port that R had found.
while [ "$status" -eq 98 ] && [ "$PENSTOCK_PORT" -eq 0 ]; do
  start_service
  wait "$r" 2>/dev/null
  status=$?
done
fail
