#!/usr/bin/env bash
# run.sh [TARGET...]: fuzzes every target, or the ones named, for FUZZ_SECONDS (60) each, and says how many inputs each has tried.
#
# The pinned toolchain suffices: without a sanitizer, which safe Rust has little use for, the instrumentation needs no nightly.
# Seeds are made at the start, corpora stay in e2e/fuzz/corpus. A finding is a file in e2e/fuzz/artifacts; when it is mended, keep it in
# e2e/fuzz/regressions/TARGET, where `cargo test` replays it. A target without that folder is refused: it was renamed, and what was found
# under its old name would be tried no more. One that has found nothing keeps the empty input there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=../cluster/common.sh
. ../cluster/common.sh
seconds=${FUZZ_SECONDS:-60}
version=0.13.2
tools=$cache/bin/cargo-fuzz-$version

if [ ! -x "$tools/bin/cargo-fuzz" ]; then
  echo "run.sh: installing cargo-fuzz $version (once; kept in $tools)" >&2
  cargo install --quiet --locked --root "$tools" "cargo-fuzz@$version"
fi
export PATH=$tools/bin:$PATH

targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then mapfile -t targets < <(sed -n 's/^name = "\([a-z0-9_]*\)"$/\1/p' Cargo.toml); fi
for target in "${targets[@]}"; do
  if [ ! -d "regressions/$target" ]; then
    echo "run.sh: e2e/fuzz/regressions/$target does not exist; move the inputs of a renamed target there, or put an empty file for a new one" >&2
    exit 1
  fi
done
cargo fuzz build --sanitizer none
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for target in "${targets[@]}"; do
  mkdir -p "corpus/$target"
  if ! FUZZ_SEEDS=corpus/$target cargo fuzz run --sanitizer none "$target" "corpus/$target" "regressions/$target" -- \
    -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 -print_final_stats=1 >"$log" 2>&1; then
    tail -n 60 "$log" >&2
    echo "run.sh: $target has found something: see above" >&2
    exit 1
  fi
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  [ "${runs:-0}" -gt 0 ] || { echo "run.sh: $target has tried nothing" >&2; exit 1; }
  printf '%-20s %12s inputs, nothing found\n' "$target" "$runs"
done
