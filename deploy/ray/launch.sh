#!/bin/sh
# On the head: starts the part of Ray that starts the other machines. `ray start --head` would do so for a Ray of its
# own; the one of ELIAS goes without, and lets in only who shows its token and a certificate of its authority.
set -eu
state=$HOME/.elias
pid=$state/launcher.pid
head=$(sed -n 's/^ *"head": "\(.*\)",$/\1/p' "$HOME/cluster.join")

export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH="$state/ray.token"
export RAY_USE_TLS=1 RAY_TLS_CA_CERT="$state/ray.tls/ca.pem"
export RAY_TLS_SERVER_CERT="$state/ray.tls/cert.pem" RAY_TLS_SERVER_KEY="$state/ray.tls/key.pem"

# The one of before belongs to a cluster that has ended.
if [ -s "$pid" ] && grep -q autoscaler "/proc/$(cat "$pid")/cmdline" 2> /dev/null; then
    kill "$(cat "$pid")"
fi
setsid "$HOME/elias/bin/python" -m ray.autoscaler._private.monitor --gcs-address="$head" \
    --autoscaling-config="$HOME/ray_bootstrap_config.yaml" --logs-dir="$state/logs" \
    < /dev/null > /dev/null 2>&1 &
echo $! > "$pid"
