#!/usr/bin/env bash
# Start a local Subtensor (the real runtime, no network) for tests and rehearsals.
set -euo pipefail

usage() {
  cat <<'HELP'
Usage: scripts/chain-local.sh [--spec FILE] [--port N] [--mode Instant|Manual] [--install-only]

Runs a Subtensor runtime offline with chopsticks, on 127.0.0.1, until interrupted.
Prints "RPC listening on ..." once it serves; with --port 0 (the default) read the port there.

  --spec FILE      raw chain spec (default: $EDGEMAXX_CHAIN_SPEC, else ../shared/chain/raonet.json)
  --port N         port to listen on, 0 for any free one
  --mode MODE      Instant: a block per transaction; Manual: a block per dev_newBlock call
  --install-only   fetch chopsticks into the cache folder and stop

Needs Node 20 or newer and npm. chopsticks goes to the chopsticks folder of the build's target folder
(250 MB, once), or to $EDGEMAXX_CHOPSTICKS where that is set.
HELP
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
spec=${EDGEMAXX_CHAIN_SPEC:-$here/../shared/chain/raonet.json}
port=0
mode=Instant
install_only=
while [ $# -gt 0 ]; do
  case $1 in
    --spec) spec=$2; shift 2 ;;
    --port) port=$2; shift 2 ;;
    --mode) mode=$2; shift 2 ;;
    --install-only) install_only=1; shift ;;
    -h|--help) usage; exit 0 ;;
    *) echo "unknown argument: $1 (see --help)" >&2; exit 2 ;;
  esac
done

cache=${EDGEMAXX_CHOPSTICKS:-${CARGO_TARGET_DIR:-$here/target}/chopsticks}
entry=$cache/node_modules/@acala-network/chopsticks/chopsticks.cjs
mark=$cache/installed
if [ ! -f "$mark" ]; then
  mkdir -p "$cache"
  # Several tests may start at once; one installs, the others wait for it. Scripts would build a database that is
  # not used, for minutes.
  (
    flock 9
    [ -f "$mark" ] || (cd "$cache" && npm install --ignore-scripts --no-audit --no-fund --silent @acala-network/chopsticks@1.5.1 >&2)
    touch "$mark"
  ) 9>"$cache/lock"
fi
[ -z "$install_only" ] || exit 0
[ -f "$spec" ] || { echo "no chain spec at $spec; set EDGEMAXX_CHAIN_SPEC or pass --spec" >&2; exit 3; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
spec=$(cd "$(dirname "$spec")" && pwd)/$(basename "$spec")
printf 'genesis: %s\nport: %s\nhost: 127.0.0.1\nbuild-block-mode: %s\n' "$spec" "$port" "$mode" >"$work/config.yml"
cd "$work"
# Not exec: the trap removes the folder. A signal reaches the node too.
node "$entry" --config "$work/config.yml" &
child=$!
trap 'kill "$child" 2>/dev/null || true; wait "$child" 2>/dev/null || true; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
wait "$child"
