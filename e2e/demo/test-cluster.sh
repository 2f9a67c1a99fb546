#!/usr/bin/env bash
# test-cluster.sh: provides what the e2e tests need, and prints it as lines to source.
#
# The kind cluster keystore-e2e, with images of this tree on its nodes; or, with CLUSTER=existing or E2E_KUBECONFIG, the cluster of
# E2E_KUBECONFIG, KUBECONFIG or ~/.kube/config. That one gets its images from a registry, one of
#   IMAGE_PREFIX=registry.example.org/team   the images of this tree are pushed there and pulled from there
#   E2E_OPERATOR_TAG, E2E_HSM_TAG            the nodes have keystore-operator and hsm-sim with these tags already
#
#   KUBECONFIG                         the cluster; DOCKER_HOST too where the daemon is private
#   KEYSTORE_BIN                       folders with kubectl, helm, the AWS CLI and a python that has boto3; also in PATH
#   E2E_OPERATOR_TAG, E2E_HSM_TAG      tags of the images keystore-operator and hsm-sim, for the chart's image.tag and hsmImage.tag
#   E2E_VALUES                         more values for the chart, as in helm --set; empty on kind
#   E2E_ENDPOINT                       URL that leads to node port 30443
#   E2E_TESTS                          which tests run: kind_* need the nodes as containers, so not on an existing cluster
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../cluster/common.sh
. "$here/../cluster/common.sh"
case ${1-} in
-h | --help) usage; exit ;;
esac

test_cluster=${E2E_CLUSTER:-keystore-e2e}

on_kind() {
  local images port
  "$here/../cluster/cluster.sh" up "$test_cluster" >/dev/null
  "$here/../cluster/cluster.sh" env "$test_cluster"
  images=$("$here/images.sh" load "$test_cluster")
  port=$("$here/../cluster/cluster.sh" port "$test_cluster" 30443)
  tags "$images"
  echo "export E2E_VALUES="
  echo "export E2E_ENDPOINT=https://localhost:$port"
  echo "export E2E_TESTS='--test=e2e_* --test=kind_*'"
}

on_existing() {
  local file endpoint images values
  file=$("$here/../cluster/existing.sh" kubeconfig)
  endpoint=$("$here/../cluster/existing.sh" endpoint)
  values=$("$here/values.sh" "$endpoint")
  if [ -n "${IMAGE_PREFIX-}" ]; then
    images=$("$here/images.sh" push "$IMAGE_PREFIX")
    tags "$images"
  elif [ -n "${E2E_OPERATOR_TAG-}" ] && [ -n "${E2E_HSM_TAG-}" ]; then
    echo "export E2E_OPERATOR_TAG=$E2E_OPERATOR_TAG E2E_HSM_TAG=$E2E_HSM_TAG"
  else
    fail "the nodes of an existing cluster must find the images: set IMAGE_PREFIX to a registry and a path, or E2E_OPERATOR_TAG and E2E_HSM_TAG (see $0 --help)"
  fi
  echo "export KUBECONFIG='$file'"
  echo "export E2E_VALUES='$values'"
  echo "export E2E_ENDPOINT=$endpoint"
  say "NOT RUN on an existing cluster: e2e/tests/kind_*, which kill nodes and cut zones off"
  echo "export E2E_TESTS='--test=e2e_*'"
}
tags() { # tags LINES: what images.sh prints
  echo "export E2E_OPERATOR_TAG=$(sed -n 's/^keystore-operator \([^ ]*\) .*/\1/p' <<<"$1")"
  echo "export E2E_HSM_TAG=$(sed -n 's/^hsm-sim \([^ ]*\) .*/\1/p' <<<"$1")"
}

case ${CLUSTER-} in
kind) on_kind ;;
existing) on_existing ;;
'') if [ -n "${E2E_KUBECONFIG-}" ]; then on_existing; else on_kind; fi ;;
*) fail "CLUSTER is \"$CLUSTER\"; it may be kind, existing or unset" ;;
esac
tools=$("$here/../cluster/binaries.sh" all)
aws=$("$here/aws-cli.sh")
echo "export KEYSTORE_BIN='$tools:$aws'"
echo "export PATH=\"\$KEYSTORE_BIN:\$PATH\""
