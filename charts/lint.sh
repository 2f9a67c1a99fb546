#!/usr/bin/env bash
# lint.sh: checks what needs no API server and no build: helm lint, and properties of what the chart renders. Values that must be refused, the
# roles and strict validation are in e2e/tests/integration/chart.rs.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
chart=$here/keystore-operator
helm=$("$here/../e2e/cluster/binaries.sh" helm)/helm

"$helm" lint --strict --quiet "$chart"
rendered=$("$helm" template keystore-operator "$chart")
forbidden() { # forbidden WHAT PATTERN
  if grep -nE "$2" <<<"$rendered"; then echo "lint.sh: the chart renders $1" >&2; exit 1; fi
}
forbidden "hostPath, hostNetwork or a privileged container" 'hostPath|hostNetwork|privileged: true'
# Every definition is kept on uninstall and carries the group of the product.
for crd in "$chart"/files/crds/*.yaml; do
  grep -q '^metadata:$' "$crd" || { echo "lint.sh: $crd has no line \"metadata:\" that the keep annotation could follow" >&2; exit 1; }
done
definitions=$(grep -c '^kind: CustomResourceDefinition$' <<<"$rendered" || true)
kept=$(grep -A 3 '^kind: CustomResourceDefinition$' <<<"$rendered" | grep -c 'helm.sh/resource-policy: keep' || true)
if [ "$definitions" != "$kept" ] || [ "$definitions" -lt 7 ]; then echo "lint.sh: $kept of $definitions definitions are kept on uninstall; there should be 7 or more" >&2; exit 1; fi
echo "chart: ok"
