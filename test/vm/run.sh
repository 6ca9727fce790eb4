#!/usr/bin/env bash
# Installs dist/k3ts in a virtual machine with systemd and cgroup v2 and checks there what no container can show:
# docs/trying-in-a-vm.md. As root on Debian 12:
#
#   test/vm/run.sh                  everything, on a fresh machine
#   test/vm/run.sh install pods     only these steps, one after the other
#   test/vm/run.sh shell            a fresh machine with the files in place, and a shell in it
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/prepare.sh
. scripts/prepare.sh
# shellcheck source=test/vm/machine.sh
. test/vm/machine.sh
[ -x dist/k3ts ] || { echo "build first: npm run build" >&2; exit 1; }
prepare_packages qemu-system-x86 qemu-utils debootstrap openssh-client busybox-static
prepare_node
trap vm_end EXIT

step() {
  echo "--- $1"
  { cat test/vm/guest.sh; echo "cd /root/k3ts; step_$1"; } | vm_ssh bash -s
}

vm_image
rm -f "$vm_dir"/*.tar
node --input-type=module -e "
  const { buildImage } = await import('$PWD/test/harness/image.ts');
  await buildImage({ name: 'example.test/tool:1' }, '$vm_dir');"
echo "==> booting"
vm_boot
vm_ssh mkdir -p /root/k3ts
tar -cf - scripts build/build.ts dist/k3ts | vm_ssh tar -xf - -C /root/k3ts
vm_ssh 'cat >/root/tool.tar' <"$(echo "$vm_dir"/*.tar)"
[ $# -gt 0 ] || set -- install pods restart crash stop reboot rebooted uninstall agent
for name in "$@"; do
  case $name in
    reboot) echo "--- reboot"; vm_reboot ;;
    shell) ssh -t -i "$vm_dir/key" -p "$vm_port" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null root@127.0.0.1 ;;
    *) step "$name" ;;
  esac
done
echo "all steps passed"
