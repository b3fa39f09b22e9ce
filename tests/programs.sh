#!/bin/sh
# Installs what the tests start beside ELIAS, where it is missing: Debian's packages, which needs root. Nothing of them is
# started here: the tests run their own.
set -eu

missing=
need() { command -v "$1" > /dev/null || missing="$missing $2"; }
need chromium chromium
need docker-compose docker-compose
need fsfreeze util-linux
need ip iproute2
need mkfs.ext4 e2fsprogs
need mount mount
need npm npm
need prometheus prometheus
need promtool prometheus
need prometheus-node-exporter prometheus-node-exporter
need prometheus-alertmanager prometheus-alertmanager
need amtool prometheus-alertmanager
need munged munge
need redis-server redis-server
need slurmctld slurmctld
need slurmd slurmd
need scontrol slurm-client
need systemd-analyze systemd
ls /usr/lib/postgresql/*/bin/initdb > /dev/null 2>&1 || missing="$missing postgresql"
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
    echo "what the tests start is not all installed, and only root may: \`apt-get install$missing\`, then try again" >&2
    exit 1
fi
# Nobody asked for servers of the system's own beside those of the tests.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    printf '#!/bin/sh\nexit 101\n' > $policy
    chmod 755 $policy
fi
settings=/etc/postgresql-common/createcluster.conf
mkdir -p "$(dirname $settings)"
[ -e $settings ] || echo 'create_main_cluster = false' > $settings
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
apt-get update -qq
# shellcheck disable=SC2086 # one word a package
apt-get install -y -qq --no-install-recommends -o Dpkg::Options::=--force-confold $missing
