#!/usr/bin/env bash
# Runs the sandbox's tests and the executable in a virtual machine with unified control groups (cgroup v2), which the
# machine that develops this may not have.
#
#   scripts/cgroup2-guest.sh [FOLDER [ACCELERATOR [WORD]]]
#
# FOLDER (target/cgroup2-guest) holds the kernel, downloaded once, and the images, made anew. ACCELERATOR is tcg, which
# works everywhere, or kvm. WORD leaves only what has it in its name, such as platform. The guest is Debian's cloud kernel
# and the few programs of this machine that the tests run; it has no network. What is tried in which control group is in
# cgroup2-guest/run.sh.
#
# Needs qemu-system-x86, busybox-static, e2fsprogs, python3 and, for the kernel, apt-get with the lists of a Debian; not
# root. Ends with 0 when everything passed, 1 when something failed, 69 when something is missing here.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-target/cgroup2-guest}
accelerator=${2:-tcg}
only=${3:-}
longest=3600 # seconds; some minutes are usual

for program in qemu-system-x86_64 busybox mke2fs python3 apt-get dpkg-deb ldd strip; do
  command -v "$program" >/dev/null || { echo "cgroup2-guest: skipped, there is no $program here" >&2; exit 69; }
done
[ "$(uname -m)" = x86_64 ] || { echo "cgroup2-guest: skipped, the guest is for x86_64" >&2; exit 69; }
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
root=$folder/root

fetch_kernel() {
  [ -e "$folder/kernel/boot" ] && return
  local package
  package=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image/ {print $2}')
  [ -n "$package" ] || { echo "cgroup2-guest: skipped, apt knows no linux-image-cloud-amd64" >&2; exit 69; }
  (cd "$folder" && apt-get -qq download "$package")
  dpkg-deb -x "$folder/$package"_*.deb "$folder/kernel.new"
  mv "$folder/kernel.new" "$folder/kernel"
}

# Copies a file of this machine to the same place in the guest, with the libraries it is linked to.
take() {
  install -D -m 755 "$(readlink -f "$1")" "$root$1"
  take_libraries_of "$1"
}

take_python() {
  local library module
  library=$(/usr/bin/python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
  take /usr/bin/python3
  mkdir -p "$root$library"
  (cd "$library" && tar -c --exclude=test --exclude=idlelib --exclude=ensurepip --exclude='config-*' .) | tar -x -C "$root$library"
  for module in "$library"/lib-dynload/*.so; do take "$module"; done
}

# The test executables of the sandbox, and the program itself.
take_ours() {
  local name path
  cargo build --locked --quiet -p skylift
  install -D -s "$(target_folder)/debug/skylift" "$root/guest/skylift"
  take_libraries_of "$root/guest/skylift"
  while read -r name path; do
    install -D -s "$path" "$root/guest/test-$name"
    take_libraries_of "$root/guest/test-$name"
  done < <(cargo test --locked --no-run -p skylift-sandbox --message-format=json 2>/dev/null | python3 -c '
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable") and message["profile"]["test"]:
        print(message["target"]["name"], message["executable"])')
}

take_libraries_of() {
  local library
  while read -r library; do
    [ -e "$root$library" ] || install -D -m 755 "$(readlink -f "$library")" "$root$library"
  done < <(ldd "$1" 2>/dev/null | grep -oE '/[^ ]+' || true)
}

target_folder() {
  cargo metadata --locked --no-deps --format-version 1 | python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])'
}

make_root() {
  rm -rf "$root"
  mkdir -p "$root"/{usr/bin,usr/sbin,usr/lib,usr/lib64,etc,proc,sys,dev,tmp,run,root,home,var,guest}
  local link
  for link in bin sbin lib lib64; do ln -s "usr/$link" "$root/$link"; done
  install -m 755 "$(command -v busybox)" "$root/guest/busybox"
  local program
  for program in sh cat true sleep ls mkdir setpriv uname env; do take "/usr/bin/$program"; done
  take_python
  # Builds ask for it; the tests need none.
  [ ! -x /usr/bin/node ] || take /usr/bin/node
  take_ours
  install -m 755 scripts/cgroup2-guest/run.sh "$root/guest/run"
  install -D -m 644 "$(find "$folder/kernel" -name overlay.ko)" "$root/guest/overlay.ko"
  printf 'root:x:0:0::/root:/bin/sh\nsomebody:x:1000:1000::/tmp:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n' > "$root/etc/passwd"
  printf 'root:x:0:\nsomebody:x:1000:\nnogroup:x:65534:\n' > "$root/etc/group"
  echo "127.0.0.1 localhost" > "$root/etc/hosts"
  echo guest > "$root/etc/hostname"
  # What the tests want to find out of sight.
  echo 'root:*:19000:0:99999:7:::' > "$root/etc/shadow"
  echo kept > "$root/root/file"
  mke2fs -q -F -t ext4 -d "$root" "$folder/root.ext4" 2G
}

# The disk's drivers are modules; this is the little that mounts it.
make_initramfs() {
  local start=$folder/start module
  rm -rf "$start"
  mkdir -p "$start"/{proc,dev,new}
  install -m 755 "$(command -v busybox)" "$start/busybox"
  for module in virtio virtio_ring virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk; do
    install -m 644 "$(find "$folder/kernel" -name "$module.ko")" "$start/$module.ko"
  done
  install -m 755 scripts/cgroup2-guest/init.sh "$start/init"
  (cd "$start" && find . | busybox cpio -o -H newc -R 0:0 2>/dev/null) | gzip -1 > "$folder/start.gz"
}

boot() {
  timeout "$longest" qemu-system-x86_64 -accel "$accelerator" -cpu max -smp 2 -m 2048 -nodefaults -nographic -no-reboot \
    -serial stdio -kernel "$(find "$folder/kernel/boot" -name 'vmlinuz-*')" -initrd "$folder/start.gz" \
    -drive "file=$folder/root.ext4,format=raw,if=virtio,cache=unsafe" \
    -append "console=ttyS0 quiet panic=-1 skylift.only=$only" < /dev/null
}

fetch_kernel
make_root
make_initramfs
boot 2>&1 | sed -u 's/\r$//' | tee "$folder/log" || true
grep -q '^guest: all passed$' "$folder/log" || { echo "cgroup2-guest: FAILED, see $folder/log" >&2; exit 1; }
