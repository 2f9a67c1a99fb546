#!/usr/bin/env bash
# unclean.sh: proves that "cluster.sh up" heals what an unclean end left, that a second cluster joins a daemon, and that "down" leaves the
# machine as it was. Root; about 5 minutes; the tools of binaries.sh and the node image must be to hand (or are built).
#
#   unclean.sh               every case, then the comparison; exits 1 and shows what differs
#
# All of it happens in a network namespace and a run folder of its own, so that it may run beside other clusters and changes no rule of
# this machine. In that namespace somebody else's firewall, bridge and processes wait to be harmed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=common.sh
. "$here/common.sh"
case ${1-} in -h | --help) usage; exit ;; esac
[ "$(id -u)" = 0 ] || fail "this needs root"
if [ "${UNCLEAN_INSIDE-}" != "$$" ]; then
  # The number of a process stays the same through exec: a second one that inherits the variable is not fooled.
  export UNCLEAN_INSIDE=$$
  exec unshare --net -- "$0"
fi

# What is built is shared, what runs is not.
work=$(mktemp -d /tmp/unclean.XXXXXX)
for each in bin image; do mkdir -p "$cache/$each"; ln -s "$cache/$each" "$work/$each"; done
export KEYSTORE_CACHE=$work CLUSTER_DOCKER=private CLUSTER_IMAGE=built
run=$work/run
one=unclean-one two=unclean-two
unset DOCKER_HOST KUBECONFIG

finish() {
  local result=$?
  "$here/cluster.sh" down --all >/dev/null 2>&1 || true
  [ -z "${bystander-}" ] || kill "$bystander" 2>/dev/null || true
  rm -rf "$work"
  exit $result
}
trap finish EXIT
trap 'exit 1' INT TERM

# --- somebody else's

make_bystanders() {
  ip link set lo up
  ip link add br-somebody type bridge
  # An address that the kernel would add by itself a second later would look like a leftover.
  ip link set br-somebody addrgenmode none
  ip addr add 10.77.0.1/24 dev br-somebody
  ip link set br-somebody up
  iptables -N SOMEBODY
  iptables -A SOMEBODY -s 10.77.0.0/24 -j ACCEPT
  iptables -A FORWARD -j SOMEBODY
  nft add table inet somebody
  nft add chain inet somebody input '{ type filter hook input priority 10; }'
  sleep 100000 &
  bystander=$!
}

# --- cases

healthy() {
  local kubeconfig=$run/clusters/$1/kubeconfig
  [ "$("$("$here/binaries.sh" kubernetes)/kubectl" --kubeconfig "$kubeconfig" get nodes --no-headers | grep -c ' Ready ')" = 4 ] ||
    fail "cluster $1 does not have four ready nodes"
}
up() { "$here/cluster.sh" up "$1" >/dev/null; healthy "$1"; }
daemon() { cat "$run/docker/dockerd.pid"; }

stale_files_of_a_restarted_machine() {
  say "CASE a machine that was restarted: files of a daemon, its number now somebody else's, settings that are history"
  local state=$run/docker each
  mkdir -p "$state/before" "$run/clusters/old"
  echo private >"$run/clusters/old/daemon"
  touch "$run/clusters/old/complete"
  echo $bystander >"$state/dockerd.pid"
  echo 00000000-0000-0000-0000-000000000000 >"$state/before/boot"
  echo 7 >"$state/before/kernel.panic"
  for each in filter nat; do echo "*$each" >"$state/before/iptables.$each"; done
  "$here/cluster.sh" down --all
  kill -0 $bystander || fail "the process that has the number now was ended"
  [ "$(cat /proc/sys/kernel/panic)" != 7 ] || fail "a setting from before the restart was restored"
  [ ! -e "$run" ] || fail "$run is still there"
}

killed_daemon() {
  say "CASE kill -9 of the daemon under a running cluster"
  kill -9 "$(daemon)"
  up $one
}

killed_up() {
  say "CASE kill -9 of \"up\" and all it started, with some nodes made"
  "$here/cluster.sh" down $one
  setsid "$here/cluster.sh" up $one >/dev/null 2>&1 &
  local group=$! try
  for ((try = 0; try < 600; try++)); do
    if [ "$(nodes)" -ge 1 ]; then break; fi
    sleep 0.1
  done
  [ "$(nodes)" -ge 1 ] || fail "no node was made within a minute"
  kill -9 -- -$group
  [ ! -e "$run/clusters/$one/complete" ] || fail "\"up\" was killed too late to mean anything"
  up $one
}
nodes() { DOCKER_HOST=unix://$run/docker/docker.sock docker ps -aq --filter "label=io.x-k8s.kind.cluster=$one" 2>/dev/null | wc -l; }

killed_everything() {
  say "CASE kill -9 of the daemon and of every process of its containers' keepers"
  local pid
  kill -9 "$(daemon)"
  for pid in /proc/[0-9]*; do
    if grep -qzF -- "$run/docker" "$pid/cmdline" 2>/dev/null && [ "${pid#/proc/}" != $$ ]; then kill -9 "${pid#/proc/}" 2>/dev/null || true; fi
  done
}

second_cluster() {
  say "CASE a second cluster on the running daemon"
  local before; before=$(daemon)
  up $two
  [ "$(daemon)" = "$before" ] || fail "the second cluster has another daemon"
  "$here/cluster.sh" down $two
  healthy $one
}

make_bystanders
"$here/snapshot.sh" >"$work/before"
stale_files_of_a_restarted_machine
say "CASE a first cluster"
up $one
second_cluster
killed_daemon
killed_up
killed_everything
say "CASE the end: \"down\" with everything killed but nothing cleaned"
"$here/cluster.sh" down --all
rm -rf "$work/lock"
"$here/snapshot.sh" >"$work/after"
kill -0 $bystander || fail "somebody else's process was ended"
diff -u "$work/before" "$work/after" >&2 || fail "the machine is not as it was before (above: - before, + after)"
say "all cases passed, and the machine is as it was: $(wc -l <"$work/after") lines compared"
