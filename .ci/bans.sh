#!/usr/bin/env bash
# bans.sh: what must not be in the tree, checked without cargo-deny (deny.toml says why each crate is banned).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
fail() { echo "bans.sh: $*" >&2; exit 1; }

for crate in ring openssl openssl-sys native-tls; do
  found=$(cargo tree --locked --quiet --workspace --target all --edges normal,build,dev --invert "$crate" 2>/dev/null || true)
  [ -z "$found" ] || fail "the crate $crate is in the graph: $found"
done

# Two versions of aws-lc-sys would link side by side without a word, because their symbols carry the version.
versions=$(cargo tree --locked --quiet --workspace --target all --edges normal,build,dev --prefix none --format '{p}' | grep -E '^aws-lc-(fips-)?sys ' | cut -d' ' -f1,2 | sort -u)
[ "$(wc -l <<<"$versions")" = 1 ] || fail "AWS-LC must be linked exactly once, found: $versions"

# Nothing but one registry and this workspace: no Git repository, no second registry.
sources=$(sed -n 's/^source = //p' Cargo.lock | sort -u)
[[ $sources == '"registry+'* && $(wc -l <<<"$sources") == 1 ]] || fail "Cargo.lock has other sources: $sources"

# A test that does not run proves nothing.
ignored=$(git grep -nE '#\[ignore' -- '*.rs' || true)
[ -z "$ignored" ] || fail "ignored tests: $ignored"
echo "bans: ok"
