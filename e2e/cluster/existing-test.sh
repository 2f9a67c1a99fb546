#!/usr/bin/env bash
# existing-test.sh: proves the documented way onto a cluster that is there already: `CLUSTER=existing make e2e`.
#
#   existing-test.sh         a cluster of its own, all e2e tests on it, and the cluster is deleted; exits 1 and says what was missing
#
# The cluster is one of kind, because that can be had everywhere, but "make e2e" is told no more of it than an owner of a cluster tells: a
# kubeconfig and the tags of images that the nodes have. The Docker daemon that it is told of does not exist.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
# shellcheck source=common.sh
. "$here/common.sh"
case ${1-} in -h | --help) usage; exit ;; esac
[ $# = 0 ] || { usage >&2; exit 2; }

cluster=existing-test
# E2E_KUBECONFIG and the others go before what is set below, and may lead to a cluster that somebody needs.
unset CLUSTER KUBECONFIG E2E_KUBECONFIG E2E_ENDPOINT E2E_OPERATOR_TAG E2E_HSM_TAG E2E_VALUES E2E_TESTS IMAGE_PREFIX
work=$(mktemp -d)
finish() {
  local result=$?
  "$here/cluster.sh" down $cluster || result=1
  rm -rf "$work"
  exit $result
}
trap finish EXIT
trap 'exit 1' INT TERM

# load_images: as test-cluster.sh does for kind, with the one build that the tests need, too; sets the variables that name the images
load_images() {
  local lines
  lines=$(BUILD_TARGETS=--all-targets "$here/../demo/images.sh" load $cluster)
  E2E_OPERATOR_TAG=$(sed -n 's/^keystore-operator \([^ ]*\) .*/\1/p' <<<"$lines")
  E2E_HSM_TAG=$(sed -n 's/^hsm-sim \([^ ]*\) .*/\1/p' <<<"$lines")
  export E2E_OPERATOR_TAG E2E_HSM_TAG
}

# Without a KUBECONFIG it would be the cluster of ~/.kube/config, which may be somebody's; hence the ":?".
run_tests() {
  CLUSTER=existing KUBECONFIG=${kubeconfig:?} KUBECACHEDIR=$work/kubectl DOCKER_HOST=unix://$work/no-docker.sock CARGO_TERM_COLOR=never \
    make -C "$root" e2e 2>&1 | tee "$work/log" >&2
}

# said TEXT: "make e2e" has printed it
said() { grep -qF -- "$1" "$work/log" || fail "\"make e2e\" has not said: $1"; }

check_tests() {
  local each results
  said "using the cluster of $kubeconfig, context kind-$cluster"
  said "using node port 30443 of the node "
  said "NOT RUN on an existing cluster: e2e/tests/kind_*"
  for each in "$root"/e2e/tests/e2e_*.rs; do said "Running tests/${each##*/}"; done
  if grep -F 'Running tests/kind_' "$work/log" >&2; then fail "tests that need the nodes as containers were run"; fi
  results=$(grep '^test result: ' "$work/log") || fail "no test has run"
  if grep -vE '^test result: ok\. [1-9][0-9]* passed; 0 failed; 0 ignored; ' <<<"$results" >&2; then fail "not every test has run and passed"; fi
  say "CLUSTER=existing make e2e: $(awk '{ passed += $4 } END { print passed }' <<<"$results") tests passed"
}

kubeconfig=$("$here/cluster.sh" up $cluster)
# As seen from where "make" stands, because that is how many give it.
kubeconfig=$(realpath --relative-to="$root" -- "$kubeconfig")
load_images
run_tests
check_tests
