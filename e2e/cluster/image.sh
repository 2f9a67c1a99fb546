#!/usr/bin/env bash
# image.sh: makes the image archive of one static binary: FROM scratch, non-root, nothing else in it.
#
#   image.sh BINARY NAME:TAG OUT.tar     for example: image.sh target/release/hsm-sim hsm-sim:dev target/images/hsm-sim.tar
#
# The image holds /NAME (the last part of the image's name) and /etc/passwd with the user "nonroot" (65532), who runs it. The same binary
# gives the same bytes, so an image's digest changes only when its program did.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=common.sh
. "$here/common.sh"

case ${1-} in -h | --help) usage; exit ;; esac
[ $# = 3 ] || { usage >&2; exit 2; }
binary=$1 image=$2 out=$3
[ -x "$binary" ] || fail "$binary is not an executable file"
# A binary with an interpreter needs libraries, and FROM scratch has none: it would die with "no such file or directory".
# Not "grep -q", which ends before ldd does: that would count as a failure of the pipe.
if ldd "$binary" 2>/dev/null | grep '=>' >/dev/null; then fail "$binary is not static: $(ldd "$binary" | grep '=>' | head -n 1)"; fi

name=${image##*/}
name=${name%%:*}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/etc" "$(dirname "$out")"
echo 'nonroot:x:65532:65532::/:/sbin/nologin' >"$folder/etc/passwd"
cp "$binary" "$folder/$name"
python3 "$here/mkimage.py" --user 65532:65532 --entrypoint "/$name" "$out" "$folder" "$image"
