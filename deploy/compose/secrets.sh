#!/bin/sh
# Makes what the services of compose.yaml know and nobody else may: three passwords, and the settings of ELIAS and of
# Redis, which hold one each. What is there stays. Only the owner of the folder gets to these files; within it they can be read by the
# users of the containers, whose numbers are not those of this machine.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
chmod 700 secrets

password() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

[ -e secrets/postgres-password ] || password > secrets/postgres-password
[ -e secrets/grafana-password ] || password > secrets/grafana-password
[ -e secrets/redis-password ] || password > secrets/redis-password
if [ ! -e secrets/redis.conf ]; then
    cat > secrets/redis.conf << CONF
requirepass $(cat secrets/redis-password)
dir /data
appendonly yes
save ""
CONF
fi
if [ ! -e secrets/elias.yaml ]; then
    cat > secrets/elias.yaml << YAML
# The settings of ELIAS in its container: docs/settings.md. An edit comes into force by \`docker compose up --detach --force-recreate elias\`.
state: /var/lib/elias/state
listen:
  host: 0.0.0.0
  tls: true
  hosts: [elias]
  url: https://127.0.0.1:8600
ledger:
  url: postgresql://elias:$(cat secrets/postgres-password)@postgres/elias
ray:
  redis:
    url: redis://redis:6379
    password_file: /run/secrets/redis-password
alertmanager:
  url: http://alertmanager:9093
YAML
fi
# Compose asks for the files of all services, also of those that are not started yet.
touch secrets/elias.crt secrets/prometheus-token secrets/alertmanager-token
chmod 644 secrets/*
echo "made in $(pwd)/secrets; next: docker compose up --detach --wait"
