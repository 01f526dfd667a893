#!/usr/bin/env bash
# Takes the real compose file up, uses it, breaks it, uses it again, and takes it down.
#
# The image is built without pulling anything (deploy/build-image.sh). Containers are reached through
# the ports that the compose file publishes on 127.0.0.1.
set -euo pipefail
cd "$(dirname "$0")/.."

project="leasehold-test-$$"
if docker compose version >/dev/null 2>&1; then compose=(docker compose); else compose=(docker-compose); fi
compose+=(-p "$project" -f deploy/docker-compose.yml)

started_engine=
if ! docker info >/dev/null 2>&1; then
  dockerd >target/dockerd.log 2>&1 &
  started_engine=$!
  for _ in $(seq 60); do docker info >/dev/null 2>&1 && break; sleep 1; done
  docker info >/dev/null
fi

finish() {
  status=$?
  if [ "$status" -ne 0 ]; then "${compose[@]}" logs --tail 30 || true; fi
  "${compose[@]}" down --volumes --timeout 20 >/dev/null 2>&1 || true
  if [ -n "$started_engine" ]; then kill "$started_engine" || true; fi
  exit "$status"
}
trap finish EXIT

deploy/build-image.sh
leasehold="target/$(rustc -vV | sed -n 's/^host: //p')/release/leasehold"
export LEASEHOLD_ENDPOINTS=127.0.0.1:7101,127.0.0.1:7102,127.0.0.1:7103
export LEASEHOLD_STORE=127.0.0.1:7300

# Polls a command until it succeeds: `eventually WHAT COMMAND...`.
eventually() {
  local what="$1"
  shift
  for _ in $(seq 300); do
    if "$@" >/dev/null 2>&1; then return; fi
    sleep 0.2
  done
  echo "waited too long for $what" >&2
  "$@" || true
  return 1
}

say() { printf '  %s\n' "$*"; }

container() { "${compose[@]}" ps -q "$1"; }
healthy() { [ "$(docker inspect --format '{{.State.Health.Status}}' "$(container "$1")")" = healthy ]; }

"${compose[@]}" up -d --no-build
for service in lease-1 lease-2 lease-3 store; do eventually "$service to be healthy" healthy "$service"; done
say "four containers are healthy"

first="$("$leasehold" acquire compose/job --ttl 60s)"
"$leasehold" data put compose/job owner first --token "$first"
say "acquired with token $first and wrote"

leader_service() { "$leasehold" --output json status | python3 -c '
import json, sys
for line in sys.stdin:
    node = json.loads(line)
    if node.get("role") == "leader": print("lease-%d" % node["node_id"])'; }
leader="$(leader_service)"
docker kill --signal KILL "$(container "$leader")" >/dev/null
other_leads() { now="$(leader_service)"; [ -n "$now" ] && [ "$now" != "$leader" ]; }
# `restart: unless-stopped` does not start a container again that the engine was told to kill.
eventually "another leader than $leader" other_leads
say "killed the leader's container $leader; $now leads"

second="$("$leasehold" acquire compose/other --ttl 60s)"
[ "$second" -gt "$first" ]
say "acquired again: token $second"

docker start "$(container "$leader")" >/dev/null
eventually "$leader to be healthy again" healthy "$leader"
for service in lease-1 lease-2 lease-3; do
  [ "$service" != "$(leader_service)" ] && follower="$service"
done
network="${project}_default"
docker network disconnect "$network" "$(container "$follower")"
third="$("$leasehold" acquire compose/third --ttl 60s)"
[ "$third" -gt "$second" ]
say "disconnected the follower $follower from the network; acquired: token $third"
docker network connect --alias "$follower" "$network" "$(container "$follower")"
eventually "$follower to be healthy again" healthy "$follower"

"$leasehold" release compose/job --token "$first"
next="$("$leasehold" acquire compose/job --ttl 60s)"
"$leasehold" data put compose/job owner next --token "$next"
status=0
"$leasehold" data put compose/job owner late --token "$first" || status=$?
[ "$status" -eq 73 ]
[ "$("$leasehold" data get compose/job owner)" = next ]
say "a stale write was refused with exit status 73 and changed nothing"
