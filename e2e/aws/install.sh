#!/usr/bin/env bash
# Installs the AWS CLI and boto3 of requirements.txt into a folder of their own and prints that folder on the last line.
# The folder's name carries a digest of requirements.txt, so a change of versions makes a new one and never a mixture.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${KEYSTORE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/keystore-operator}
key=$(sha256sum "$here/requirements.txt" | cut -c1-12)
venv=$cache/aws-$key

if [[ ${1:-} == --help ]]; then
  echo "usage: install.sh    installs the AWS CLI and boto3 into $venv and prints that folder"
  exit 0
fi
if [[ ! -x $venv/bin/aws ]]; then
  mkdir -p "$cache"
  rm -rf "$venv.new"
  echo "installing the AWS CLI and boto3" >&2
  python3 -m venv "$venv.new"
  "$venv.new/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt" >&2
  # A virtual environment knows its own path: make the scripts' first lines name the final folder before it gets its name.
  grep -rlI --exclude-dir=site-packages "$venv.new" "$venv.new/bin" "$venv.new/pyvenv.cfg" | xargs -r sed -i "s#$venv.new#$venv#g"
  mv "$venv.new" "$venv"
fi
echo "$venv"
