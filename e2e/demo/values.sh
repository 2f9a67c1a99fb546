#!/usr/bin/env bash
# values.sh: the values of the chart that an existing cluster needs and one of kind does not.
#
#   values.sh https://HOST:PORT      for helm --set: the host joins the serving certificate, and $IMAGE_PREFIX the names of the images
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../cluster/common.sh
. "$here/../cluster/common.sh"
case ${1-} in -h | --help) usage; exit ;; esac
[[ ${1-} =~ ^https://([^:/]+|\[[0-9a-f:]+\])(:[0-9]+)?/?$ ]] || fail "\"${1-}\" is not https://HOST:PORT"

host=${BASH_REMATCH[1]}
values="gateway.extraNames={${host//[\[\]]/}}"
if [ -n "${IMAGE_PREFIX-}" ]; then values+=",image.repository=$IMAGE_PREFIX/keystore-operator,hsmImage.repository=$IMAGE_PREFIX/hsm-sim"; fi
echo "$values"
