#!/usr/bin/env bash
# prerequisites.sh: looks at the machine and says everything that is missing at once, with the way to get it.
#
# Exits 0 when the demo can start. What the scripts install or build themselves (a Docker daemon, Kubernetes, Helm, the AWS CLI) is not asked for.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../cluster/common.sh
. "$here/../cluster/common.sh"

case ${1-} in
-h | --help) usage; exit ;;
esac

lacks=()
need() { command -v "$1" >/dev/null || lacks+=("$1: $2"); }

[ "$(uname -sm)" = "Linux x86_64" ] || lacks+=("this is $(uname -sm): the images are built for Linux x86_64 only")
need cargo "install Rust with rustup; the version is pinned in rust-toolchain.toml"
need cc "install a C compiler and linker (Debian: apt-get install build-essential)"
need go "install Go; e2e/cluster/kubernetes/go.mod says which version is needed"
need python3 "install Python 3 (Debian: apt-get install python3 python3-venv)"
need strip "install binutils (Debian: apt-get install binutils)"
need flock "install util-linux"

# A first run fills target/ and the cache; a later one adds the nodes' image and little else.
wanted_gb=10
if compgen -G "$cache/bin/all-*" >/dev/null && [ -d "${CARGO_TARGET_DIR:-$here/../../target}/x86_64-unknown-linux-gnu/debug" ]; then wanted_gb=3; fi
free_gb() { df --output=avail -BG "$1" | tail -n 1 | tr -dc 0-9; }
mkdir -p "$cache"
for folder in "$here" "$cache"; do
  [ "$(free_gb "$folder")" -ge $wanted_gb ] || lacks+=("disk: $folder has $(free_gb "$folder") GB free, $wanted_gb GB are needed")
done
memory=$(($(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024 / 1024))
[ "$memory" -ge 4 ] || lacks+=("memory: $memory GB are available, 4 GB are needed")

[ ${#lacks[@]} = 0 ] && exit
printf 'This machine lacks something:\n' >&2
printf '  - %s\n' "${lacks[@]}" >&2
exit 1
