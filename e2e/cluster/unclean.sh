#!/usr/bin/env bash
# unclean.sh: proves that "cluster.sh up" heals what an unclean end left, that a second cluster joins a daemon, that another Docker and its
# firewall are let alone, and that "make down" leaves the machine as it was. Root; about 5 minutes; the tools of binaries.sh and the node
# image must be to hand (or are built).
#
#   unclean.sh [CASE...]     every case, or those named (an unknown name lists them), then "make down" and the comparison; exits 1 and
#                            shows what differs
#
# All of it happens in a network namespace and a run folder of its own, so that it may run beside other clusters and changes no rule of
# this machine. In that namespace somebody else's firewall, bridge, processes and Docker daemon wait to be harmed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=common.sh
. "$here/common.sh"
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
cases=(stale_files_of_a_restarted_machine second_cluster killed_daemon another_daemon killed_up killed_everything)
case ${1-} in -h | --help) usage; exit ;; esac
for each; do [[ " ${cases[*]} " == *" $each "* ]] || fail "there is no case $each, but there are: ${cases[*]}"; done
[ "$(id -u)" = 0 ] || fail "this needs root"
if [ "${UNCLEAN_INSIDE-}" != "$$" ]; then
  # The number of a process stays the same through exec: a second one that inherits the variable is not fooled.
  export UNCLEAN_INSIDE=$$
  exec unshare --net -- "$0" "$@"
fi

# What is built is shared, what runs is not.
work=$(mktemp -d /tmp/unclean.XXXXXX)
for each in bin image; do mkdir -p "$cache/$each"; ln -s "$cache/$each" "$work/$each"; done
export KEYSTORE_CACHE=$work CLUSTER_DOCKER=private CLUSTER_IMAGE=built
run=$work/run
one=unclean-one two=unclean-two
unset DOCKER_HOST KUBECONFIG CLUSTER

finish() {
  local result=$?
  end_their_daemon >/dev/null 2>&1 || true
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
  # Not what a daemon wants, so that there is something to put back. The second follows the first unless it is put back too.
  echo 0 >/proc/sys/net/ipv4/ip_forward
  echo 0 >/proc/sys/net/ipv4/conf/all/accept_redirects
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

# A Docker daemon of somebody else's, whose network has its rules in the chains that ours uses too.
their_docker() { docker -H "unix://$work/theirs/docker.sock" "$@"; }
start_their_daemon() {
  local extra=() try
  # For the same reason as in docker.sh.
  if [[ $(dockerd --help 2>&1) == *--oom-score-adjust* ]]; then extra=(--oom-score-adjust=0); fi
  mkdir "$work/theirs"
  echo '{}' >"$work/theirs/daemon.json"
  dockerd --config-file "$work/theirs/daemon.json" --data-root "$work/theirs/data" --exec-root "$work/theirs/exec" \
    "--pidfile=$work/theirs/dockerd.pid" -H "unix://$work/theirs/docker.sock" --bridge=none --userland-proxy=false "${extra[@]}" \
    </dev/null >"$work/theirs/log" 2>&1 &
  their_daemon=$!
  for ((try = 0; try < 1200; try++)); do
    if their_docker version >/dev/null 2>&1; then break; fi
    sleep 0.1
  done
  their_docker network create --subnet 10.78.0.0/24 --opt com.docker.network.bridge.name=br-theirs theirs >/dev/null ||
    { tail -n 20 "$work/theirs/log" >&2; fail "the other daemon made no network"; }
}
their_processes() { { grep -lzF -- "$work/theirs/" /proc/[0-9]*/cmdline 2>/dev/null || true; } | sort; }

# A daemon leaves its chains when it ends, and our "down" has left settings and folders for its sake. With what was written down before
# both of them, ours puts all of that back now that nobody else is there.
end_their_daemon() {
  [ -n "${their_daemon-}" ] || return 0
  their_docker network rm theirs >/dev/null 2>&1 || true
  kill "$their_daemon" 2>/dev/null || true
  wait "$their_daemon" || true
  their_daemon=
  if [ -d "$work/written" ] && [ ! -e "$run/docker" ]; then
    mkdir -p "$run/docker"
    mv "$work/written" "$run/docker/before"
    "$here/docker.sh" down
    rmdir "$run"
  fi
}

# Rules that only look like ours, made while our daemon runs: an address that ends like ours, a chain that is named like Docker's.
change_their_firewall() {
  iptables -A SOMEBODY -s 110.213.0.0/24 -j ACCEPT
  iptables -N NOT-DOCKER
  iptables -A NOT-DOCKER -j ACCEPT
}
# iptables fails where a rule is not there.
take_back_their_firewall() {
  if ! { iptables -D SOMEBODY -s 110.213.0.0/24 -j ACCEPT && iptables -D NOT-DOCKER -j ACCEPT && iptables -X NOT-DOCKER; }; then
    fail "a rule that somebody made while our daemon ran was removed"
  fi
}

rules() { iptables-save | sed '/^#/d;s/ \[[0-9:]*\]$//'; }
# What our rules name, as a pattern: our addresses and the bridges that have them.
our_names() { ip -o -4 addr show | awk 'BEGIN { printf " 10\\.213\\." } $4 ~ /^10\.213\./ { printf "| %s", $2 }'; }
# The settings that docker.sh has written down, as they are now.
settings() {
  local each
  for each in "$work/written"/*; do
    each=${each##*/}
    case $each in
    boot | droppings | shims | iptables.*) ;;
    *) echo "$each: $(cat "/proc/sys/${each//.//}")" ;;
    esac
  done
}

# --- cases

# For a case that is run by itself, too.
have_one() { [ -e "$run/clusters/$one/complete" ] || { say "CASE a first cluster"; up $one; }; }
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
  have_one
  kill -9 "$(daemon)"
  up $one
}

another_daemon() {
  say "CASE somebody starts a Docker daemon and changes the firewall while our cluster is up; then ours goes"
  have_one
  local rules_before settings_before processes log=$work/another.log
  start_their_daemon
  change_their_firewall
  cp -r "$run/docker/before" "$work/written"
  rules_before=$(rules | grep -vE "$(our_names)") settings_before=$(settings) processes=$(their_processes)
  grep -qF br-theirs <<<"$rules_before" || fail "the other daemon's network has no rules that could be harmed"
  "$here/cluster.sh" down --all 2>&1 | tee "$log" >&2
  grep -qF "another dockerd was started since (pid $their_daemon)" "$log" || fail "\"down\" has not noticed the other daemon"
  [ ! -e "$run" ] || fail "$run is still there"
  # Rules of ours that were left would be among them, too.
  diff -u <(echo "$rules_before") <(rules) >&2 || fail "firewall rules: - before, + after, and none of them is ours"
  diff -u <(echo "$settings_before") <(settings) >&2 || fail "settings were changed under the other daemon's feet"
  [ "$(their_processes)" = "$processes" ] || fail "a process of the other daemon was ended"
  their_docker network inspect theirs >/dev/null || fail "the other daemon does not answer, or its network is gone"
  ip link show br-theirs >/dev/null || fail "the other daemon's bridge is gone"
  if "$here/docker.sh" up 2>"$log"; then fail "a second daemon was started beside another one"; fi
  grep -qF "another dockerd runs (pid $their_daemon)" "$log" || fail "\"up\" failed for another reason: $(cat "$log")"
  end_their_daemon
  take_back_their_firewall
}

killed_up() {
  say "CASE kill -9 of \"up\" and all it started, with some nodes made"
  "$here/cluster.sh" down $one
  setsid "$here/cluster.sh" up $one >/dev/null 2>&1 &
  local group=$! try
  for ((try = 0; try < 3000; try++)); do
    if [ "$(nodes)" -ge 1 ]; then break; fi
    sleep 0.1
  done
  [ "$(nodes)" -ge 1 ] || fail "no node was made within five minutes"
  kill -9 -- -$group
  [ ! -e "$run/clusters/$one/complete" ] || fail "\"up\" was killed too late to mean anything"
  up $one
}
nodes() { DOCKER_HOST=unix://$run/docker/docker.sock docker ps -aq --filter "label=io.x-k8s.kind.cluster=$one" 2>/dev/null | wc -l; }

killed_everything() {
  say "CASE kill -9 of the daemon and of every process of its containers' keepers"
  have_one
  local pid
  kill -9 "$(daemon)"
  for pid in /proc/[0-9]*; do
    if grep -qzF -- "$run/docker" "$pid/cmdline" 2>/dev/null && [ "${pid#/proc/}" != $$ ]; then kill -9 "${pid#/proc/}" 2>/dev/null || true; fi
  done
}

second_cluster() {
  say "CASE a second cluster on the running daemon"
  have_one
  local before; before=$(daemon)
  up $two
  [ "$(daemon)" = "$before" ] || fail "the second cluster has another daemon"
  "$here/cluster.sh" down $two
  healthy $one
}

# The command of the README, on a copy of the tree that it works with, because it also deletes target/demo and target/images: those of
# this tree may belong to a demo that runs.
documented_down() {
  local tree=$work/tree each
  mkdir -p "$tree/e2e" "$tree"/target/{demo,images,theirs}
  cp "$here/../../Makefile" "$tree/"
  cp -r "$here" "$here/../demo" "$tree/e2e/"
  make -C "$tree" down
  for each in "$run" "$tree/target/demo" "$tree/target/images"; do [ ! -e "$each" ] || fail "\"make down\" has left $each"; done
  for each in "$work/bin" "$work/image" "$tree/target/theirs"; do [ -d "$each" ] || fail "\"make down\" has deleted $each"; done
}

make_bystanders
"$here/snapshot.sh" >"$work/before"
[ $# -gt 0 ] || set -- "${cases[@]}"
for each; do "$each"; done
say "CASE the end: \"make down\" with whatever is up or was killed"
documented_down
rm -rf "$work/lock"
"$here/snapshot.sh" >"$work/after"
kill -0 $bystander || fail "somebody else's process was ended"
diff -u "$work/before" "$work/after" >&2 || fail "the machine is not as it was before (above: - before, + after)"
say "all cases passed, and the machine is as it was: $(wc -l <"$work/after") lines compared"
