#!/bin/bash
# The docker test end to end: finds or starts a docker daemon, finds or makes a base image, and runs docker-test.ts against the compose network.
# Usage: docker-test.sh      Needs `npm ci` before.
#   SHARDLAB_INSTALL_DOCKER=1  install docker.io and docker-compose by apt-get if they are missing (the continuous integration sets it)
# The last line is `docker: ran`, `docker: failed` or `docker: skipped (why)`. Exit code: 0, 1 or 77. Whatever it started it also ends.
set -euo pipefail
cd "$(dirname "$0")/.."
node=node_modules/.bin/node
base=node:24-bookworm-slim
stand_in=shardlab-local-base:node24
work=$(mktemp -d)
daemon=
test=

say() { echo "docker-test: $*"; }
skip() { echo "docker: skipped ($*)"; exit 77; }

# Ends our own daemon, by its pid, and what it mounted; a daemon that was there before is left alone.
cleanup() {
  local status=$?
  trap - EXIT INT TERM HUP
  if [ -n "$daemon" ]; then
    kill -TERM "$daemon" 2>/dev/null || true
    for _ in $(seq 60); do kill -0 "$daemon" 2>/dev/null || break; sleep 0.5; done
    if kill -0 "$daemon" 2>/dev/null; then
      # It did not stop by itself: its containerd would outlive it.
      [ ! -f "$work/exec/containerd/containerd.pid" ] || kill -KILL "$(cat "$work/exec/containerd/containerd.pid")" 2>/dev/null || true
      kill -KILL "$daemon" 2>/dev/null || true
    fi
    { grep -o " $work/[^ ]*" /proc/mounts || true; } | sort -r | while read -r mount; do umount -l "$mount" || true; done
  fi
  rm -rf "$work"
  exit "$status"
}
trap cleanup EXIT
# The test runs in the background, so that a signal reaches this trap at once; the test takes its network down before it ends.
trap '[ -z "$test" ] || { kill -TERM "$test" 2>/dev/null || true; wait "$test" || true; }; exit 130' INT TERM HUP

have_compose() { docker compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null; }
have_programs() { command -v docker >/dev/null && have_compose; }
daemon_answers() { timeout 20 docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

install_programs() {
  [ "${SHARDLAB_INSTALL_DOCKER:-0}" = 1 ] || skip 'docker or docker-compose is missing'
  [ "$(id -u)" = 0 ] || skip 'docker is missing, and only root may install it'
  command -v apt-get >/dev/null || skip 'docker is missing, and there is no apt-get'
  say 'installing docker.io and docker-compose'
  export DEBIAN_FRONTEND=noninteractive
  { timeout 180 apt-get update -qq && timeout 420 apt-get install -y -qq --no-install-recommends docker.io docker-compose; } \
    >"$work/apt.log" 2>&1 </dev/null || { tail -5 "$work/apt.log"; skip 'docker could not be installed'; }
  hash -r
  have_programs || skip 'docker is still missing after its installation'
}

start_daemon() {
  [ "$(id -u)" = 0 ] || skip 'no docker daemon answers, and only root may start one'
  command -v dockerd >/dev/null || install_programs
  command -v dockerd >/dev/null || skip 'no docker daemon answers, and there is no dockerd'
  say 'starting a docker daemon of our own'
  export DOCKER_HOST="unix://$work/docker.sock"
  dockerd --host "$DOCKER_HOST" --data-root "$work/root" --exec-root "$work/exec" --pidfile "$work/dockerd.pid" >"$work/dockerd.log" 2>&1 </dev/null &
  daemon=$!
  for _ in $(seq 60); do
    daemon_answers && return
    kill -0 "$daemon" 2>/dev/null || break
    sleep 1
  done
  tail -5 "$work/dockerd.log"
  skip 'the docker daemon did not start'
}

[ -x "$node" ] || { echo 'docker-test: run npm ci first' >&2; echo 'docker: failed'; exit 1; }
have_programs || install_programs
daemon_answers || start_daemon

if docker image inspect "$base" >/dev/null 2>&1 || timeout 120 docker pull -q "$base" >/dev/null 2>&1; then
  say "base image: $base"
else
  [ "$(uname -sm)" = 'Linux x86_64' ] || skip "$base cannot be pulled, and its stand-in is for Linux x64 only"
  say "base image: $base cannot be pulled, so a stand-in is built from this machine's programs"
  scripts/local-base-image.sh "$stand_in" "$node" >/dev/null || { echo 'docker: failed'; exit 1; }
  base=$stand_in
fi
# The build runs `npm ci`.
timeout 60 docker run --rm "$base" node -e "fetch('https://registry.npmjs.org/level', { signal: AbortSignal.timeout(20000) }).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))" \
  || skip 'a container cannot reach the npm registry'

# Compose 1.29 builds by the classic builder; newer clients without buildx want to be asked for it.
docker buildx version >/dev/null 2>&1 || export DOCKER_BUILDKIT=0
status=0
SHARDLAB_BASE_IMAGE=$base timeout --kill-after=60 600 "$node" scripts/docker-test.ts </dev/null &
test=$!
wait "$test" || status=$?
if [ "$status" = 0 ]; then echo 'docker: ran'; else echo 'docker: failed'; exit 1; fi
