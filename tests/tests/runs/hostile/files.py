# Files of the host, other places to write to, devices, mounts, descriptors (attacks 1, 2, 7 to 10).
import ctypes, os, stat
libc = ctypes.CDLL(None, use_errno=True)
broken = []

def refused(what, attempt):
    try:
        got = attempt()
    except OSError:
        return
    # A folder of its own with nothing in it hides the host's.
    if got == []:
        return
    broken.append(f"{what}: {got!r}")

for path in ["/etc/shadow", "/root", "/proc/1/root", "/proc/1/mem", "/proc/1/environ", "/proc/kcore", "/proc/sysrq-trigger",
             "/sys/kernel/uevent_helper", "/dev/kmsg", "/dev/mem", "/dev/sda", "/dev/kvm", "/run/docker.sock", "/home"]:
    refused(path, lambda: os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(1))
for path in ["/new", "/usr/new", "/etc/new", "/bin/new", "/lib/new", "/proc/sys/kernel/core_pattern", "/proc/self/oom_score_adj_new",
             "/usr/bin/python3", "/etc/passwd"]:
    refused(f"write {path}", lambda: open(path, "ab").close() or "opened")
for path in ["/box/own", "/tmp/own", "/dev/shm/own"]:
    with open(path, "w") as file:
        file.write("own")
refused("block device", lambda: os.mknod("/box/disk", 0o600 | stat.S_IFBLK, os.makedev(8, 0)))
refused("character device", lambda: os.mknod("/box/mem", 0o600 | stat.S_IFCHR, os.makedev(1, 1)))
refused("link to a file of the host", lambda: os.link("/etc/passwd", "/box/passwd"))
refused("chroot", lambda: os.chroot("/box"))
refused("chown", lambda: os.chown("/box/own", 0, 0))
os.chmod("/box/own", 0o6777)
for name, arguments in {"mount": (b"none", b"/box", b"tmpfs", 0, None), "umount2": (b"/box", 2), "pivot_root": (b"/box", b"/box")}.items():
    number = {"mount": 165, "umount2": 166, "pivot_root": 155}[name]
    if libc.syscall(number, *arguments) != -1:
        broken.append(name)
others = [fd for fd in map(int, os.listdir("/proc/self/fd")) if fd > 2]
for fd in others:
    # The one that this very list was read with is closed by now.
    try:
        broken.append(f"descriptor {fd}: {os.readlink(f'/proc/self/fd/{fd}')}")
    except OSError:
        pass
if os.getuid() == 0 or os.getcwd() != "/box":
    broken.append(f"uid {os.getuid()} in {os.getcwd()}")
print("held" if not broken else broken)
