#!/usr/bin/env bash
# generate.sh: writes what is generated: crds/ and the chart's copy of it from the Rust types, charts/rbac.txt from the chart's roles.
#
#   generate.sh FOLDER     write below FOLDER (the root of a source tree)
#   generate.sh --check    write into a copy and fail if the tree differs from it
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

generate() {
  mkdir -p "$1/crds" "$1/charts/keystore-operator/files/crds"
  rm -f "$1"/crds/*.yaml "$1"/charts/keystore-operator/files/crds/*.yaml
  # Everything, as the tests build it: the program alone would have other features, and half the graph would be compiled again.
  (cd "$root" && cargo build --locked --quiet --workspace --all-targets)
  "${CARGO_TARGET_DIR:-$root/target}/x86_64-unknown-linux-gnu/debug/keystore-operator" crds --out "$1/crds"
  cp "$1"/crds/*.yaml "$1/charts/keystore-operator/files/crds/"
  KEYSTORE_BIN=$("$root/e2e/cluster/binaries.sh" helm) "${CARGO_TARGET_DIR:-$root/target}/x86_64-unknown-linux-gnu/debug/rbac-table" >"$1/charts/rbac.txt"
}

check() {
  local copy; copy=$(mktemp -d)
  # shellcheck disable=SC2064  # the folder as it is now
  trap "rm -rf '$copy'" EXIT
  generate "$copy"
  local folder
  for folder in crds charts/keystore-operator/files/crds charts/rbac.txt; do
    diff -ru "$root/$folder" "$copy/$folder" || { echo "generate.sh: $folder is out of date: run \"make generate\"" >&2; exit 1; }
  done
  echo "generated files: ok"
}

case ${1-} in
--check) check ;;
'') echo "usage: generate.sh FOLDER | --check" >&2; exit 2 ;;
*) generate "$(cd "$1" && pwd)" ;;
esac
