#!/usr/bin/env bash
# lint.sh: checks the chart: helm lint, values that must be refused, and properties of what it renders.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
chart=$here/keystore-operator
helm=$("$here/../e2e/cluster/binaries.sh" helm)/helm

"$helm" lint --strict --quiet "$chart"
render() { "$helm" template keystore-operator "$chart" "$@"; }

refused() { # refused WHY VALUES...: the schema or the templates must not accept these
  local why=$1; shift
  if render "$@" >/dev/null 2>&1; then echo "lint.sh: the chart accepts $why: $*" >&2; exit 1; fi
}
refused "an unknown value" --set replicas=3
refused "an unknown value deep inside" --set gateway.service.prot=443
refused "no replica" --set controllers.replicas=0
refused "a name that is no namespace" --set namespaces.hsm=Keys
refused "one namespace for two purposes" --set namespaces.vault=keystore-hsm
refused "a region that no ARN can hold" --set region=local_1
refused "a node port of a ClusterIP service" --set gateway.service.nodePort=30443
refused "an impossible port" --set gateway.service.port=70000
refused "an image tag with a space" --set 'image.tag=a b'
refused "a pull policy that Kubernetes does not know" --set image.pullPolicy=Sometimes

rendered=$(render)
forbidden() { # forbidden WHAT PATTERN
  if grep -nE "$2" <<<"$rendered"; then echo "lint.sh: the chart renders $1" >&2; exit 1; fi
}
# Wildcards in roles; apiVersions: ["*"] of the admission policies means every version of one named resource.
forbidden "a wildcard permission" '^ *(verbs|resources|apiGroups): *\[?.*"?\*|^ *- "\*"$'
forbidden "hostPath, hostNetwork or a privileged container" 'hostPath|hostNetwork|privileged: true'
# Cluster-wide roles must name no Secret.
cluster_roles=$(awk 'BEGIN { RS = "---\n" } /\nkind: ClusterRole\n/' <<<"$rendered")
[ "$(grep -c '^kind: ClusterRole$' <<<"$cluster_roles")" = 2 ] || { echo "lint.sh: expected two ClusterRoles" >&2; exit 1; }
if grep -E 'resources:.*secrets' <<<"$cluster_roles"; then echo "lint.sh: a ClusterRole reaches Secrets" >&2; exit 1; fi

# Every definition is kept on uninstall and carries the group of the product.
for crd in "$chart"/files/crds/*.yaml; do
  grep -q '^metadata:$' "$crd" || { echo "lint.sh: $crd has no line \"metadata:\" that the keep annotation could follow" >&2; exit 1; }
done
definitions=$(grep -c '^kind: CustomResourceDefinition$' <<<"$rendered" || true)
kept=$(grep -A 3 '^kind: CustomResourceDefinition$' <<<"$rendered" | grep -c 'helm.sh/resource-policy: keep' || true)
if [ "$definitions" != "$kept" ] || [ "$definitions" -lt 7 ]; then echo "lint.sh: $kept of $definitions definitions are kept on uninstall; there should be 7 or more" >&2; exit 1; fi
echo "chart: ok"
