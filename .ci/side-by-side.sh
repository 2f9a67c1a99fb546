#!/usr/bin/env bash
# side-by-side.sh: side-by-side.sh TARGETS TARGETS runs two lists of make targets at the same time and fails if one of them fails.
#
# What the first prints is shown as it comes, what the second prints once both have ended. Both run to their end: a failure in one says
# nothing about the other.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ $# = 2 ] || { echo "usage: $0 TARGETS TARGETS" >&2; exit 2; }

log=$(mktemp)
# A process group of its own for the second, so that it ends with this script, whatever it has started.
set -m
# shellcheck disable=SC2086  # a list of words
make $2 >"$log" 2>&1 </dev/null &
second=$!
set +m
trap 'kill -- "-$second" 2>/dev/null || true; rm -f "$log"' EXIT

echo "side by side with what follows, and printed after it: make $2"
first_failed=0
# shellcheck disable=SC2086  # a list of words
make $1 || first_failed=$?
second_failed=0
wait "$second" || second_failed=$?
cat "$log"
for outcome in "$first_failed $1" "$second_failed $2"; do
  [ "${outcome%% *}" = 0 ] || echo "FAILED: make ${outcome#* }" >&2
done
exit $((first_failed > second_failed ? first_failed : second_failed))
