#!/bin/sh
# Trains the models whose artefact is missing or older than what it is made from: those named, or
# all. Says nothing where nothing is to be done.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

is_fresh() { # folder
  [ -f "$1/model.rds" ] &&
    [ -z "$(find "$1/train.R" "$1/R" "$here/shared/R/artefact.R" -newer "$1/model.rds" 2>/dev/null)" ]
}

train() { # name
  folder=$here/$1
  if [ ! -f "$folder/train.R" ]; then
    printf 'train.sh: no train.R in %s\n' "$folder" >&2
    exit 2
  fi
  if is_fresh "$folder"; then return; fi
  printf 'Training %s …\n' "$1"
  (cd "$folder" && Rscript --no-save --no-restore train.R)
}

if [ $# -eq 0 ]; then
  for script in "$here"/*/train.R; do
    set -- "$@" "$(basename -- "$(dirname -- "$script")")"
  done
fi
for name in "$@"; do train "$name"; done
