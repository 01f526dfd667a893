#!/usr/bin/env bash
# Random single changes of the code that holds the promises; docs/mutants.md says what survives and why.
# usage: tests/mutants.sh fence|client|core|disk [more arguments for cargo-mutants, as --shard 0/8]
# needs: cargo install cargo-mutants --locked; with cargo-nextest, whose first failure ends a run, it is
# three times as fast. Results: target/mutants/PART/mutants.out.
set -euo pipefail
cd "$(dirname "$0")/.."

part="${1:?fence, client, core or disk}"
shift
case "$part" in
  # The client's other tests talk to fake clusters in real time and are about other code.
  client) tests=(-- --lib --test validity --test claims) ;;
  fence | core | disk) tests=() ;;
  *) echo "no part $part" >&2; exit 2 ;;
esac
tool=()
if [ "$part" != client ] && command -v cargo-nextest >/dev/null; then tool=(--test-tool nextest); fi
# What a change makes endless fills the memory long before its time is over.
ulimit -v 6000000
mkdir -p "target/mutants/$part"
exec cargo mutants --package "leasehold-$part" --output "target/mutants/$part" --jobs 1 \
  --no-shuffle "${tool[@]}" "$@" "${tests[@]}"
