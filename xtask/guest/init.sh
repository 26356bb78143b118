#!/bin/busybox sh
# The first process of the guest (xtask/src/guest.rs), twice. In the initial memory filesystem it makes the root: the
# host's, read-only, below what the guest writes, which stays in memory. On that root it is run again, with the
# argument "job": it mounts what a machine has, does the job, and tells how that ended.
# What it prints before the job is on the kernel's console, which the host keeps in a file.

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

give_up() {
    echo "init: $1"
    busybox reboot -f
}

make_root() {
    busybox mount -t devtmpfs none /dev
    for module in /modules/*; do
        busybox insmod "$module" || give_up "can't load $module"
    done
    busybox mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=524288,cache=loose root /host ||
        give_up "the host's root can't be mounted"
    busybox mount -t tmpfs -o size=75% none /own
    busybox mkdir /own/files /own/work
    busybox mount -t overlay -o lowerdir=/host,upperdir=/own/files,workdir=/own/work none /root ||
        give_up "the root can't be mounted"
    busybox mount -t tmpfs -o mode=755 none /root/run
    busybox mkdir /root/run/guest
    busybox cp /bin/busybox /init /job /root/run/guest
    busybox mount -o move /dev /root/dev
    exec busybox switch_root /root /run/guest/busybox sh /run/guest/init job
}

make_machine() {
    # By path, as this shell finds its own commands through /proc, where the host's is still seen.
    /run/guest/busybox mount -t proc none /proc
    mount -t sysfs none /sys
    mkdir -p /dev/pts /dev/shm /dev/mqueue
    mount -t devpts -o gid=5,mode=620,ptmxmode=666 none /dev/pts
    mount -t tmpfs -o mode=1777 none /dev/shm
    mount -t mqueue none /dev/mqueue
    ln -sf /proc/self/fd /dev/fd
    mount -t cgroup2 -o nsdelegate,memory_recursiveprot none /sys/fs/cgroup || give_up "there is no cgroup v2"
    for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
        echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control
    done
    hostname guest
    /run/guest/busybox ip link set lo up
}

if [ "${1-}" = job ]; then
    make_machine
    # The ports appear when the host has answered. The device's own number depends on the others'.
    until [ -c /dev/vport*p1 ] && [ -c /dev/vport*p2 ]; do
        sleep 0.01
    done
    # A port can be opened once: all that the job starts writes to this one.
    /run/guest/busybox sh /run/guest/job </dev/null >"$(echo /dev/vport*p1)" 2>&1 &
    wait $!
    echo $? >"$(echo /dev/vport*p2)"
    /run/guest/busybox reboot -f
else
    make_root
fi
