#!/usr/bin/env bash
# existing.sh: looks at a cluster that is there already, the one of your kubeconfig, for CLUSTER=existing. Changes nothing.
#
#   existing.sh kubeconfig   print the kubeconfig file, after a look whether that cluster has what the quickstart needs
#   existing.sh endpoint     print the URL that leads to node port 30443: $E2E_ENDPOINT, or a node's address that this machine reaches
#   existing.sh tools        print a folder with kubectl and helm: yours, or built ones
#
# The cluster is that of $E2E_KUBECONFIG, $KUBECONFIG or ~/.kube/config, in this order, in its current context.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=common.sh
. "$here/common.sh"

export KUBECONFIG=${E2E_KUBECONFIG:-${KUBECONFIG:-$HOME/.kube/config}}
node_port=30443
zones=(local-1a local-1b local-1c)
kubectl() { "$(tools)/kubectl" --request-timeout=10s "$@"; }

# Both of the user's own, in one folder, or both of ours.
tools() {
  local own
  # Of files only: "command -v" would find the function above.
  own=$(type -P kubectl) || own=
  own=${own%/*}
  if [ -n "$own" ] && [ -x "$own/helm" ]; then echo "$own"; else "$here/binaries.sh" all; fi
}

kubeconfig() {
  [ -r "$KUBECONFIG" ] || fail "CLUSTER=existing uses your kubeconfig, but $KUBECONFIG cannot be read; set KUBECONFIG to one file"
  local found zone missing=()
  found=$(kubectl get nodes -o 'jsonpath={range .items[*]}{.metadata.labels.topology\.kubernetes\.io/zone}{"\n"}{end}') ||
    fail "the cluster of $KUBECONFIG does not answer"
  for zone in "${zones[@]}"; do grep -qxF "$zone" <<<"$found" || missing+=("$zone"); done
  [ ${#missing[@]} = 0 ] || fail "no node is in the zone ${missing[*]}, in which deploy/quickstart/ puts HSMs: kubectl label node NODE topology.kubernetes.io/zone=${missing[0]}"
  [ -n "$(kubectl get storageclass -o name)" ] || fail "the cluster has no StorageClass; an HSM needs a volume"
  say "using the cluster of $KUBECONFIG, context $(kubectl config current-context)"
  # Whole, because cargo runs tests in another folder.
  realpath --no-symlinks -- "$KUBECONFIG"
}

# A node that this machine reaches answers on its kubelet's port, also before anything listens on the node port.
endpoint() {
  if [ -n "${E2E_ENDPOINT-}" ]; then echo "$E2E_ENDPOINT"; return; fi
  local address
  for address in $(kubectl get nodes -o 'jsonpath={range .items[*]}{.status.addresses[?(@.type=="ExternalIP")].address}{"\n"}{.status.addresses[?(@.type=="InternalIP")].address}{"\n"}{end}'); do
    if timeout 3 bash -c "exec 3<>/dev/tcp/$address/10250" 2>/dev/null; then
      say "using node port $node_port of the node $address (E2E_ENDPOINT=https://HOST:PORT says otherwise)"
      echo "https://$address:$node_port"
      return
    fi
  done
  fail "no node's address is reached from here. Lead a port of a host that you reach to node port $node_port and set E2E_ENDPOINT=https://HOST:PORT"
}

case "${1-} $#" in
"kubeconfig 1" | "endpoint 1" | "tools 1") "$1" ;;
-h* | --help*) usage ;;
*) usage >&2; exit 2 ;;
esac
