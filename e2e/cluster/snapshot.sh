#!/usr/bin/env bash
# snapshot.sh: what clusters and their Docker daemon could leave on a machine, as text to compare. Root.
#
#   snapshot.sh >before; ...; snapshot.sh | diff before -
#
# Interfaces, addresses and routes, firewall rules, kernel settings, mounts, control groups, the files of container engines, and every
# process that belongs to one of them or to the cache. What differs from minute to minute without anybody's doing is left out:
# counters, link-layer states, processes of others.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=common.sh
. "$here/common.sh"
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
case ${1-} in -h | --help) usage; exit ;; esac

section() { printf '== %s\n' "$1"; }

section interfaces
ip -o link show | sed 's/^[0-9]*: //;s/\\.*//;s/ qdisc .*//'
ip -o addr show | awk '{ print $2, $3, $4 }'
ip route show table all | sed '/^multicast/d'
ip netns list
section firewall
# Without counters, and without the order in which tables were made.
nft -s list ruleset 2>/dev/null
for each in iptables-save ip6tables-save; do
  # Asking would make a table that is not there, where the kernel's old interface is in use.
  if [[ $("$each" -V) == *nf_tables* ]]; then "$each" 2>/dev/null | sed '/^#/d;s/ \[[0-9:]*\]$//' | sort; fi
done
section settings
{ find /proc/sys/net /proc/sys/vm /proc/sys/kernel /proc/sys/fs -type f -perm -u=rw 2>/dev/null || true; } | sort |
  grep -vE '/(random/|ns_last_pid|nr_(overcommit_)?hugepages|drop_caches|compact_memory|stat_refresh|pty/|sched_domain|neigh/|inode-|dentry|file-nr|perf_event_max_sample_rate|tainted|flush$|binfmt_misc/)' |
  while read -r each; do printf '%s: ' "${each#/proc/sys/}"; { tr '\n' ' ' <"$each"; } 2>/dev/null || true; echo; done
section mounts
awk '{ print $5, $6, $(NF-2), $(NF-1) }' /proc/self/mountinfo | sort
section "control groups"
find /sys/fs/cgroup -mindepth 1 -type d | sort
section files
# Folders of container engines whole, of /run what lies at the top.
find /run /var/lib -mindepth 1 -maxdepth 1 | sort
{ find /etc/docker /etc/cni /etc/containerd /run/docker /run/containerd /run/netns /var/lib/docker /var/lib/containerd /var/lib/cni /var/lib/kubelet 2>/dev/null || true; } | sort
ls -A "$cache/run" 2>/dev/null || true
section processes
for each in /proc/[0-9]*; do
  program=$(readlink "$each/exe" 2>/dev/null) || continue
  program=${program##*/}
  case $program in
  dockerd* | containerd* | runc* | docker-proxy* | kubelet | kind) echo "${each#/proc/} $program" ;;
  grep) ;;
  *) if grep -qzF -- "$cache/run" "$each/cmdline" 2>/dev/null; then echo "${each#/proc/} $program"; fi ;;
  esac
done | sort
