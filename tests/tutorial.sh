#!/usr/bin/env bash
# Types the commands of docs/tutorial.md, in their order, and writes its files. All of it happens in namespaces of its own: the
# host is one with runit, whose service `shop` is a small web server. Needs root; nothing of this machine is changed.
#
#   tests/tutorial.sh [FOLDER]      FOLDER has the two programs; without it they are built
#
# Not typed is what needs another machine or a booted one: cargo, ssh, systemctl. Copies to the host are copies to a folder.
# shellcheck source=tests/strict.sh
source "$(dirname "$0")/strict.sh"

if [[ ${1:-} != --inside ]]; then
    cd "$(dirname "$0")/.."
    for program in runsvdir sv unshare ip python3; do
        if ! command -v "$program" >/dev/null; then
            echo "skipped: the tutorial needs $program" >&2
            exit 0
        fi
    done
    if ((EUID != 0)); then
        echo "skipped: the tutorial needs root, for namespaces and mounts" >&2
        exit 0
    fi
    programs=${1:-}
    if [[ -z $programs ]]; then
        cargo build --quiet --package firedrill --package firedrill-agent
        programs=${CARGO_TARGET_DIR:-target}/debug
    fi
    work=$(mktemp --directory)
    trap 'rm -rf "$work"' EXIT
    mkdir -p "$work/home/target/dist" "$work/mounts"
    cp "$programs/firedrill" "$programs/firedrill-agent" "$work/home/target/dist"
    cp -r packaging "$work/home"
    cp docs/tutorial.md "$work"
    unshare --mount --net --pid --uts --fork --kill-child --mount-proc "$PWD/tests/tutorial.sh" --inside "$work"
    exit
fi

# The first process of its own namespace: outside of one the next lines would change this machine.
if (($$ != 1)); then
    echo "tutorial.sh: --inside is for the script itself" >&2
    exit 2
fi
work=$2
mount --make-rprivate /
mount -t tmpfs tmpfs "$work/mounts"
for folder in /usr/bin /etc; do
    own=$work/mounts/${folder//\//_}
    mkdir -p "$own" "$own.work"
    mount -t overlay overlay -o "lowerdir=$folder,upperdir=$own,workdir=$own.work" "$folder"
done
for folder in /run /var/lib /var/log; do mount -t tmpfs tmpfs "$folder"; done
ip link set lo up
ip link add edge type veth peer name wire
ip addr add 10.0.0.11/24 dev edge
ip link set edge up
ip link set wire up

# The service of one's own, and what starts services at boot.
rm -rf /etc/service
mkdir -p /etc/service /etc/sv/shop/www
echo hello >/etc/sv/shop/www/index.html
python=$(python3 -c 'import sys; print(sys.executable)')
printf '#!/bin/sh\ncd /etc/sv/shop/www\nexec %s -m http.server 8080 >/dev/null 2>&1\n' "$python" >/etc/sv/shop/run
chmod +x /etc/sv/shop/run
ln -s /etc/sv/shop /etc/service/
runsvdir -P /etc/service &

export HOME=$work/home PATH=$work/home/target/dist:$PATH
cd "$HOME"
mkdir host

until_serves() {
    for _ in $(seq 300); do
        if firedrill-agent status 2>/dev/null | grep -q serves; then return; fi
        sleep 0.1
    done
    echo "the agent does not serve" >&2
    cat /var/log/firedrill-agent/current >&2
    exit 1
}

# Shows and runs a command. Returns its code.
run_it() {
    local code=0
    echo "$ $1"
    eval "$1" || code=$?
    return $code
}

# Prints the kind of a line: `typed`, `left` (it needs another machine, or a booted one) or `neither`.
kind_of() {
    case $1 in
    "cargo "* | "ssh "* | "systemctl "* | "install -m 0644 firedrill-agent.service"* | "install "*" ~/.local/bin/firedrill") echo left ;;
    "PKI="* | "scp "* | "cp "* | "install "* | "ln "* | "printf "* | "firedrill "* | "firedrill-agent "*) echo typed ;;
    *) echo neither ;;
    esac
}

# Whether a block with this first line is output of the command above it.
is_output() {
    case $1 in
    "web1 0.1.0: serves" | " ✓ "* | "warning: "* | "shop-crash.toml: fine"* | "1. crash" | "  web1" | "   0.0 s  crash"*) ;;
    *) return 1 ;;
    esac
}

type_it() {
    local line=$1 code=0
    case $line in
    "scp target"*)
        cp target/dist/firedrill-agent packaging/*.service packaging/motd host
        cp -r packaging/runit host
        return
        ;;
    'scp $PKI'*) line="${line/scp/cp}" line="${line/root@10.0.0.11:firedrill\//host}" ;;
    esac
    run_it "$line" || code=$?
    # On a busy machine a run may be unknown, because it could not measure. Then it is run once more.
    if [[ $line == "firedrill run"* ]] && ((code == 3)); then
        echo "docs/tutorial.md: \`$line\` was unknown, once more" >&2
        code=0
        run_it "$line" || code=$?
    fi
    if ((code)); then
        echo "docs/tutorial.md: \`$line\` ended with $code" >&2
        exit 1
    fi
    case $line in
    "cp \$PKI"*) cd host ;;
    "ln -s /etc/sv/firedrill-agent"*) cd .. && until_serves ;;
    esac
}

# Takes a line of a block that is indented: the first line of a block says whether it has commands or output.
take() {
    local kind
    kind=$(kind_of "$1")
    if [[ -z $inside ]]; then
        if [[ $kind == neither ]] && is_output "$1"; then inside=output; else inside=commands; fi
    fi
    if [[ $inside == output ]]; then return; fi
    case $kind in
    typed)
        type_it "$1"
        typed=$((typed + 1))
        ;;
    left) left=$((left + 1)) ;;
    neither) echo "docs/tutorial.md: \`$1\` is no command that tests/tutorial.sh knows, and no output" >&2 && exit 1 ;;
    esac
}

files=(fleet.toml shop-crash.toml shop-crash.toml)
typed=0 left=0
inside=
block=
while IFS= read -r line <&3; do
    if [[ $line != "    "* ]]; then inside=; fi
    case $line in
    '```toml') block=$work/block && : >"$block" ;;
    '```')
        if [[ -n $block ]]; then
            cat "$block" >>"${files[0]}"
            files=("${files[@]:1}")
            block=
        fi
        ;;
    *)
        if [[ -n $block ]]; then
            echo "$line" >>"$block"
        elif [[ $line == "    "* ]]; then
            take "${line#    }"
        fi
        ;;
    esac
done 3<../tutorial.md

if ((typed < 20)) || ((${#files[@]})); then
    echo "only $typed commands of the tutorial were found, and not written: ${files[*]}" >&2
    exit 1
fi
ls reports/*/report.html
sv -w 60 down firedrill-agent
echo "$typed commands of the tutorial were typed, $left need another machine"
