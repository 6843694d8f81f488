# Files of the system that every run sees: locked, leased and watched, so that another would be held up or seen (attack 29).
import ctypes, fcntl, os
libc = ctypes.CDLL(None, use_errno=True)
broken = []
LEASE, NOTIFY, READ_LEASE, ACCESSED = 1024, 1026, 0, 1
for path in ["/usr/bin/python3", "/dev/null", "/usr", "/etc/passwd", "/box"]:
    file = os.open(path, os.O_RDONLY)
    attempts = {
        "flock": lambda: fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB),
        "lease": lambda: fcntl.fcntl(file, LEASE, READ_LEASE),
        "notify": lambda: fcntl.fcntl(file, NOTIFY, ACCESSED),
    }
    for name, attempt in attempts.items():
        try:
            attempt()
            broken.append(f"{name} {path}")
        except PermissionError:
            pass
        except OSError as error:
            broken.append(f"{name} {path}: the kernel looked at it ({error})")
    watches = libc.inotify_init1(0)
    if libc.inotify_add_watch(watches, path.encode(), 0xFFF) != -1:
        broken.append(f"inotify {path}")
# Databases lock what is their own.
with open("/box/own", "w") as own:
    fcntl.lockf(own, fcntl.LOCK_EX | fcntl.LOCK_NB)
print("held" if not broken else broken)
