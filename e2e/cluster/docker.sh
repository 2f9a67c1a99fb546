#!/usr/bin/env bash
# docker.sh: a private Docker daemon for kind, on a machine where none runs. Root.
#
#   docker.sh up       start it (nothing to do when it runs)
#   docker.sh down     stop it, delete its containers, images and data, and put the machine back as it was before "up"
#   docker.sh env      print the line to source: export DOCKER_HOST=...
#   docker.sh status   exit 0 when it runs
#   docker.sh thaw     let every frozen process in its containers go on, so that it can be ended
#
# Everything it owns can be told from what others own: data under $KEYSTORE_CACHE/run/docker, addresses in 10.213.0.0/16,
# control groups under /keystore-docker-*. "up" writes down the state that a Docker daemon or a kubelet changes (forwarding, iptables
# chains, kernel settings), once, and "down" restores it, but not under the feet of another daemon that was started since.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=common.sh
. "$here/common.sh"
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

state=$run/docker
before=$state/before
addresses=10.213.0.0/16
address_prefix=10.213.
# One per cache, because "down" ends every process in it.
cgroup=keystore-docker-$(key "$state")
# What dockerd and containerd make outside the folders they are given, parents last.
droppings=(/etc/docker/key.json /etc/docker /run/docker/plugins /run/docker /run/containerd/s /run/containerd)
export DOCKER_HOST=unix://$state/docker.sock
# Where the processes beside the containers listen; they clean up themselves unless they are killed.
shims=/run/containerd/s
# Set by dockerd (forwarding), by the kubelets (vm, kernel) or by systemd in the nodes (fs); no namespace keeps them in a container.
# In the order of restoring: the kernel sets accept_redirects along with ip_forward, and default/forwarding along with all/forwarding.
settings=(net/ipv4/ip_forward net/ipv4/conf/all/accept_redirects net/ipv6/conf/all/forwarding net/ipv6/conf/default/forwarding
  net/bridge/bridge-nf-call-iptables net/bridge/bridge-nf-call-ip6tables net/core/default_qdisc
  vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes
  kernel/sysrq kernel/core_uses_pid kernel/core_pattern kernel/pid_max
  fs/inotify/max_user_instances fs/inotify/max_user_watches fs/file-max fs/nr_open fs/protected_fifos fs/protected_hardlinks fs/protected_regular fs/protected_symlinks)

# daemon: the process id of our dockerd. A pid file may outlive its process and the number be given to another, hence the look at what
# the process is.
daemon() {
  local pid
  pid=$(cat "$state/dockerd.pid" 2>/dev/null) && [ -n "$pid" ] || return 1
  [[ $(readlink "/proc/$pid/exe") == */dockerd* ]] && tr '\0' '\n' <"/proc/$pid/cmdline" | grep -qxF -- "--pidfile=$state/dockerd.pid" && echo "$pid"
}
answers() { timeout 30 docker version >/dev/null 2>&1; }

up() {
  if daemon >/dev/null && answers; then return; fi
  [ "$(id -u)" = 0 ] || fail "a private Docker daemon needs root: run this as root, or start a Docker daemon that this user may use"
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
  local pid; pid=$(other_daemons)
  [ -z "$pid" ] || fail "another dockerd runs (pid ${pid//$'\n'/, }). Use it by setting DOCKER_HOST, or stop it first."
}
# other_daemons: process ids of every dockerd of this network namespace that is not ours
other_daemons() {
  local exe pid ours
  ours=$(daemon) || ours=
  for exe in $(daemons_of_docker); do
    pid=${exe//[!0-9]/}
    if [ "$pid" != "$ours" ] && [[ $(readlink "$exe" 2>/dev/null) == */dockerd* ]] &&
      [ "$(readlink "/proc/$pid/ns/net")" = "$(readlink /proc/self/ns/net)" ]; then echo "$pid"; fi
  done
}

write_down_state() {
  local each
  mkdir -p "$before"
  for each in "${settings[@]}"; do
    [ ! -r "/proc/sys/$each" ] || cat "/proc/sys/$each" >"$before/${each//\//.}"
  done
  # Without "-t", because that option would make the table, which is then here for good.
  for each in filter nat; do iptables-save | sed -n "/^\*$each\$/,/^COMMIT/p" >"$before/iptables.$each"; done
  for each in "${droppings[@]}"; do [ -e "$each" ] || echo "$each"; done >"$before/droppings"
  { ls "$shims" 2>/dev/null || true; } >"$before/shims"
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

raise() { if [ "$(cat "/proc/sys/$1")" -lt "$2" ]; then echo "$2" >"/proc/sys/$1"; fi; }

start_daemon() {
  local extra=()
  may_raise_limits || extra=(--add-runtime "keystore=$state/runc" --default-runtime=keystore)
  # Docker 20.10 lowers its own oom score unless told not to, which needs the same capability; newer ones do not know the option.
  if [[ $(dockerd --help 2>&1) == *--oom-score-adjust* ]]; then extra+=(--oom-score-adjust=0); fi
  # Its own configuration file, so that one in /etc/docker has no say. No default bridge: kind makes its own network. Forwarding is on
  # before the daemon looks, or it would also set the FORWARD policy to DROP.
  echo '{}' >"$state/daemon.json"
  echo 1 >/proc/sys/net/ipv4/ip_forward
  # The usual 128 are used up by the eight nodes of two clusters; a kubelet then ends with "inotify_init: too many open files".
  raise fs/inotify/max_user_instances 1024
  raise fs/inotify/max_user_watches 524288
  # setsid, because a caller that kills its process group would take the cluster with it. 9>&-: not to inherit the lock.
  setsid dockerd --config-file "$state/daemon.json" --data-root "$state/data" --exec-root "$state/exec" "--pidfile=$state/dockerd.pid" \
    -H "$DOCKER_HOST" --bridge=none --default-address-pool "base=$addresses,size=24" --cgroup-parent "/$cgroup" \
    --exec-opt native.cgroupdriver=cgroupfs --userland-proxy=false "${extra[@]}" \
    </dev/null >"$state/dockerd.log" 2>&1 9>&- &
  local pid=$! end=$((EPOCHSECONDS + 120)) # three seconds are usual
  while kill -0 "$pid" 2>/dev/null && [ $EPOCHSECONDS -lt $end ]; do
    if answers; then return; fi
    sleep 0.1
  done
  tail -n 20 "$state/dockerd.log" >&2
  cp "$state/dockerd.log" "$run/dockerd.log"; clean_up # which deletes the daemon's folder
  fail "dockerd ended, or did not answer within 120 s; its log: $run/dockerd.log"
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
  # Started since ours was, as "up" refuses to run beside one.
  shared=$(other_daemons)
  [ -z "$shared" ] || say "another dockerd was started since (pid ${shared//$'\n'/, }): its chains, folders and settings stay as they are"
  # Processes, mounts, interfaces, rules and settings went with the old kernel; what is there now is somebody else's.
  if ! restarted; then
    stop_daemon
    kill_leftovers
    remove_mounts
    remove_network
    remove_cgroups
    if [ -z "$shared" ]; then restore_settings; fi
  fi
  if [ -z "$shared" ]; then remove_droppings; fi
  rm -rf "$state"
}
# Whether the machine was restarted since the state was written down.
restarted() { [ -e "$before/boot" ] && [ "$(cat "$before/boot")" != "$(cat /proc/sys/kernel/random/boot_id)" ]; }

stop_daemon() {
  local pid try
  pid=$(daemon) || return 0
  thaw
  timeout 30 docker ps -aq 2>/dev/null | xargs -r timeout 60 docker rm -fv >/dev/null 2>&1 || true
  kill "$pid" 2>/dev/null || true
  for ((try = 0; try < 200; try++)); do
    daemon >/dev/null || return 0
    sleep 0.1
  done
  kill -9 "$pid" 2>/dev/null || true
}

# A frozen process ignores even SIGKILL until it is thawed. "docker pause" freezes, and runc does for a moment when it starts a container.
thaw() {
  local each
  find /sys/fs/cgroup -path "*/$cgroup/*" \( -name freezer.state -o -name cgroup.freeze \) 2>/dev/null | while read -r each; do
    case $each in
    *freezer.state) echo THAWED ;;
    *) echo 0 ;;
    esac >"$each" 2>/dev/null || true
  done
}

# After a kill -9 of dockerd its containers live on: their processes are in our control group, their shims name our folder.
kill_leftovers() {
  local try pids
  for ((try = 0; try < 50; try++)); do
    pids=$(leftovers | sort -un)
    [ -n "$pids" ] || return 0
    thaw
    # shellcheck disable=SC2086  # a list of numbers
    kill -9 $pids 2>/dev/null || true
    sleep 0.1
  done
  say "still alive although killed: $pids"
}
leftovers() {
  find /sys/fs/cgroup -path "*/$cgroup/*" -name cgroup.procs -exec cat {} + 2>/dev/null || true
  local exe
  for exe in $(daemons_of_docker); do
    if tr '\0' '\n' <"${exe%/exe}/cmdline" 2>/dev/null | grep -qF -- "$state/"; then echo "${exe//[!0-9]/}"; fi
  done
}
daemons_of_docker() { find /proc/[0-9]*/exe -maxdepth 0 \( -lname '*/dockerd*' -o -lname '*/containerd*' \) 2>/dev/null || true; }

remove_mounts() {
  local try mounts
  for ((try = 0; try < 5; try++)); do
    mounts=$(awk -v state="$state/" 'index($5, state) == 1 { print $5 }' /proc/self/mountinfo | sort -r)
    [ -n "$mounts" ] || return 0
    xargs umount -l <<<"$mounts" 2>/dev/null || true
  done
}

# Bridges are ours by their address, rules by being new and having a word that begins like Docker's chains, our addresses or our bridges.
remove_network() {
  local bridge port table own=" ${address_prefix//./\\.}"
  # Where another daemon works, a rule that names Docker's chains may be its.
  [ -n "$shared" ] || own+="| DOCKER"
  for bridge in $(ip -o -4 addr show | awk -v prefix=" $address_prefix" 'index($0, prefix) && $2 ~ /^br-/ { print $2 }'); do
    # A container that was killed leaves its end here until the kernel has taken its network namespace apart.
    for port in $(ip -o link show master "$bridge" | awk -F '[:@ ]+' '{ print $2 }'); do ip link del "$port" 2>/dev/null || true; done
    ip link del "$bridge"; own+="| $bridge"
  done
  command -v iptables >/dev/null && [ -e "$before/iptables.nat" ] || return 0
  for table in filter nat; do
    remove_rules $table "$own"
    [ -n "$shared" ] || { remove_chains $table; restore_table $table; }
  done
}
remove_rules() {
  local table=$1 own=$2 rule
  iptables-save -t "$table" | { grep -E "^-A.*($own)" || true; } | { grep -vxFf "$before/iptables.$table" || true; } | while read -r rule; do
    # shellcheck disable=SC2086  # a rule is a list of words
    iptables -t "$table" ${rule/#-A/-D} || true
  done
}
remove_chains() {
  local table=$1 chain
  for chain in $(iptables-save -t "$table" | sed -n 's/^:\(DOCKER[^ ]*\).*/\1/p'); do
    if grep -q "^:$chain " "$before/iptables.$table"; then continue; fi
    iptables -t "$table" -F "$chain" || true
    iptables -t "$table" -X "$chain" || true
  done
}
# The FORWARD policy, and the table itself if there was none and nobody else has put a rule into it since.
restore_table() {
  local table=$1 policy
  policy=$(sed -n 's/^:FORWARD \([A-Z]*\).*/\1/p' "$before/iptables.$table")
  if [ -n "$policy" ]; then iptables -t "$table" -P FORWARD "$policy"; fi
  if [ ! -s "$before/iptables.$table" ] && ! grep -qE '^-A|^:[^ ]+ (-|DROP)' <<<"$(iptables-save -t "$table")"; then
    nft delete table ip "$table" 2>/dev/null || true
  fi
}

remove_cgroups() {
  local tree
  for tree in /sys/fs/cgroup/"$cgroup" /sys/fs/cgroup/*/"$cgroup"; do
    [ ! -d "$tree" ] || find "$tree" -depth -type d -exec rmdir {} + 2>/dev/null || true
  done
}

# Nothing was changed unless the writing down was finished, with the boot's number at last.
restore_settings() {
  [ -e "$before/boot" ] || return 0
  local each
  for each in "${settings[@]}"; do
    [ ! -e "$before/${each//\//.}" ] || cat "$before/${each//\//.}" >"/proc/sys/$each" 2>/dev/null || true
  done
}

remove_droppings() {
  local each
  { ls "$shims" 2>/dev/null || true; } | { grep -vxFf "$before/shims" 2>/dev/null || true; } | while read -r each; do
    if ! grep -qF "$shims/$each" /proc/net/unix; then rm -f "$shims/$each"; fi
  done
  while read -r each; do
    if [ -d "$each" ]; then rmdir "$each" 2>/dev/null || true; else rm -f "$each"; fi
  done < <(cat "$before/droppings" 2>/dev/null)
}

case ${1-} in
up | down) locked docker "$1" ;;
env) echo "export DOCKER_HOST=$DOCKER_HOST" ;;
status) daemon >/dev/null && answers ;;
thaw) thaw ;;
-h | --help) usage ;;
*) usage >&2; exit 2 ;;
esac
