#!/busybox sh
# The guest's first program: mounts the disk and goes on there.
b=/busybox
$b mount -t devtmpfs dev /dev
for module in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk; do
  $b insmod "/$module.ko"
done
until $b mount -t ext4 /dev/vda /new 2>/dev/null; do $b sleep 1; done
$b umount /dev
exec $b switch_root /new /guest/run
