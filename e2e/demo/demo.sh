#!/usr/bin/env bash
# demo.sh: from a bare machine to `aws kms encrypt` answered by HSM pods in three zones of a real Kubernetes.
#
#   demo.sh up       every step, each with the seconds since the start; run again, it repeats only what changed
#   demo.sh down     delete the clusters of demo and tests, the private Docker daemon, images and files; the cache of built tools stays
#
# The result is target/demo/env, to be sourced. Nothing outside of target/, the cache and the cluster is
# changed, besides Debian packages that had to be installed.
# CLUSTER=existing takes the cluster of your kubeconfig instead of making one: no kind, no Docker. Its nodes pull the images from a
# registry, IMAGE_PREFIX=registry.example.org/team, to which they are pushed. "down" then uninstalls the release and keeps the keys.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
# shellcheck source=../cluster/common.sh
. "$here/../cluster/common.sh"
cluster_sh=$here/../cluster/cluster.sh

demo_cluster=${DEMO_CLUSTER:-keystore-demo}
state=$root/target/demo
namespace=quickstart
case ${CLUSTER-} in
'' | kind) existing= ;;
existing) existing=yes ;;
*) fail "CLUSTER is \"$CLUSTER\"; it may be kind, existing or unset" ;;
esac

up() {
  say "looking at this machine"
  "$here/prerequisites.sh"
  mkdir -p "$state"
  make_cluster
  make_images
  install_chart
  apply_quickstart
  use_aws_cli
  finish
}

make_cluster() {
  local file
  if [ -n "$existing" ]; then
    say "1/6 cluster: the one of your kubeconfig"
    [ -n "${IMAGE_PREFIX-}" ] || fail "the nodes of an existing cluster must find the images: set IMAGE_PREFIX to a registry and a path that they pull from and you may push to, such as registry.example.org/team"
    file=$("$here/../cluster/existing.sh" kubeconfig)
    endpoint=$("$here/../cluster/existing.sh" endpoint)
    tools=$("$here/../cluster/existing.sh" tools)
    values=,$("$here/values.sh" "$endpoint")
  else
    say "1/6 cluster: kind with one control plane and workers in three zones (first time: about 12 minutes of building)"
    file=$("$cluster_sh" up "$demo_cluster")
    endpoint=https://localhost:$("$cluster_sh" port "$demo_cluster" 30443)
    tools=$("$here/../cluster/binaries.sh" all)
    values=
  fi
  export KUBECONFIG=$file PATH=$tools:$PATH
}

make_images() {
  local line deliver=(load "$demo_cluster")
  if [ -n "$existing" ]; then deliver=(push "$IMAGE_PREFIX"); fi
  say "2/6 images: compiling keystore-operator and hsm-sim, then ${deliver[*]}"
  while read -r line; do
    # shellcheck disable=SC2086  # NAME TAG FILE
    set -- $line
    case $1 in keystore-operator) operator_tag=$2 ;; hsm-sim) hsm_tag=$2 ;; esac
  done < <("$here/images.sh" "${deliver[@]}")
  if [ -z "${operator_tag-}" ] || [ -z "${hsm_tag-}" ]; then fail "the images could not be built or delivered"; fi
}

install_chart() {
  say "3/6 helm upgrade --install keystore-operator charts/keystore-operator, waiting until it is ready"
  helm upgrade --install keystore-operator "$root/charts/keystore-operator" --namespace default --history-max 3 --wait --timeout 5m \
    --set "image.tag=$operator_tag,hsmImage.tag=$hsm_tag,gateway.service.type=NodePort,gateway.service.nodePort=30443$values" >"$state/helm.log" 2>&1 ||
    { cat "$state/helm.log" >&2; explain; fail "the chart did not become ready within 5 minutes"; }
}

apply_quickstart() {
  say "4/6 kubectl apply -f deploy/quickstart/"
  kubectl apply -f "$root/deploy/quickstart/" >"$state/apply.log" 2>&1 || { cat "$state/apply.log" >&2; fail "the quickstart was not accepted"; }
  say "5/6 states as they pass"
  "$here/states.sh" watch $namespace &
  watcher=$!
  trap 'kill "$watcher" 2>/dev/null || true' EXIT
  "$here/states.sh" wait $namespace 300 || { explain; fail "the quickstart did not become ready within 300 s"; }
  # The watches are given a moment to print what was true already.
  sleep 1
  kill "$watcher" 2>/dev/null || true
  wait "$watcher" 2>/dev/null || true
}

use_aws_cli() {
  local installed; installed=$("$here/aws-cli.sh")
  # Only "aws" itself joins the PATH of whoever sources the file, not the Python that it runs on.
  aws_cli=$state/bin
  mkdir -p "$aws_cli"
  ln -sf "$installed/aws" "$aws_cli/aws"
  # Built along with the programs of the images.
  ln -sf "$root/target/x86_64-unknown-linux-gnu/debug/kubectl-keystore" "$aws_cli/kubectl-keystore"
  write_environment
  # shellcheck source=/dev/null
  . "$state/env"
  local secret=$state/plaintext blob=$state/ciphertext
  printf 'the launch code is 00000000' >"$secret"
  run aws kms describe-custom-key-stores --query 'CustomKeyStores[].[CustomKeyStoreName, CustomKeyStoreId, CloudHsmClusterId, ConnectionState]' --output text >&2
  run aws kms encrypt --key-id alias/quickstart --plaintext "fileb://$secret" --query CiphertextBlob --output text | base64 -d >"$blob"
  run aws kms decrypt --ciphertext-blob "fileb://$blob" --query Plaintext --output text | base64 -d >"$blob.opened"
  cmp "$secret" "$blob.opened" || fail "decrypt gave something else than what was encrypted"
  say "$(stat -c %s "$secret") bytes became $(stat -c %s "$blob") bytes of ciphertext, and the same $(stat -c %s "$secret") bytes again"
  rm -f "$secret" "$blob" "$blob.opened"
}
run() { printf '         $ %s\n' "$*" >&2; "$@"; }

# The secret is written to one file that only its owner can read, and appears in no argument.
write_environment() {
  local access secret
  kubectl get secret -n keystore-gateway gateway-serving -o jsonpath='{.data.ca\.crt}' | base64 -d >"$state/ca.crt"
  access=$(kubectl get secret -n $namespace app-credentials -o jsonpath='{.data.AWS_ACCESS_KEY_ID}' | base64 -d)
  secret=$(kubectl get secret -n $namespace app-credentials -o jsonpath='{.data.AWS_SECRET_ACCESS_KEY}' | base64 -d)
  (
    umask 077
    rm -f "$state/env"
    cat >"$state/env" <<END
# Made by \`make demo\`; source it in a shell:  source target/demo/env
export KUBECONFIG='$KUBECONFIG'
export PATH='$aws_cli:$tools':"\$PATH"
export AWS_ENDPOINT_URL_KMS='$endpoint'
export AWS_ENDPOINT_URL_CLOUDHSM_V2='$endpoint'
export AWS_ENDPOINT_URL_STS='$endpoint'
export AWS_CA_BUNDLE='$state/ca.crt'
export AWS_REGION='local-1' AWS_DEFAULT_REGION='local-1'
export AWS_ACCESS_KEY_ID='$access'
export AWS_SECRET_ACCESS_KEY='$secret'
unset AWS_SESSION_TOKEN AWS_PROFILE AWS_ENDPOINT_URL
export AWS_EC2_METADATA_DISABLED=true AWS_PAGER=
END
  )
}

finish() {
  say "6/6 done; target/demo/env is written"
  cat >&2 <<END

Try next:
  source target/demo/env
  kubectl keystore status -n quickstart                   the cluster, its HSMs, the store, the key: one tree
  kubectl get pods -n keystore-hsm -o wide                three HSMs on three nodes
  aws sts get-caller-identity
  aws kms describe-key --key-id alias/quickstart
  aws kms generate-data-key --key-id alias/quickstart --key-spec AES_256
  kubectl delete pod -n keystore-hsm -l app.kubernetes.io/name=hsm-sim --wait=false     and encrypt all the same, once one is back
  kubectl delete kmskey -n quickstart quickstart          refused: it has key material
The cluster stays until you run: ${existing:+CLUSTER=existing }make down
END
}

# explain: what a person would look at first
explain() {
  { kubectl get pods -A -o wide; kubectl get keystores -n $namespace
    kubectl describe chc,cks,kk,kmsaccesskeys -n $namespace | grep -E '^Name:|Message:|Reason:|Status:' 
    kubectl logs -n keystore-system deployment/keystore-operator --tail=20
    kubectl logs -n keystore-gateway deployment/keystore-gateway --tail=10; } >&2 2>&1 || true
}

down() {
  if [ -n "$existing" ]; then leave_existing; return; fi
  "$cluster_sh" down --all
  rm -rf "$state" "$root/target/images"
  say "nothing is left but the cache of built tools in $cache; delete it for a cold start"
}

# Somebody's cluster may hold keys that somebody uses: those stay.
leave_existing() {
  local file
  file=$("$here/../cluster/existing.sh" kubeconfig)
  "$("$here/../cluster/existing.sh" tools)/helm" --kubeconfig "$file" uninstall keystore-operator --namespace default --ignore-not-found --wait >&2
  rm -rf "$state"
  say "uninstalled; HSM pods, volumes, keys and definitions stay. docs/protection.md says how to remove them for good"
}

case "${1-} $#" in
"up 1") locked demo up ;;
"down 1") locked demo down ;;
-h* | --help*) usage ;;
*) usage >&2; exit 2 ;;
esac
