#!/bin/sh
# Makes what those who watch ELIAS need of it, once it runs: a token each, with the one scope that it needs, and the
# certificate by which they know it. Tokens end after a year, so run it again before; `elias tokens list` says when.
set -eu
cd "$(dirname "$0")"
umask 077

elias() { docker compose exec -T elias "$@"; }
# Into the file that is there: that one is mounted, and its mode is right.
keep() { printf '%s\n' "$2" > "secrets/$1"; }

certificate=$(elias cat /var/lib/elias/state/tls/cert.pem)
reads=$(elias elias tokens new --scope read --label prometheus --days 366)
tells=$(elias elias tokens new --scope events --label alertmanager --days 366)
keep elias.crt "$certificate"
keep prometheus-token "$reads"
keep alertmanager-token "$tells"
echo "made; next: docker compose --profile watch up --detach"
