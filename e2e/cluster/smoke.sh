#!/usr/bin/env bash
# smoke.sh: proves that a cluster does what the product needs from it, in about 20 seconds, and cleans up after itself.
#
#   smoke.sh NAME        NAME as in "cluster.sh up NAME"
#
# A non-root image of one static binary is made and loaded; three pods of a StatefulSet start in three zones, each with a volume of its
# own; they find each other by name; the NodePort 30443 answers on 127.0.0.1; data survives the deletion of a pod.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=common.sh
. "$here/common.sh"
case ${1-} in -h | --help) usage; exit ;; esac
[ $# = 1 ] || { usage >&2; exit 2; }
cluster=$1
# Nothing here takes longer than a rollout.
kubectl() { timeout 180 "$kubernetes/kubectl" --kubeconfig "$kubeconfig" --namespace smoke "$@"; }

kubeconfig=$("$here/cluster.sh" kubeconfig "$cluster")
kubernetes=$("$here/binaries.sh" kubernetes)
"$here/packages.sh" image
work=$(mktemp -d)
export KUBECACHEDIR=$work/kubectl # kubectl would write to the home folder
finish() { kubectl delete namespace smoke --ignore-not-found --wait=false >/dev/null 2>&1 || true; rm -rf "$work"; }
trap finish EXIT

"$here/image.sh" "$(command -v busybox)" busybox:smoke "$work/busybox.tar"
"$here/cluster.sh" load "$cluster" "$work/busybox.tar"
kubectl apply -f "$here/smoke.yaml" >/dev/null
kubectl rollout status statefulset/web --timeout=120s >/dev/null
say "three pods are ready"

# Pods, zones, volumes: three of each.
zones=$(for pod in web-0 web-1 web-2; do kubectl get node "$(kubectl get pod $pod -o 'jsonpath={.spec.nodeName}')" -o 'jsonpath={.metadata.labels.topology\.kubernetes\.io/zone}{"\n"}'; done | sort | paste -sd' ')
[ "$zones" = "local-1a local-1b local-1c" ] || fail "the pods are in zones: $zones"
volumes=$(kubectl get pvc -o 'jsonpath={range .items[*]}{.spec.volumeName}{"\n"}{end}' | sort -u | wc -l)
[ "$volumes" = 3 ] || fail "$volumes volumes"
say "zones: $zones, each with a volume"

# A name of a headless service exists a moment after its pod is ready. The lookup and the request are one command in the pod, which prints the
# name of the pod that answered.
reaches() {
  # No -T: with it, this busybox crashes.
  # shellcheck disable=SC2016  # expanded in the pod
  kubectl exec web-0 -- /busybox sh -c '
    address=$(/busybox nslookup -type=a "$0.web.smoke.svc.cluster.local" | /busybox awk "/^Address: / { print \$2 }")
    [ -n "$address" ] && /busybox wget -qO- "http://$address:8080/name"' "$1" 2>&1
}
for pod in web-1 web-2; do
  for try in 1 2 3 4 5 6 7 8 9 10; do
    answer=$(reaches $pod) && break
    say "web-0 does not reach $pod yet (try $try)"
    sleep 1
  done
  [ "$answer" = "$pod" ] || fail "web-0 asked $pod by name and got: $answer"
done
say "pods reach each other by name across zones"

address=127.0.0.1:$("$here/cluster.sh" port "$cluster" 30443)
[[ $(timeout 20 busybox wget -qO- "http://$address/name") == web-* ]] || fail "the NodePort did not answer on $address"
say "NodePort 30443 answers on $address"

kubectl delete pod web-1 --wait >/dev/null
kubectl wait --for=condition=Ready pod/web-1 --timeout=60s >/dev/null
[ "$(kubectl exec web-1 -- /busybox wc -l /data/starts | cut -d' ' -f1)" = 2 ] || fail "web-1 lost its volume"
say "a deleted pod comes back with its data"
