#!/usr/bin/env bash
# aws-cli.sh: the AWS CLI and boto3 of requirements.txt in a Python environment of their own, made once in the cache.
#
# Prints the folder that holds `aws` and `python`; progress goes to stderr.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../cluster/common.sh
. "$here/../cluster/common.sh"

case ${1-} in
-h | --help) usage; exit ;;
esac

# The interpreter is part of the key: an environment does not survive a move to another one. base_prefix is the same inside an environment.
folder=$cache/aws-cli-$(key "$(cat "$here/requirements.txt")" "$(python3 -c 'import sys; print(sys.version, sys.base_prefix)')")

make_environment() {
  [ -x "$folder/bin/aws" ] && return
  "$here/../cluster/packages.sh" venv
  say "installing the AWS CLI and boto3 (once; kept in $folder)"
  # Scripts in an environment name its folder, so it is made in place; "complete" is what a half-made one lacks: bin/aws comes last.
  rm -rf "$folder"
  python3 -m venv "$folder"
  again "installing the AWS CLI and boto3" "$folder/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt" >&2
}

[ -x "$folder/bin/aws" ] || locked aws-cli make_environment >&2
echo "$folder/bin"
