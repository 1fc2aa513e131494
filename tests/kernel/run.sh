#!/usr/bin/env bash
# Runs a command as root under Debian's stock kernel in QEMU, with systemd as PID 1 and this machine's files underneath.
#
#   tests/kernel/run.sh                 the kernel tests, on two machines side by side: the agent's own tests on one, the product in
#                                       three boots on the other, with a power loss between the first two. Half of the drills of
#                                       single kinds run, and one of two scenarios in a lab (with netem, without it), by turn from
#                                       commit to commit; with FIREDRILL_ALL=1, or in a shallow clone, all of them
#   tests/kernel/run.sh --build         only compiles what the tests need
#   tests/kernel/run.sh COMMAND [ARG…]  any command
#
# The guest sees the host's root read-only, under an overlay in its own memory; what it leaves in /vm-out stays in
# $VM_OUT. Software emulation: booting takes half a minute. As root this installs what is missing: QEMU, a kernel, …
# shellcheck source=tests/strict.sh
source "$(dirname "$0")/../strict.sh"
cd "$(dirname "$0")/../.."
root=$PWD
target=$(realpath -m "${CARGO_TARGET_DIR:-$root/target}")
programs=$target/release

find_kernel() { find /boot -name 'vmlinuz-*-amd64' ! -name '*cloud*' 2>/dev/null | sort -V | tail -n 1; }
got=0
tests/packages.sh kernel || got=$?
# What cannot be installed is said there, and no failure elsewhere than in CI.
if ((got)); then [[ $got == 3 && -z ${CI:-} ]] && exit 0 || exit "$got"; fi
kernel=$(find_kernel)
release=${kernel#/boot/vmlinuz-}

work=$(mktemp -d)
# However this ends, no machine runs on.
finish() {
  local file
  for file in "$work"/*.pid; do
    [[ ! -e $file ]] || kill "$(<"$file")" 2>/dev/null || true
  done
  wait
  rm -rf "$work"
}
trap finish EXIT
# The machine that `boot` boots, and what its guest leaves.
machine=product
out=${VM_OUT:-$work/out}
mkdir -p "$out" "$work/ir/bin" "$work/ir/mods"

# The smallest initramfs that can mount the host's root: busybox and the modules for 9p and overlay.
cp /bin/busybox "$work/ir/bin/"
modules=(virtio virtio_ring virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci fscache netfs 9pnet 9pnet_virtio 9p overlay)
for module in "${modules[@]}"; do
  file=$(find "/lib/modules/$release" -name "$module.ko*" | head -n 1)
  [[ -z $file ]] || cp "$file" "$work/ir/mods/"
done
cat >"$work/ir/init" <<INIT
#!/bin/busybox sh
b=/bin/busybox
\$b mkdir -p /proc /dev /host /top /new
\$b mount -t proc proc /proc; \$b mount -t devtmpfs dev /dev
for pass in 1 2; do for m in ${modules[*]}; do [ -f /mods/\$m.ko ] && \$b insmod /mods/\$m.ko 2>/dev/null; done; done
\$b mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro host /host
\$b mount -t tmpfs -o size=75% top /top; \$b mkdir /top/up /top/work
\$b mount -t overlay -o lowerdir=/host,upperdir=/top/up,workdir=/top/work root /new
\$b mkdir -p /new/vm-out; \$b mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=none out /new/vm-out
exec \$b switch_root /new /vm-out/start
INIT
chmod +x "$work/ir/init"
(cd "$work/ir" && find . | cpio -o -H newc 2>/dev/null | gzip -1) >"$work/ir.gz"

cat >"$out/start" <<'START'
#!/bin/bash
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -t tmpfs run /run
rm -rf /etc/systemd/system/*.wants/* 2>/dev/null
# The checkout may lie below /tmp, which must be neither hidden nor emptied.
ln -sf /dev/null /etc/systemd/system/tmp.mount
mkdir -p /etc/tmpfiles.d && ln -sf /dev/null /etc/tmpfiles.d/tmp.conf
# What an earlier boot wrote to its disk.
[ ! -d /vm-out/root ] || cp -a /vm-out/root/. /
mkdir -p /run/systemd/system /vm-out/state /var/lib/firedrill
mount --bind /vm-out/state /var/lib/firedrill
cat >/run/systemd/system/vm-job.service <<UNIT
[Unit]
After=basic.target dbus.service
Wants=dbus.service
[Service]
Type=oneshot
ExecStart=/bin/bash /vm-out/job
ExecStopPost=/bin/busybox poweroff -f
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
UNIT
printf '[Unit]\nRequires=basic.target vm-job.service\nAllowIsolate=yes\n' >/run/systemd/system/vm.target
echo vm >/etc/hostname
exec /lib/systemd/systemd --unit=vm.target --show-status=0 --log-level=warning --log-target=kmsg
START
chmod +x "$out/start"

# Boots and runs a command; its output is ours. Two machines may run at once.
boot() {
  rm -f "$out/status"
  {
    echo '#!/bin/bash'
    echo "export PATH=$PATH HOME=${HOME:-/root} CARGO_TARGET_DIR=$target FIREDRILL_PROGRAMS=$programs"
    echo "printf '\\n--vm--\\n'; cd $root"
    printf '%q ' "$@"
    echo '</dev/null'
    echo 'echo $? >/vm-out/status; sync'
  } >"$out/job"
  {
    echo "$BASHPID" >"$work/$machine.pid"
    exec timeout "${VM_SECONDS:-1600}" qemu-system-x86_64 -machine q35 -cpu max -accel tcg,thread=multi -smp "${VM_CPUS:-2}" -m 2048 \
      -display none -serial stdio -monitor none -no-reboot -nic none -kernel "$kernel" -initrd "$work/ir.gz" \
      -append 'console=ttyS0 quiet panic=-1 softlockup_panic=1 watchdog_thresh=60 mitigations=off random.trust_cpu=on systemd.unified_cgroup_hierarchy=1' \
      -virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap \
      -virtfs local,path="$out",mount_tag=out,security_model=none </dev/null 2>"$work/$machine.qemu"
  } | tee "$work/$machine.console" | stdbuf -oL tr -d '\r' | sed -u -n '/^--vm--$/,$p' | sed -u 1d || true
  rm -f "$work/$machine.pid"
}

# How the command ended.
ended() {
  if [[ ! -s $out/status ]]; then
    echo "the guest did not finish, or never got to the command; its console ended:" >&2
    tail -n 20 "$work/$machine.console" "$work/$machine.qemu" >&2
    exit 125
  fi
  return "$(<"$out/status")"
}

if (($#)) && [[ $1 != --build ]]; then
  boot "$@"
  ended
  exit
fi

# Where a test program lies, by what cargo says of it.
program() { sed -n "s|^ *Executable.*[ /]$1.* (\(.*\))\$|\1|p" "$work/programs" | tail -n 1; }
# In emulation agents and labs that are not optimised begin too late. All that depends on none of these is taken from the release
# build.
optimised=()
for package in firedrill firedrill-agent firedrill-certs firedrill-kernel firedrill-lab; do
  optimised+=(--config "profile.release.package.$package.opt-level=1")
done
cargo build --release -p firedrill -p firedrill-agent "${optimised[@]}"
# One call for both packages: by themselves they have other features, and would be compiled again.
cargo test --no-run -p firedrill -p firedrill-agent --test kernel --test systemd --test net_faults --test net_switches \
  --test net_snapshot --test clock 2>&1 | tee -a "$work/programs"
[[ ${1:-} != --build ]] || exit 0
kernel_test=$(program tests/kernel/main.rs)
agent_tests=()
for file in systemd.rs net_faults/main.rs net_switches.rs net_snapshot.rs clock.rs; do
  agent_tests+=("$(program "tests/$file")")
done

# The half of the drills whose turn it is. It is empty, for all of them, where the number of commits is unknown.
turn=
if [[ -z ${FIREDRILL_ALL:-} && $(git rev-parse --is-shallow-repository 2>/dev/null) == false ]]; then
  turn=$(($(git rev-list --count HEAD) % 2))
fi

# One processor each. Two emulated ones hang now and then where one rewrites code that the other runs, as the kernel does whenever
# the first firewall rule of all comes or the last one goes.
VM_CPUS=1
echo "== the agent's own tests, on a machine of their own; what they say comes last"
mkdir "$work/own"
cp "$out/start" "$work/own/"
(
  machine=own out=$work/own
  boot bash -ec 'for test in "$@"; do FIREDRILL_VM=1 "$test" --nocapture --test-threads=4 --skip in_user_space --skip iptables_shapes; done' \
    own "${agent_tests[@]}"
  ended
) >"$work/own.log" 2>&1 &
own=$!

echo "== first boot: the product, up to a power loss"
boot env FIREDRILL_TURN="$turn" FIREDRILL_VM=first "$kernel_test" --nocapture
[[ -e $out/power-lost ]] || { ended && echo "it ended without the power loss" >&2; exit 1; }
echo "== second boot: what the sweep did"
boot env FIREDRILL_VM=second "$kernel_test" --nocapture
ended
# All five scenarios take twenty minutes: FIREDRILL_SCENARIOS="slowness partition flaky-link slow-database dns-failure".
case $turn in
0) scenarios=slowness ;;
1) scenarios=without-netem ;;
*) scenarios="slowness without-netem" ;;
esac
scenarios=${FIREDRILL_SCENARIOS:-$scenarios}
echo "== third boot: in a lab on this kernel: $scenarios"
boot env FIREDRILL_VM=lab FIREDRILL_SCENARIOS="$scenarios" "$kernel_test" --nocapture
ended

echo "== the agent's own tests"
got=0
wait "$own" || got=$?
cat "$work/own.log"
exit "$got"
