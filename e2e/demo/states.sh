#!/usr/bin/env bash
# states.sh: shows the states of everything in a namespace as they pass, and waits for the good ones.
#
#   states.sh watch NAMESPACE            one line per change, until it is killed
#   states.sh wait NAMESPACE SECONDS     0 when cluster, store, key, alias and access key are ready; 1 when the time is up or the store FAILED
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../cluster/common.sh
. "$here/../cluster/common.sh"

# KIND FIELDS: what of each kind is its state
fields() {
  cat <<'END'
cloudhsmclusters {.status.state}
customkeystores {.status.connectionState} {.status.connectionErrorCode}
kmskeys {.status.keyState}
END
}

watch() {
  local kind state
  while read -r kind state; do
    kubectl get "$kind" -n "$1" --watch -o jsonpath="{.kind} {.metadata.name}: $state{\"\\n\"}" 2>/dev/null | changes &
  done < <(fields)
  # shellcheck disable=SC2046  # a list of numbers
  trap 'kill $(jobs -p) 2>/dev/null || true; exit 0' TERM INT
  wait
}

# changes: of lines "KIND NAME: STATE", those that have a state and differ from the one before
changes() {
  local line previous=
  while read -r line; do
    line=${line% }
    if [ "$line" != "$previous" ] && [ "${line%:}" = "$line" ]; then say "      $line"; previous=$line; fi
  done
}

# ready: the first object of each kind is in its good state
ready() {
  [ "$(one "$1" cloudhsmclusters .status.state)" = ACTIVE ] &&
    [ "$(one "$1" customkeystores .status.connectionState)" = CONNECTED ] &&
    [ "$(one "$1" kmskeys .status.keyState)" = Enabled ] &&
    [ "$(one "$1" kmsaliases '.status.conditions[?(@.type=="Ready")].status')" = True ] &&
    [ "$(one "$1" kmsaccesskeys .status.delivered)" = true ]
}
# Nothing is printed while there is no such object or it has no such field.
one() { kubectl --request-timeout=10s get "$2" -n "$1" -o jsonpath="{.items[0]$3}" 2>/dev/null || true; }

wait_ready() {
  local end=$((EPOCHSECONDS + $2))
  until ready "$1"; do
    [ $EPOCHSECONDS -lt $end ] || return 1
    if [ "$(one "$1" customkeystores .status.connectionState)" = FAILED ]; then return 1; fi
    sleep 0.5
  done
}

case "${1-} $#" in
"watch 2") watch "$2" ;;
"wait 3") wait_ready "$2" "$3" ;;
-h* | --help*) usage ;;
*) usage >&2; exit 2 ;;
esac
