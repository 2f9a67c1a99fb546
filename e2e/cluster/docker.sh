#!/usr/bin/env bash
# docker.sh: a private Docker daemon for kind, on a machine where none runs. Root.
#
#   docker.sh up       start it (nothing to do when it runs)
#   docker.sh down     stop it, delete its containers, images and data, and put the machine back as it was before "up"
#   docker.sh env      print the line to source: export DOCKER_HOST=...
#   docker.sh status   exit 0 when it runs
#
# Everything it owns can be told from what others own: data under $KEYSTORE_CACHE/run/docker, addresses in 10.213.0.0/16,
# control groups under /keystore-docker. "up" writes down the state that a Docker daemon or a kubelet changes (forwarding, iptables
# chains, kernel settings), once, and "down" restores it.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=common.sh
. "$here/common.sh"
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

state=$run/docker
before=$state/before
addresses=10.213.0.0/16
address_pattern='10\.213\.'
cgroup=keystore-docker
export DOCKER_HOST=unix://$state/docker.sock
# Set by dockerd, by the kubelets in the nodes, or by kind's nodes; none of these belongs to a network namespace of theirs alone.
settings=(net/ipv4/ip_forward net/bridge/bridge-nf-call-iptables net/bridge/bridge-nf-call-ip6tables
  vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes)

# daemon: the process id of our dockerd. A pid file may outlive its process and the number be given to another, hence the look at what
# the process is.
daemon() {
  local pid
  pid=$(cat "$state/dockerd.pid" 2>/dev/null) && [ -n "$pid" ] || return 1
  [[ $(readlink "/proc/$pid/exe") == */dockerd* ]] && tr '\0' '\n' <"/proc/$pid/cmdline" | grep -qxF -- "--pidfile=$state/dockerd.pid" && echo "$pid"
}
answers() { docker version >/dev/null 2>&1; }

up() {
  if daemon >/dev/null && answers; then return; fi
  [ "$(id -u)" = 0 ] || fail "a private Docker daemon needs root; start a Docker daemon yourself, or run this as root"
  # Unix socket names end at 107 characters, and the longest one here is below exec/.
  [ ${#state} -le 60 ] || fail "the path $state is too long for the daemon's sockets; set KEYSTORE_CACHE to a shorter one"
  clean_up
  refuse_second_daemon
  say "starting a private Docker daemon (data in $state)"
  write_down_state
  write_runtime
  start_daemon
}

# Two daemons in one network namespace would empty each other's iptables chains.
refuse_second_daemon() {
  local exe pid
  for exe in /proc/[0-9]*/exe; do
    [[ $(readlink "$exe" 2>/dev/null) == */dockerd* ]] || continue
    pid=${exe//[!0-9]/}
    [ "$(readlink "/proc/$pid/ns/net")" != "$(readlink /proc/self/ns/net)" ] ||
      fail "another dockerd runs (pid $pid): $(tr '\0' ' ' <"/proc/$pid/cmdline"). Use it by setting DOCKER_HOST, or stop it first."
  done
}

write_down_state() {
  local each
  mkdir -p "$before"
  for each in "${settings[@]}"; do
    [ ! -r "/proc/sys/$each" ] || cat "/proc/sys/$each" >"$before/${each//\//.}"
  done
  for each in filter nat; do iptables-save -t $each >"$before/iptables.$each"; done
  [ -e /etc/docker ] || touch "$before/no-etc-docker"
  [ -e /etc/docker/key.json ] || touch "$before/no-key"
  cat /proc/sys/kernel/random/boot_id >"$before/boot"
}

# --privileged asks for every capability the kernel knows. Where CAP_SYS_RESOURCE is not to be had, runc then dies with "unable to apply
# caps", so this wrapper takes that one name out.
write_runtime() {
  cat >"$state/runc" <<'END'
#!/bin/sh
previous=
for argument; do
  case $previous in
  --bundle | -b) file=$argument/config.json ;;
  --process | -p) file=$argument ;;
  *) file= ;;
  esac
  [ -n "$file" ] && sed -i 's/"CAP_SYS_RESOURCE",//g;s/,"CAP_SYS_RESOURCE"//g' "$file"
  previous=$argument
done
exec runc "$@"
END
  chmod +x "$state/runc"
}
may_raise_limits() { # CAP_SYS_RESOURCE is bit 24 of the bounding set
  local bounding
  bounding=$(sed -n 's/^CapBnd:\t//p' /proc/self/status)
  (((0x$bounding >> 24 & 1) == 1))
}

start_daemon() {
  local runtime=()
  may_raise_limits || runtime=(--add-runtime "keystore=$state/runc" --default-runtime=keystore)
  # Its own configuration file, so that one in /etc/docker has no say. No default bridge: kind makes its own network. Forwarding is on
  # before the daemon looks, or it would also set the FORWARD policy to DROP.
  echo '{}' >"$state/daemon.json"
  echo 1 >/proc/sys/net/ipv4/ip_forward
  # setsid, because a caller that kills its process group would take the cluster with it. 9>&-: not to inherit the lock.
  setsid dockerd --config-file "$state/daemon.json" --data-root "$state/data" --exec-root "$state/exec" "--pidfile=$state/dockerd.pid" \
    -H "$DOCKER_HOST" --bridge=none --default-address-pool "base=$addresses,size=24" --cgroup-parent "/$cgroup" \
    --exec-opt native.cgroupdriver=cgroupfs --oom-score-adjust=0 --userland-proxy=false "${runtime[@]}" \
    </dev/null >"$state/dockerd.log" 2>&1 9>&- &
  local try
  for ((try = 0; try < 150; try++)); do
    if answers; then return; fi
    sleep 0.1
  done
  tail -n 20 "$state/dockerd.log" >&2
  clean_up
  fail "dockerd did not answer within 15 s"
}

down() {
  if [ ! -e "$state" ]; then return; fi
  [ "$(id -u)" = 0 ] || fail "the private Docker daemon was started by root; run this as root"
  say "stopping the private Docker daemon and deleting its data"
  clean_up
}

# clean_up: works from any state: running, killed, half started, machine restarted.
clean_up() {
  [ -e "$state" ] || return 0
  stop_daemon
  kill_leftovers
  remove_mounts
  remove_network
  remove_cgroups
  restore_settings
  remove_etc_docker
  rm -rf "$state"
}

stop_daemon() {
  local pid try
  pid=$(daemon) || return 0
  docker ps -aq 2>/dev/null | xargs -r timeout 60 docker rm -fv >/dev/null 2>&1 || true
  kill "$pid" 2>/dev/null || true
  for ((try = 0; try < 200; try++)); do
    daemon >/dev/null || return 0
    sleep 0.1
  done
  kill -9 "$pid" 2>/dev/null || true
}

# After a kill -9 of dockerd its containers live on: their processes are in our control group, their shims name our folder.
kill_leftovers() {
  local try pids
  for ((try = 0; try < 50; try++)); do
    pids=$(leftovers | sort -un)
    [ -n "$pids" ] || return 0
    # shellcheck disable=SC2086  # a list of numbers
    kill -9 $pids 2>/dev/null || true
    sleep 0.1
  done
  say "still alive although killed: $pids"
}
leftovers() {
  find /sys/fs/cgroup -path "*/$cgroup/*" -name cgroup.procs -exec cat {} + 2>/dev/null || true
  local exe
  for exe in /proc/[0-9]*/exe; do
    case $(readlink "$exe" 2>/dev/null) in
    */dockerd* | */containerd*) if tr '\0' '\n' <"${exe%/exe}/cmdline" 2>/dev/null | grep -qF -- "$state/"; then echo "${exe//[!0-9]/}"; fi ;;
    esac
  done
}

remove_mounts() {
  local try
  for ((try = 0; try < 5; try++)); do
    awk -v state="$state/" 'index($5, state) == 1 { print $5 }' /proc/self/mountinfo | sort -r | xargs -r umount -l 2>/dev/null || true
  done
}

# Bridges are ours by their address, rules by not having been there before and naming Docker's chains, our addresses or our bridges.
remove_network() {
  local bridges table chain rule own='DOCKER'
  bridges=$(ip -o -4 addr show | awk -v pattern=" $address_pattern" '$0 ~ pattern && $2 ~ /^br-/ { print $2 }')
  for chain in $bridges; do ip link del "$chain"; own+="|$chain"; done
  own+="|$address_pattern"
  for table in filter nat; do
    { iptables-save -t $table 2>/dev/null || true; } | grep -E "^-A .*($own)" | { grep -vxFf "$before/iptables.$table" || true; } | while read -r rule; do
      # shellcheck disable=SC2086  # a rule is a list of words
      iptables -t $table ${rule/#-A/-D} 2>/dev/null || true
    done
    { iptables-save -t $table 2>/dev/null || true; } | sed -n 's/^:\(DOCKER[^ ]*\).*/\1/p' | while read -r chain; do
      grep -q "^:$chain " "$before/iptables.$table" && continue
      iptables -t $table -F "$chain" && iptables -t $table -X "$chain"
    done
  done
}

remove_cgroups() {
  local tree
  for tree in /sys/fs/cgroup/"$cgroup" /sys/fs/cgroup/*/"$cgroup"; do
    [ ! -d "$tree" ] || find "$tree" -depth -type d -exec rmdir {} + 2>/dev/null || true
  done
}

# Values written down before a restart of the machine say nothing about it now.
restore_settings() {
  [ "$(cat "$before/boot" 2>/dev/null)" = "$(cat /proc/sys/kernel/random/boot_id)" ] || return 0
  local each
  for each in "${settings[@]}"; do
    [ ! -e "$before/${each//\//.}" ] || cat "$before/${each//\//.}" >"/proc/sys/$each" 2>/dev/null || true
  done
}

remove_etc_docker() { # dockerd keeps an identity there, whatever its data folder is
  if [ -e "$before/no-key" ]; then rm -f /etc/docker/key.json; fi
  if [ -e "$before/no-etc-docker" ] && [ -d /etc/docker ]; then rmdir /etc/docker 2>/dev/null || true; fi
}

case ${1-} in
up | down) locked docker "$1" ;;
env) echo "export DOCKER_HOST=$DOCKER_HOST" ;;
status) daemon >/dev/null && answers ;;
-h | --help) usage ;;
*) usage >&2; exit 2 ;;
esac
