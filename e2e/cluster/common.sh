# shellcheck shell=bash
# common.sh: what every script of this folder shares: the cache folder, progress lines, repetition, locks. Sourced, never run.

cache=${KEYSTORE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/keystore-operator}
# Exported so that a script called by another one uses the same folder.
export KEYSTORE_CACHE=$cache
# What exists only while something runs.
# shellcheck disable=SC2034  # used by the scripts that source this
run=$cache/run

# Progress goes to stderr, because stdout carries results (a folder, a port). The seconds count from the start of the outermost script.
export CLUSTER_STARTED=${CLUSTER_STARTED:-$EPOCHSECONDS}
say() { printf '[%4ds] %s\n' $((EPOCHSECONDS - CLUSTER_STARTED)) "$*" >&2; }
fail() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# usage: print the comment block at the top of the script as its help.
usage() { sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$0"; }

# key WORDS...: a short name for exactly these versions and files.
key() { printf '%s\n' "$@" | sha256sum | cut -c1-12; }

# again WHAT COMMAND...: run COMMAND (a function too), and up to twice more if it fails. For what needs a network or a registry, and may be
# repeated. A function must return at its first failure by itself, because "set -e" rests in it.
again() {
  local what=$1 pause; shift
  for pause in 5 20; do
    "$@" && return
    say "$what failed; trying again in $pause s"
    sleep "$pause"
  done
  "$@"
}

# logged FILE COMMAND...: run COMMAND with all that it prints in FILE, in place of what was there
logged() { "${@:2}" >"$1" 2>&1; }

# docker_answers: whether the Docker daemon of DOCKER_HOST, or else of this machine, may be used; one that hangs is of no use.
docker_answers() { timeout 30 docker info >/dev/null 2>&1; }

# locked NAME COMMAND...: run COMMAND (a function too) while nobody else runs one under NAME. The descriptor is closed in daemons by "9>&-".
locked() {
  local name=$1; shift
  mkdir -p "$cache/lock"
  (
    flock -n 9 || { say "waiting for another run that holds the lock \"$name\""; flock 9; }
    "$@"
  ) 9>"$cache/lock/$name"
}
