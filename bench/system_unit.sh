#!/usr/bin/env bash
# Does the unit of `ctx42d service install --system` work in the hands of systemd's system manager?
#
#     sudo bash bench/system_unit.sh VENV        VENV: an environment with ctx42d in it (its bin/ctx42d is run)
#
# A real system manager is started as process 1 of namespaces of its own, in which every file system of the machine is
# mounted read-only, /tmp, /var, /home, /root and /run are empty ones in memory, and no unit exists but a few empty
# targets: nothing outside can be changed, and all is gone when it ends. There a user who never ran ctx42d gets the
# service; it is looked at, reloaded, killed, and removed. Prints a line for each thing that holds; exit code 1 at the
# first that doesn't. Needs root, unshare, setpriv and systemd; 20 seconds.
set -euo pipefail
venv=$(realpath "$1")
export VENV=$venv CODE BASE
CODE=$(realpath "$(dirname "$0")/..")
BASE=$("$venv/bin/python" -c 'import sys; print(sys.base_prefix)')
inside=$(mktemp -p /run ctx42d-system-XXXXXX)
trap 'rm -f "$inside"' EXIT

cat > "$inside" <<'BOOT'
set -euo pipefail
mount --make-rprivate /
mount -t tmpfs tmpfs /run
number=0
for kept in "$CODE" "$BASE" "$VENV"; do
    number=$((number + 1))
    mkdir -p "/run/kept/$number"
    mount --bind "$kept" "/run/kept/$number"
done
cp /etc/passwd /run/passwd
echo 'c42user:x:4242:4242::/home/c42user:/bin/sh' >> /run/passwd
for hidden in /tmp /var /home /root /etc/systemd /usr/lib/systemd/system; do mount -t tmpfs -o mode=755 tmpfs "$hidden"; done
number=0
for kept in "$CODE" "$BASE" "$VENV"; do
    number=$((number + 1))
    [ -e "$kept" ] && continue
    mkdir -p "$kept"
    mount --bind "/run/kept/$number" "$kept"
done
mount --bind /run/passwd /etc/passwd
mkdir -p /run/systemd/system /run/lock /var/tmp /var/lib /var/log /etc/systemd/system /home/c42user/src
echo 'def gyroscope(): return 1' > /home/c42user/src/a.py
chown -R 4242:4242 /home/c42user
# What lies on a disk can't be written from here on.
awk '$3 !~ /^(tmpfs|proc|sysfs|cgroup.*|dev.*)$/ {print $2}' /proc/self/mounts | sort -u | while read -r place; do
    mount -o remount,bind,ro "$place"
done
for place in / /usr "$VENV" "$CODE" "$BASE"; do
    if touch "$place/.ctx42d-probe" 2> /dev/null; then rm "$place/.ctx42d-probe"; echo "$place can be written: not started" >&2; exit 1; fi
done
for target in default sysinit basic shutdown local-fs remote-fs multi-user; do
    printf '[Unit]\nDefaultDependencies=no\n' > "/etc/systemd/system/$target.target"
done
touch /run/booted
exec env -i PATH="$PATH" container=other /lib/systemd/systemd --system --unit=default.target --log-target=null --show-status=0
BOOT

unshare --pid --fork --kill-child --mount --uts --ipc --net --mount-proc --cgroup bash "$inside" &
outer=$!
trap 'disown $outer; kill -9 $outer 2> /dev/null || true; rm -f "$inside"' EXIT
for _ in $(seq 100); do
    manager=$(pgrep -P "$outer" | head -1 || true)
    [ -n "$manager" ] && nsenter -t "$manager" -m test -e /run/systemd/private && break
    kill -0 "$outer" || exit 1
    sleep 0.1
done

nsenter -t "$manager" -m -p -u -i -n -C timeout 120 bash -euo pipefail -s <<'CHECKS'
export HOME=/root
unset XDG_RUNTIME_DIR DBUS_SESSION_BUS_ADDRESS
cd /
unit=ctx42d@c42user.service ours=$VENV/bin/ctx42d
as_user() { setpriv --reuid 4242 --regid 4242 --clear-groups env HOME=/home/c42user "$@"; }
shown() { systemctl show --value --property="$1" "$unit"; }
holds() { echo "ok  $1"; }
until_true() { for _ in $(seq 200); do if "$@" > /dev/null 2>&1; then return 0; fi; sleep 0.1; done; echo "never: $*" >&2; return 1; }
"$ours" service install --system --for c42user > /dev/null
[ "$(shown ActiveState)" = active ] && holds "installed and ready, for a user who never ran it"
as_user "$ours" up /home/c42user/src > /dev/null 2>&1
as_user "$ours" search gyroscope | grep -q a.py && holds "the user's tree is found"
pid=$(shown MainPID)
grep -q 'CapEff:.0000000000000000' "/proc/$pid/status" && holds "no capability"
grep -q 'Seccomp:.2' "/proc/$pid/status" && holds "system calls are filtered"
grep -q "^Uid:.4242" "/proc/$pid/status" && holds "runs as the user"
grep -q "ctx42d@c42user.service" "/proc/$pid/cgroup" && holds "in a control group of its own, at most $(($(shown MemoryMax) / 1048576)) MB"
if nsenter --mount --target="$pid" touch /home/c42user/src/written.py 2> /dev/null; then exit 1; fi
holds "the user's trees can't be written"
as_user "$ours" doctor | grep -q "service.*$unit" && holds "doctor names it"
systemctl reload "$unit" && holds "reloaded"
kill -9 "$pid"
restarted() { [ "$(shown ActiveState)" = active ] && [ "$(shown MainPID)" != "$pid" ]; }
until_true restarted && holds "killed, and started again"
until_true as_user "$ours" search gyroscope && holds "and found again"
"$ours" service uninstall --system --for c42user > /dev/null
[ ! -e "/etc/systemd/system/$unit" ] && [ ! -e "/proc/$(shown MainPID)/exe" ] && holds "removed"
CHECKS
