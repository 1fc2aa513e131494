#!/usr/bin/env bash
# Installs the Debian packages that recipes need and that are missing.
#
#   tests/packages.sh RECIPE…      recipes: iptables (tests of faults by iptables), kernel (tests/kernel), pages (tests/pages.sh),
#                                  metrics (tests/metrics.rs, a Prometheus in labs of tests/verbs), ci-files (tests/ci_files.sh),
#                                  statsd (a StatsD daemon for the tests of crates/sources, from the npm registry),
#                                  smtp (a mail server for the tests of crates/notify, from the registry of Python packages),
#                                  fuzz (schemathesis for tests/serve, from the registry of Python packages),
#                                  runit (agent/tests with a real runsv), man (groff for tests/man.rs),
#                                  stores (PostgreSQL, MariaDB, Redis and etcd for the tests of crates/stores),
#                                  store-STORE (the programs of scenarios/stores/STORE)
#
# Needs root. Otherwise it says `skipped:` (in CI `error:`) with what is missing, and ends with 3.
# shellcheck source=tests/strict.sh
source "$(dirname "$0")/strict.sh"

has() { command -v "$1" >/dev/null || [[ -x /usr/sbin/$1 ]]; }

need=()
for recipe in "$@"; do
    case $recipe in
    iptables) has iptables-restore || need+=(iptables) ;;
    metrics)
        # Their services stay off: tests start the programs in labs.
        has prometheus || need+=(prometheus)
        has prometheus-node-exporter || need+=(prometheus-node-exporter)
        has prometheus-alertmanager || need+=(prometheus-alertmanager)
        has prometheus-pushgateway || need+=(prometheus-pushgateway)
        ;;
    pages)
        has chromium || need+=(chromium)
        has node || need+=(nodejs)
        has npm || need+=(npm)
        ;;
    statsd)
        has node || need+=(nodejs)
        has npm || need+=(npm)
        ;;
    stores)
        # Their services stay off: tests start the programs themselves.
        [[ -x /usr/lib/postgresql/15/bin/postgres ]] || need+=(postgresql-15)
        has mariadbd || need+=(mariadb-server)
        has redis-server || need+=(redis-server)
        has redis-sentinel || need+=(redis-sentinel)
        has etcd || need+=(etcd-server)
        ;;
    store-haproxy) has haproxy || need+=(haproxy) ;;
    store-etcd)
        has haproxy || need+=(haproxy)
        has etcd || need+=(etcd-server)
        ;;
    store-redis)
        has redis-server || need+=(redis-server)
        has redis-sentinel || need+=(redis-sentinel)
        ;;
    store-postgres) [[ -x /usr/lib/postgresql/15/bin/postgres ]] || need+=(postgresql-15) ;;
    store-zookeeper)
        has java || need+=(openjdk-17-jre-headless)
        [[ -e /usr/share/java/zookeeper.jar ]] || need+=(zookeeper)
        ;;
    runit) has runsv && has svlogd || need+=(runit) ;;
    man) has groff || need+=(groff-base) ;;
    ci-files | smtp | fuzz) python3 -c 'import ensurepip' 2>/dev/null || need+=(python3-venv) ;;
    kernel)
        has qemu-system-x86_64 || need+=(qemu-system-x86)
        has iptables-restore || need+=(iptables)
        [[ -x /bin/busybox ]] || need+=(busybox-static)
        has cpio || need+=(cpio)
        has modprobe || need+=(kmod)
        [[ -x /lib/systemd/systemd ]] || need+=(systemd)
        has dbus-daemon || need+=(dbus)
        has ip || need+=(iproute2)
        find /boot -name 'vmlinuz-*-amd64' ! -name '*cloud*' | grep -q . || need+=(linux-image-amd64)
        ;;
    *)
        echo "packages.sh: there is no recipe $recipe: iptables, kernel, metrics, ci-files, pages, statsd, smtp, fuzz, runit, man, stores, store-STORE" >&2
        exit 2
        ;;
    esac
done
# After the Debian packages, what comes from other registries: in the versions of a lock file, again when that changes.
others() {
    local folder
    folder=$(dirname "$0")/statsd
    if [[ " $* " == *" statsd "* ]] && ! cmp --silent "$folder/package-lock.json" "$folder/node_modules/.of"; then
        npm ci --prefix "$folder" --ignore-scripts --omit=optional --no-audit --no-fund --loglevel=error >&2
        cp "$folder/package-lock.json" "$folder/node_modules/.of"
    fi
    local recipe
    for recipe in smtp fuzz; do
        folder=$(dirname "$0")/$recipe
        if [[ " $* " == *" $recipe "* ]] && ! cmp --silent "$folder/requirements.txt" "$folder/venv/.of"; then
            rm -rf "$folder/venv"
            python3 -m venv "$folder/venv"
            "$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$folder/requirements.txt" >&2
            cp "$folder/requirements.txt" "$folder/venv/.of"
        fi
    done
}
if ((${#need[@]} == 0)); then
    others "$@"
    exit 0
fi
if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
    word=skipped
    if ((EUID == 0)) || [[ -n ${CI:-} ]]; then word=error; fi
    echo "$word: $* needs ${need[*]}; install them, or run this as root on Debian" >&2
    exit 3
fi
# Tests start the programs themselves: no service of a package is to run on this machine.
if [[ ! -e /usr/sbin/policy-rc.d ]]; then
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 0755 /usr/sbin/policy-rc.d
fi
apt-get update -qq >&2
# Kernels are only ever booted in QEMU, with an initramfs of the recipe's own: a general one would take a minute.
INITRD=No DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${need[@]}" >&2
# What was there before may be somebody's, and keeps its links.
for package in "${need[@]}"; do
    case $package in
    prometheus* | redis-* | haproxy) rm -f "/etc/systemd/system/multi-user.target.wants/$package.service" ;;
    etcd-server) rm -f /etc/systemd/system/multi-user.target.wants/etcd.service ;;
    postgresql-*) rm -f /etc/systemd/system/multi-user.target.wants/postgresql.service ;;
    esac
done
others "$@"
