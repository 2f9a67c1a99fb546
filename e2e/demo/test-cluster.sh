#!/usr/bin/env bash
# test-cluster.sh: provides what the e2e tests need, and prints it as lines to source.
#
# Without KUBECONFIG or E2E_KUBECONFIG: the kind cluster keystore-e2e, with images of this tree on its nodes.
# With one of them (but not that of a cluster made here, as target/demo/env sets it): that cluster. Its nodes must already have, or find in a registry, the images that E2E_OPERATOR_TAG and E2E_HSM_TAG name,
# and E2E_ENDPOINT must be the address of its node port 30443.
#
#   KUBECONFIG                         the cluster; DOCKER_HOST too where the daemon is private
#   KEYSTORE_BIN                       folders with kubectl, helm, the AWS CLI and a python that has boto3; also in PATH
#   E2E_OPERATOR_TAG, E2E_HSM_TAG      tags of the images keystore-operator and hsm-sim, for the chart's image.tag and hsmImage.tag
#   E2E_ENDPOINT                       URL that leads to node port 30443
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../cluster/common.sh
. "$here/../cluster/common.sh"
case ${1-} in
-h | --help) usage; exit ;;
esac

test_cluster=${E2E_CLUSTER:-keystore-e2e}
given=${E2E_KUBECONFIG:-${KUBECONFIG-}}
case $given in "$run/clusters/"*) given= ;; esac

if [ -n "$given" ]; then
  for variable in E2E_OPERATOR_TAG E2E_HSM_TAG E2E_ENDPOINT; do
    [ -n "${!variable-}" ] || fail "KUBECONFIG is set, so that cluster is used, and then $variable is needed too (see $0 --help)"
  done
  say "using the cluster of $given"
  echo "export KUBECONFIG='$given'"
else
  "$here/../cluster/cluster.sh" up "$test_cluster" >/dev/null
  "$here/../cluster/cluster.sh" env "$test_cluster"
  images=$("$here/images.sh" load "$test_cluster")
  echo "export E2E_OPERATOR_TAG=$(sed -n 's/^keystore-operator \([^ ]*\) .*/\1/p' <<<"$images")"
  echo "export E2E_HSM_TAG=$(sed -n 's/^hsm-sim \([^ ]*\) .*/\1/p' <<<"$images")"
  echo "export E2E_ENDPOINT=https://localhost:$("$here/../cluster/cluster.sh" port "$test_cluster" 30443)"
fi
tools=$("$here/../cluster/binaries.sh" all)
aws=$("$here/aws-cli.sh")
echo "export KEYSTORE_BIN='$tools:$aws'"
echo "export PATH=\"\$KEYSTORE_BIN:\$PATH\""
