#!/usr/bin/env bash
# binaries.sh: builds the programs a local cluster needs from their published Go modules, once, into the cache.
#
#   binaries.sh kubernetes   kube-apiserver, kube-controller-manager, kube-scheduler, kubelet, kube-proxy, kubeadm, kubectl, etcd
#   binaries.sh kind | helm | coredns | local-path-provisioner
#   binaries.sh all          everything above, as links in one folder
#   binaries.sh crane        pushes images to a registry without Docker (for CLUSTER=existing only)
#   binaries.sh folder NAME  only print where NAME of these versions is or would be
#
# The last line of stdout is the folder that holds the programs; progress goes to stderr. What the cache has is not built again.
# The cache is $KEYSTORE_CACHE (default ~/.cache/keystore-operator); a folder's name ends in a hash of all that went into it.
# Cold on two cores: kubernetes 6 min, the others 1 to 2 min each. No C compiler is used; needs Go as new as kubernetes/go.mod says.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=common.sh
. "$here/common.sh"

# kind v0.32.0 is the last known to accept cgroup v1, which also ties Kubernetes to 1.34 (kubernetes/go.mod).
kind=sigs.k8s.io/kind@v0.32.0
helm=helm.sh/helm/v3/cmd/helm@v3.19.5
coredns=github.com/coredns/coredns@v1.12.4
local_path_provisioner=github.com/rancher/local-path-provisioner@v0.0.30
crane=github.com/google/go-containerregistry/cmd/crane@v0.21.9
components=(kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubeadm kubectl etcd)
kubernetes_version=$(sed -n 's/^\tk8s.io\/kubernetes \(v.*\)/\1/p' "$here/kubernetes/go.mod")

# Static, small, without paths of this machine. nice: a build of minutes should not starve what else runs here.
build() { env CGO_ENABLED=0 GOWORK=off GOFLAGS=-buildvcs=false nice -n 5 go "$1" -trimpath "${@:2}"; }

folder_of() { # folder_of NAME: where NAME of these versions lives, built or not
  case $1 in
  kubernetes) echo "$cache/bin/kubernetes-$(key "$(cat "$here"/kubernetes/{go.mod,go.sum,main.go})")" ;;
  kind) echo "$cache/bin/kind-$(key "$kind")" ;;
  helm) echo "$cache/bin/helm-$(key "$helm")" ;;
  coredns) echo "$cache/bin/coredns-$(key "$coredns")" ;;
  local-path-provisioner) echo "$cache/bin/local-path-provisioner-$(key "$local_path_provisioner")" ;;
  crane) echo "$cache/bin/crane-$(key "$crane")" ;;
  all) echo "$cache/bin/all-$(key "$(for each in "${parts[@]}"; do basename "$(folder_of "$each")"; done)")" ;;
  esac
}
parts=(kubernetes kind helm coredns local-path-provisioner)

make_kubernetes() { # make_kubernetes FOLDER
  local minor=${kubernetes_version#v1.}
  # Without the stamped version the API server calls itself v0.0.0 and kubeadm refuses.
  (cd "$here/kubernetes" && build build -o "$1/kube" -ldflags "-s -w
    -X k8s.io/component-base/version.gitVersion=$kubernetes_version
    -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=${minor%%.*}" .) || return
  local each
  for each in "${components[@]}"; do ln -s kube "$1/$each"; done
}
make_kind() { GOBIN=$1 build install -ldflags "-s -w" $kind; }
make_helm() { GOBIN=$1 build install -ldflags "-s -w -X helm.sh/helm/v3/internal/version.version=${helm#*@}" $helm; }
make_coredns() { GOBIN=$1 build install -ldflags "-s -w" $coredns; }
make_local-path-provisioner() { GOBIN=$1 build install -ldflags "-s -w" $local_path_provisioner; }
make_crane() { GOBIN=$1 build install -ldflags "-s -w" $crane; }
# provide NAME: the folder appears under its final name only when it is complete, so an interrupted build leaves nothing that looks built.
provide() {
  local name=$1 final temporary log started=$EPOCHSECONDS
  final=$(folder_of "$name")
  [ -d "$final" ] && return
  need_go
  say "building $name (once; kept in $final)"
  temporary=$(new_folder "$name") log=$temporary.log
  # shellcheck disable=SC2064  # these names, now
  trap "tail -n 40 '$log' >&2; rm -rf '$temporary' '$log'" EXIT
  # What was fetched and compiled before a failure is in the caches of Go, so another try goes on from there.
  again "building $name" logged "$log" "make_$name" "$temporary"
  trap - EXIT
  rm "$log"
  mv -T "$temporary" "$final"
  say "built $name in $((EPOCHSECONDS - started)) s"
}

# One folder of links for whoever wants one entry in PATH.
provide_all() {
  local each temporary
  for each in "${parts[@]}"; do provide "$each"; done
  [ -d "$(folder_of all)" ] && return
  temporary=$(new_folder all)
  for each in "${parts[@]}"; do find "$(folder_of "$each")" -mindepth 1 -exec ln -s {} "$temporary" \;; done
  mv -T "$temporary" "$(folder_of all)"
}

# Nobody else builds, so what lies there under such a name was interrupted.
new_folder() {
  local temporary
  rm -rf "$cache/bin/.building-$1".*
  mkdir -p "$cache/bin"
  temporary=$(mktemp -d "$cache/bin/.building-$1.XXXXXX")
  chmod 755 "$temporary" # mktemp makes it private, but the programs are for everybody
  echo "$temporary"
}

need_go() {
  local wanted
  wanted=$(sed -n 's/^go //p' "$here/kubernetes/go.mod")
  command -v go >/dev/null || fail "Go $wanted or newer is needed to build Kubernetes and its tools, and there is no \"go\" in PATH"
  printf '%s\n%s\n' "$wanted" "$(go env GOVERSION | sed 's/^go//;s/[- ].*//')" | sort -CV || fail "Go $wanted or newer is needed, this is $(go env GOVERSION)"
}

case ${1-} in
kubernetes | kind | helm | coredns | local-path-provisioner | crane)
  [ -d "$(folder_of "$1")" ] || locked binaries provide "$1"
  folder_of "$1"
  ;;
all)
  [ -d "$(folder_of all)" ] || locked binaries provide_all
  folder_of all
  ;;
folder) [ $# = 2 ] && folder_of "$2" ;;
-h | --help) usage ;;
*) usage >&2; exit 2 ;;
esac
