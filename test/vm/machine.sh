# Sourced: a Debian 12 machine with systemd and cgroup v2 in QEMU. Needs root and the Debian packages qemu-system-x86,
# qemu-utils, debootstrap, openssh-client. Everything lies below $vm_dir; the network of the guest reaches nothing but us.
vm_dir=${K3TS_VM_DIR:-/tmp/k3ts-vm}
vm_port=${K3TS_VM_PORT:-2222}
# "kvm" where the machine has it: ten times as fast.
vm_accel=${K3TS_VM_ACCEL:-tcg,thread=multi}
vm_mirror=${K3TS_VM_MIRROR:-http://deb.debian.org/debian}
vm_packages=systemd,systemd-sysv,udev,dbus,linux-image-amd64,initramfs-tools,apparmor,kmod,openssh-server,ca-certificates,\
containerd,runc,containernetworking-plugins,nftables,iptables,conntrack,iproute2,catatonit,busybox-static,procps,e2fsprogs

# Makes the key, the root file system and the image that runs start from, unless they are there.
vm_image() {
  mkdir -p "$vm_dir"
  [ -f "$vm_dir/key" ] || ssh-keygen -q -t ed25519 -N '' -f "$vm_dir/key"
  if [ ! -f "$vm_dir/rootfs.done" ]; then
    echo "==> making the root file system (a few minutes)"
    rm -rf "$vm_dir/rootfs"
    debootstrap --variant=minbase --include="$vm_packages" bookworm "$vm_dir/rootfs" "$vm_mirror" >"$vm_dir/debootstrap.log" 2>&1
    touch "$vm_dir/rootfs.done"
  fi
  if [ ! -f "$vm_dir/base.img" ]; then
    vm_configure "$vm_dir/rootfs"
    cp "$vm_dir"/rootfs/boot/vmlinuz-* "$vm_dir/vmlinuz"
    cp "$vm_dir"/rootfs/boot/initrd.img-* "$vm_dir/initrd"
    mke2fs -q -t ext4 -d "$vm_dir/rootfs" "$vm_dir/base.img.new" 8G
    mv "$vm_dir/base.img.new" "$vm_dir/base.img"
  fi
}

vm_configure() { # ROOTFS
  echo k3ts-vm >"$1/etc/hostname"
  printf '127.0.0.1 localhost\n127.0.1.1 k3ts-vm\n' >"$1/etc/hosts"
  echo '/dev/vda / ext4 defaults 0 1' >"$1/etc/fstab"
  echo 'nameserver 10.0.2.3' >"$1/etc/resolv.conf"
  printf '[Match]\nName=en*\n[Network]\nDHCP=yes\n' >"$1/etc/systemd/network/10-all.network"
  mkdir -p "$1/root/.ssh"
  cp "$vm_dir/key.pub" "$1/root/.ssh/authorized_keys"
  chmod 700 "$1/root/.ssh"
  chroot "$1" systemctl -q enable systemd-networkd ssh
  # k3ts runs its own; Debian's would only cost time here.
  chroot "$1" systemctl -q disable containerd
}

# Boots a fresh machine, or with "again" the one of before. Returns when it answers.
vm_boot() {
  [ "${1:-}" = again ] || qemu-img create -q -f qcow2 -b "$vm_dir/base.img" -F raw "$vm_dir/disk.qcow2"
  qemu-system-x86_64 -accel "$vm_accel" -machine q35 -cpu max -smp 2 -m 3072 -display none -monitor none \
    -serial "file:$vm_dir/console.log" -no-reboot \
    -kernel "$vm_dir/vmlinuz" -initrd "$vm_dir/initrd" -append 'root=/dev/vda rw console=ttyS0 quiet' \
    -drive "file=$vm_dir/disk.qcow2,if=virtio,cache=unsafe" -device virtio-rng-pci \
    -netdev "user,id=n,restrict=on,hostfwd=tcp:127.0.0.1:$vm_port-:22" -device virtio-net-pci,netdev=n &
  vm_pid=$!
  vm_await "booting" vm_ssh true
}

# The guest ends itself and qemu with it (-no-reboot); then the same disk boots again.
vm_reboot() {
  vm_ssh systemctl reboot || true
  wait "$vm_pid" || true
  vm_boot again
}

vm_ssh() {
  ssh -q -i "$vm_dir/key" -p "$vm_port" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=20 \
    -o ServerAliveInterval=30 root@127.0.0.1 "$@"
}

vm_await() { # WHAT COMMAND...
  vm_what=$1
  shift
  vm_deadline=$(($(date +%s) + 600))
  until "$@"; do
    kill -0 "$vm_pid" 2>/dev/null || { echo "$vm_what: the machine ended; see $vm_dir/console.log" >&2; return 1; }
    [ "$(date +%s)" -lt "$vm_deadline" ] || { echo "$vm_what: not within 10 minutes; see $vm_dir/console.log" >&2; return 1; }
    sleep 2
  done
}

vm_end() {
  [ -n "${vm_pid:-}" ] && kill -0 "$vm_pid" 2>/dev/null || return 0
  kill "$vm_pid"
  wait "$vm_pid" || true
}
