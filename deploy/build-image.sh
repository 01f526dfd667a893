#!/usr/bin/env bash
# Builds the image leasehold:local without pulling anything: the binary is compiled here, statically
# linked, and put into the Dockerfile's own final stage.
set -euo pipefail
cd "$(dirname "$0")/.."

target="$(rustc -vV | sed -n 's/^host: //p')"
RUSTFLAGS="-C target-feature=+crt-static" \
  cargo build --locked --release --package leasehold --target "$target"

context="$(mktemp -d)"
trap 'rm -rf "$context"' EXIT
cp "target/$target/release/leasehold" "$context/leasehold"
mkdir "$context/data"

# BuildKit skips the stage that is not used; an engine's own client has it even without buildx.
docker=docker
if ! docker buildx version >/dev/null 2>&1 && [ -x /usr/bin/docker ]; then
  docker=/usr/bin/docker
fi
DOCKER_BUILDKIT=1 "$docker" build --file deploy/Dockerfile --build-arg BINARY=prebuilt \
  --tag leasehold:local "$context"
