#!/usr/bin/env bash
# packages.sh: installs the Debian packages that a part of the local cluster needs and the machine lacks.
#
#   packages.sh docker   a Docker daemon: docker.io, containerd, runc, iptables, iproute2 (only if no Docker answers)
#   packages.sh image    what node-image.sh works with: mmdebstrap, containerd, catatonit, busybox-static, nftables, python3
#   packages.sh venv     python3 with venv, for the AWS CLI
#   packages.sh lint     shellcheck, for "make lint"
#
# Looks for commands, not packages, so software from elsewhere counts too. Installs as root on Debian 12 and only what is missing,
# removes and upgrades nothing, and says what is missing where it may not install.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=common.sh
. "$here/common.sh"
# Root's PATH may lack the administrator's folders.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

# missing COMMAND=PACKAGE...: the packages whose command is not there
missing() {
  local each
  for each; do command -v "${each%%=*}" >/dev/null || echo "${each#*=}"; done
}

# Debian's docker.io and Docker's own packages exclude each other: installing the one would remove the other.
refuse_beside_docker_ce() {
  local installed
  # dpkg-query fails where it does not know a name, which is the good case here.
  installed=$({ dpkg-query -W -f '${db:Status-Status} ${Package}\n' docker-ce containerd.io 2>/dev/null || true; } | sed -n 's/^installed //p' | paste -sd' ')
  [ -z "$installed" ] || fail "Docker's own packages are installed ($installed), but \"docker info\" fails. Start that daemon or give this user access to it; it will not be replaced."
}

install() { # install PACKAGE...
  [ $# -gt 0 ] || return 0
  local codename
  codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
  [ "$codename" = bookworm ] || fail "please install what these Debian packages hold: $* (this script installs on Debian 12 only)"
  [ "$(id -u)" = 0 ] || fail "please install as root: apt-get install --no-install-recommends $*"
  say "installing Debian packages: $*"
  export DEBIAN_FRONTEND=noninteractive
  local log; log=$(mktemp)
  if ! logged "$log" apt_install "$@" && ! again "fetching Debian packages" logged "$log" apt_update_and_install "$@"; then
    tail -n 20 "$log" >&2; fail "apt-get could not install $* (whole log: $log)"
  fi
  rm "$log"
}
# A machine that was started just now may be installing something by itself.
apt_get() { apt-get -q -o DPkg::Lock::Timeout=300 "$@"; }
apt_install() { apt_get install -y --no-install-recommends --no-remove --no-upgrade "$@"; }
apt_update_and_install() { apt_get update && apt_install "$@"; }

docker_packages() {
  if docker_answers; then return; fi
  local wanted
  wanted=$(missing dockerd=docker.io docker=docker.io containerd=containerd runc=runc iptables=iptables ip=iproute2 | sort -u)
  [ -z "$wanted" ] && return
  refuse_beside_docker_ce
  # shellcheck disable=SC2086  # a list of words
  install $wanted
}
image_packages() {
  # shellcheck disable=SC2046  # a list of words
  install $(missing mmdebstrap=mmdebstrap containerd=containerd ctr=containerd catatonit=catatonit busybox=busybox-static nft=nftables python3=python3 | sort -u)
  # A busybox with shared libraries would not run alone in an image.
  if ldd "$(command -v busybox)" >/dev/null 2>&1; then install busybox-static; fi
}
venv_packages() {
  if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then install python3 python3-venv; fi
}
lint_packages() {
  # shellcheck disable=SC2046  # a list of words
  install $(missing shellcheck=shellcheck)
}

case ${1-} in
docker | image | venv | lint) "$1_packages" ;;
-h | --help) usage ;;
*) usage >&2; exit 2 ;;
esac
