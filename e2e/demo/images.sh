#!/usr/bin/env bash
# images.sh: builds both images from the source tree, and puts them on the nodes of a cluster.
#
#   images.sh build          compile (dev profile, static), write target/images/*.tar; prints one line per image: NAME TAG FILE
#   images.sh load CLUSTER   the same, and load what a node of that cluster lacks; prints the same lines
#   images.sh push PREFIX    the same, and push them as PREFIX/NAME:TAG without Docker (for CLUSTER=existing); prints the same lines.
#                            PREFIX is a registry and a path, such as registry.example.org/team. Credentials are those of `docker login`
#                            or `crane auth login`.
#
# A tag is the hash of the program inside, so an unchanged program is neither loaded again nor restarted by Helm.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
# shellcheck source=../cluster/common.sh
. "$here/../cluster/common.sh"

images=(keystore-operator hsm-sim)
target=${CARGO_TARGET_DIR:-$root/target}
programs=$target/x86_64-unknown-linux-gnu/debug
out=$root/target/images

compile() {
  (cd "$root" && cargo build --locked --quiet --workspace "${BUILD_TARGETS:---bins}") >&2
}

# strip --strip-debug: line tables are half of the file; names for backtraces stay.
archive() { # archive NAME: writes the archive unless it is there, prints its line
  local name=$1 tag file stripped
  tag=$(sha256sum "$programs/$name" | cut -c1-12)
  file=$out/$name-$tag.tar
  if [ ! -e "$file" ]; then
    mkdir -p "$out"
    rm -f "$out/$name"-????????????.tar
    stripped=$(mktemp)
    strip --strip-debug -o "$stripped" "$programs/$name"
    chmod 755 "$stripped"
    "$here/../cluster/image.sh" "$stripped" "$name:$tag" "$file" >&2
    rm "$stripped"
  fi
  echo "$name $tag $file"
}

build() {
  compile
  local name
  for name in "${images[@]}"; do archive "$name"; done
}

# missing CLUSTER IMAGE: true if a node lacks it. The nodes are asked, because a kubelet may have thrown the image away.
missing() {
  local nodes node
  nodes=$(docker ps --filter "label=io.x-k8s.kind.cluster=$1" --format '{{.Names}}') && [ -n "$nodes" ] || return 0
  for node in $nodes; do
    docker exec "$node" ctr --namespace k8s.io images ls -q 2>/dev/null | grep -xF "docker.io/library/$2" >/dev/null || return 0
  done
  return 1
}

load() {
  local cluster=$1 lines name tag file
  eval "$("$here/../cluster/cluster.sh" env "$cluster")"
  lines=$(build)
  while read -r name tag file; do
    if missing "$cluster" "$name:$tag"; then "$here/../cluster/cluster.sh" load "$cluster" "$file"; fi
  done <<<"$lines"
  echo "$lines"
}

push() {
  local crane lines name tag file
  crane=$("$here/../cluster/binaries.sh" crane)/crane
  lines=$(build)
  while read -r name tag file; do
    say "pushing $1/$name:$tag"
    again "pushing $1/$name:$tag" "$crane" push "$file" "$1/$name:$tag" >/dev/null || fail "$1/$name:$tag could not be pushed; is $1 a registry and a path that you may write to?"
  done <<<"$lines"
  echo "$lines"
}

case "${1-} $#" in
"build 1") build ;;
"load 2") load "$2" ;;
"push 2") push "$2" ;;
-h* | --help*) usage ;;
*) usage >&2; exit 2 ;;
esac
