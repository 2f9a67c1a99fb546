#!/usr/bin/env bash
# node-image.sh: makes kind's node image where no image registry answers, from Debian packages, our one Kubernetes binary and the files in
# kind's own Go module, and imports it into the Docker daemon at $DOCKER_HOST. Root, Debian 12.
#
#   node-image.sh            import it, building what the cache lacks; prints the image's name
#   node-image.sh build      only fill the cache: needs no Docker daemon
#   node-image.sh name       print the image's name
#
# Two archives are cached in $KEYSTORE_CACHE/image: the Debian base (network, one minute) and the finished root file system, which
# `docker import` takes in seconds after the private daemon was deleted.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=common.sh
. "$here/common.sh"
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

kubernetes=$(sed -n 's/^\tk8s.io\/kubernetes \(v.*\)/\1/p' "$here/kubernetes/go.mod")
kind_module=$(sed -n 's/^kind=//p' "$here/binaries.sh")
# The tags that "kubeadm config images list" of this Kubernetes prints; kubeadm looks for exactly these.
coredns=v1.12.1 etcd=3.6.5-0 pause=3.10.1
# Names of our own images, under a domain that no registry can have.
own=keystore.internal
registry=registry.k8s.io

packages=systemd,systemd-sysv,dbus,conntrack,iptables,nftables,iproute2,ethtool,util-linux,mount,kmod,libseccomp2,pigz,e2fsprogs,bash
packages+=,ca-certificates,jq,procps,socat,containerd,runc,containernetworking-plugins,hostname,netbase
base=$cache/image/debian-$(key "$packages").tar
tools=$("$here/binaries.sh" folder all)
version=$(key "$(cat "$here/node-image.sh" "$here/mkimage.py" "$here"/node/*)" "${tools##*/}" "${base##*/}")
image=$own/kind-node:$kubernetes-$version
archive=$cache/image/node-$version.tar

build() {
  [ -e "$archive" ] && return
  [ "$(id -u)" = 0 ] || fail "building the node image needs root (mmdebstrap, chroot)"
  "$here/packages.sh" image
  "$here/binaries.sh" all >/dev/null
  mkdir -p "$cache/image"
  make_base
  work=$(mktemp -d "$cache/image/.node.XXXXXX")
  trap discard EXIT
  root=$work/root stage=$work/stage
  mkdir "$root" "$stage"
  say "node image: assembling the root file system"
  tar -C "$root" --numeric-owner --xattrs -xf "$base"
  add_kind_files
  configure_containerd
  configure_systemd
  add_kubernetes
  say "node image: packing the container images that run on a node"
  make_images
  preload_images
  tar -C "$root" --numeric-owner --xattrs -cf "$work/node.tar" .
  mv "$work/node.tar" "$archive"
}
discard() {
  if [ -n "${containerd-}" ]; then kill "$containerd" 2>/dev/null || true; wait "$containerd" || true; fi
  rm -rf "$work"
}

make_base() {
  [ -e "$base" ] && return
  say "node image: fetching a minimal Debian (once)"
  again "fetching a minimal Debian" fetch_base
  mv "$base.part.tar" "$base"
}
fetch_base() {
  local sources=/etc/apt/sources.list.d/debian.sources
  [ -e $sources ] || sources=/etc/apt/sources.list
  rm -f "$base.part.tar"
  # shellcheck disable=SC2016  # mmdebstrap expands $1
  mmdebstrap --quiet --variant=minbase --include=$packages \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/* "$1"/usr/share/i18n "$1"/usr/share/bash-completion "$1"/etc/apt/sources.list*' \
    bookworm "$base.part.tar" $sources >&2
}

add_kind_files() {
  local module
  module=$(cd / && again "fetching $kind_module" env GOFLAGS='' go mod download -json "$kind_module" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
  files=$module/images/base/files
  mkdir -p "$root"/kind/{bin,manifests} "$root"/etc/{containerd,kubernetes/manifests,systemd/system/kubelet.service.d} "$root/opt/cni"
  install -m 0755 "$files/usr/local/bin/entrypoint" "$here/node/crictl" "$root/usr/local/bin/"
  install -m 0755 "$files"/kind/bin/* "$root/kind/bin/"
  install -m 0644 "$files/etc/crictl.yaml" "$root/etc/"
  install -m 0644 "$files/etc/default/kubelet" "$root/etc/default/"
  install -m 0644 "$files"/etc/sysctl.d/* "$root/etc/sysctl.d/"
  install -m 0644 "$files"/etc/systemd/system/{kubelet.slice,undo-mount-hacks.service,containerd.service,kubelet.service} "$root/etc/systemd/system/"
  install -m 0644 "$files"/etc/systemd/system/kubelet.service.d/* "$root/etc/systemd/system/kubelet.service.d/"
  printf %s "$kubernetes" >"$root/kind/version"
  # kind applies these two manifests: the network (ours) and the storage class (kind's, with our images).
  install -m 0644 "$here/node/default-cni.yaml" "$root/kind/manifests/"
  sed -n '/^const defaultStorageManifest/,/^`/p' "$module/pkg/build/nodeimage/const_storage.go" | sed "1d;\$d
    s#\` + storageProvisionerImage + \`#$own/local-path-provisioner:local#;s#\` + storageHelperImage + \`#$own/busybox:local#" \
    >"$root/kind/manifests/default-storage.yaml"
}

configure_containerd() {
  # Debian's containerd lies in /usr/bin, and without CAP_SYS_RESOURCE nobody may lower an oom_score_adj. The fuse-overlayfs snapshotter is
  # for rootless kind only.
  sed -i 's#/usr/local/bin/containerd#/usr/bin/containerd#;/^OOMScoreAdjust/d' "$root/etc/systemd/system/containerd.service"
  sed "s#restrict_oom_score_adj = false#restrict_oom_score_adj = true#;s#pause:[0-9.]*\"#pause:$pause\"#;/^\[proxy_plugins/,/^  address/d" \
    "$files/etc/containerd/config.toml" >"$root/etc/containerd/config.toml"
  # Every container sees the node's product files (kind's own hook) and takes its limits from the node.
  ctr oci spec >"$root/spec.json"
  chroot "$root" jq '.hooks.createContainer += [{"path": "/kind/bin/mount-product-files.sh"}] | del(.process.rlimits)' /spec.json \
    >"$root/etc/containerd/cri-base.json"
  rm "$root/spec.json"
  ln -s /usr/lib/cni "$root/opt/cni/bin"
}

# As kind's own Dockerfile: only what a node needs is started.
configure_systemd() {
  (
    cd "$root"
    rm -f lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service {lib,etc}/systemd/system/multi-user.target.wants/* \
      etc/systemd/system/*.wants/* lib/systemd/system/local-fs.target.wants/* \
      lib/systemd/system/sockets.target.wants/*{udev,initctl}* lib/systemd/system/basic.target.wants/*
  )
  echo ReadKMsg=no >>"$root/etc/systemd/journald.conf"
  chroot "$root" systemctl --quiet enable kubelet.service containerd.service undo-mount-hacks.service
  chroot "$root" systemctl --quiet mask systemd-binfmt.service
}

add_kubernetes() {
  local each
  install -m 0755 "$tools/kube" "$root/usr/bin/kube"
  for each in kubeadm kubelet kubectl; do ln -s kube "$root/usr/bin/$each"; done
}

make_images() {
  local each library
  for each in kube busybox coredns pause lpp; do mkdir -p "$stage/$each"/{bin,usr/bin,usr/local/bin,tmp}; done
  cp "$(command -v busybox)" "$stage/busybox/bin/busybox"
  "$stage/busybox/bin/busybox" --list | grep -vx busybox | while read -r each; do ln -s busybox "$stage/busybox/bin/$each"; done
  # The image of the Kubernetes components also runs node-net, hence the shell, and kube-proxy calls nft.
  cp -a "$stage/busybox/bin/." "$stage/kube/bin/"
  install -m 0755 "$tools/kube" "$here/node/node-net" "$stage/kube/usr/bin/"
  for each in etcd kube-apiserver kube-controller-manager kube-scheduler kubectl; do ln -s kube "$stage/kube/usr/bin/$each"; done
  ln -s ../../bin/kube "$stage/kube/usr/local/bin/kube-proxy" # the path that kubeadm's DaemonSet names
  cp -L "$(command -v nft)" "$stage/kube/usr/bin/"
  ldd "$(command -v nft)" | grep -o '/[^ ]*' | while read -r library; do
    mkdir -p "$stage/kube${library%/*}"
    cp -L "$library" "$stage/kube$library"
  done
  cp -L "$tools/coredns" "$stage/coredns/usr/bin/"
  cp -L "$tools/local-path-provisioner" "$stage/lpp/usr/bin/"
  cp "$(command -v catatonit)" "$stage/pause/usr/bin/"
  pack kube --entrypoint /usr/bin/kube -- $own/kube:local $registry/kube-{apiserver,controller-manager,scheduler,proxy}:"$kubernetes" $registry/etcd:$etcd
  pack coredns --entrypoint /usr/bin/coredns -- $registry/coredns/coredns:$coredns
  pack pause --entrypoint /usr/bin/catatonit --entrypoint=-P -- $registry/pause:$pause
  pack busybox --entrypoint /bin/sh -- $own/busybox:local
  pack lpp --entrypoint /usr/bin/local-path-provisioner -- $own/local-path-provisioner:local
}
pack() { # pack NAME OPTION... -- IMAGE...
  local name=$1 options=()
  while shift; [ "$1" != -- ]; do options+=("$1"); done
  shift
  python3 "$here/mkimage.py" --mode tmp=1777 "${options[@]}" "$stage/$name.tar" "$stage/$name" "$@"
}

# A containerd of our own writes into the node's content store, so that nothing is imported when a node starts.
preload_images() {
  local each end=$((EPOCHSECONDS + 60))
  printf 'version = 2\noom_score = 0\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n' >"$work/containerd.toml"
  containerd --config "$work/containerd.toml" --root "$root/var/lib/containerd" --state "$work/state" --address "$work/c.sock" \
    >"$work/containerd.log" 2>&1 9>&- &
  containerd=$!
  until ctr -a "$work/c.sock" version >/dev/null 2>&1; do
    [ $EPOCHSECONDS -lt $end ] || fail "containerd did not answer within 60 s: $(tail -n 5 "$work/containerd.log")"
    sleep 0.1
  done
  for each in "$stage"/*.tar; do ctr -a "$work/c.sock" -n k8s.io images import --no-unpack "$each" >/dev/null; done
  kill "$containerd"
  wait "$containerd" || true
  containerd=
}

import() {
  docker image inspect "$image" >/dev/null 2>&1 && return
  [ -e "$archive" ] || locked node-image build
  say "node image: docker import of $((($(stat -c %s "$archive") + 500000) / 1000000)) MB"
  docker import --change 'ENTRYPOINT ["/usr/local/bin/entrypoint","/sbin/init"]' --change 'ENV container=docker' "$archive" "$image" >/dev/null
}

case ${1-import} in
import) import; echo "$image" ;;
build) [ -e "$archive" ] || locked node-image build >&2 ;;
name) echo "$image" ;;
-h | --help) usage ;;
*) usage >&2; exit 2 ;;
esac
