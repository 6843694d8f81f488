"""A hostile app: tries what threats 107 to 109 name, and reports each thing that it got. Run on the host by root, it reports what there
is to be had; in an instance, nothing."""

import ctypes, errno, json, os, socket, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

libc = ctypes.CDLL(None, use_errno=True)
found = []


def read(path, most=1 << 20):
    try:
        with open(path, "rb") as file:
            return file.read(most).decode("latin-1")
    except OSError:
        return ""


def got(name, what):
    """Reports where something works that should not."""
    try:
        if what():
            found.append(name)
    except (OSError, ValueError):
        pass


def look(where, text, secrets):
    found.extend(f"{name} in {where}" for name, secret in secrets.items() if secret in text)


def look_around(probe):
    secrets = probe["secrets"]
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for table in ["environ", "cmdline", "mountinfo", "maps", "cgroup", "net/unix"]:
            look(table, read(f"/proc/{pid}/{table}"), secrets)
        for path in probe["files"]:
            look(f"{os.path.basename(path)} by a process's root", read(f"/proc/{pid}/root{path}"), secrets)
    got("the host's name", lambda: socket.gethostname() == probe["host"])
    for path in probe["files"]:
        look(os.path.basename(path), read(path), secrets)
    for path in ["/proc/cmdline", "/proc/version_signature", "/proc/keys", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf"]:
        look(path, read(path), secrets)


def call(number, *arguments):
    ctypes.set_errno(0)
    return libc.syscall(number, *map(ctypes.c_long, arguments)) != -1 or ctypes.get_errno() not in REFUSED


REFUSED = (errno.EPERM, errno.ENOSYS, errno.EACCES)
# With arguments that do no harm where they get through: what is refused is refused before they are looked at.
CALLS = {
    "mount": (165, 1, 1, 1, 0, 0), "umount": (166, 1, 0), "pivot_root": (155, 1, 1), "fsopen": (430, 1, 0), "open_tree": (428, -1, 1, 0),
    "unshare": (272, 0), "setns": (308, -1, 0), "ptrace": (101, 16, 999999, 0, 0), "process_vm_readv": (310, 999999, 0, 0, 0, 0, 0),
    "bpf": (321, 999, 0, 0), "perf": (298, 1, 0, 0, -1, 0), "io_uring": (425, 0, 1), "keyctl": (250, 9999, 0, 0, 0, 0),
    "add_key": (248, 1, 1, 0, 0, 0), "open_by_handle": (304, -1, 1, 0), "module": (313, -1, 1, 0), "userfaultfd": (323, 0x7000000),
    "syslog": (103, 99, 0, 0), "clock": (227, 0, 1), "hostname": (170, 1, 1), "reboot": (169, 0, 0, 0, 0), "swap": (168, 1),
}


def reach_out(probe):
    for name, arguments in CALLS.items():
        got(f"call {name}", lambda: call(*arguments))
    got("a namespace of users", lambda: forked(lambda: libc.unshare(0x10000000) == 0))
    got("another user", lambda: forked(lambda: os.setuid(0) is None and os.getuid() == 0 and os.getresuid()[2] == 0))
    for device in ["/dev/mem", "/dev/kmem", "/dev/port", "/dev/kvm", "/dev/fuse", "/dev/net/tun", "/dev/loop-control", "/dev/vsock", "/dev/kmsg"]:
        got(f"device {device}", lambda: os.close(os.open(device, os.O_RDWR | os.O_NONBLOCK)) is None)
    for setting in ["sys/kernel/core_pattern", "sys/kernel/modprobe", "sys/vm/drop_caches", "sysrq-trigger", "sys/net/ipv4/ip_forward", "1/oom_score_adj"]:
        got(f"setting {setting}", lambda: os.close(os.open(f"/proc/{setting}", os.O_WRONLY)) is None)
    for folder, _, files in os.walk("/sys/fs/cgroup"):
        if "release_agent" in files or "cgroup.procs" in files:
            got("control groups", lambda: os.access(f"{folder}/cgroup.procs", os.W_OK))
            break
    for path in ["/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock", "/run/systemd/private", "/run/dbus/system_bus_socket"]:
        got(f"socket {path}", lambda: socket.socket(socket.AF_UNIX).connect(path) is None)
    for folder in ["/", "/usr", "/etc", "/bin", "/run", "/var", "/root", "/sys", "/proc/sys/kernel", "/proc/1"]:
        got(f"write to {folder}", lambda: written(f"{folder}/skylift-hostile-{os.getpid()}"))
    for descriptor in filter(lambda fd: int(fd) > 2, os.listdir("/proc/self/fd")):
        got("an inherited descriptor", lambda: is_of_others(f"/proc/self/fd/{descriptor}"))
    others = [pid for pid in filter(str.isdigit, os.listdir("/proc")) if os.stat(f"/proc/{pid}").st_uid != os.getuid() or int(pid) == 1]
    got("processes of others", lambda: len(others) > 0)
    got("a signal to all", lambda: forked(lambda: os.kill(1, 0) is None))


def is_of_others(path):
    where = os.readlink(path)
    return not (where.startswith("socket:") or where.startswith("/proc/") or where.startswith("anon_inode:"))


def forked(what):
    """In a process of its own, which it may spoil."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if what() else 1
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


def written(path):
    with open(path, "w"):
        os.unlink(path)
    return True


def leave_traps(probe):
    """Links of all kinds where the platform will measure, hand over and remove."""
    made = []
    for number, target in enumerate(probe["victims"]):
        for place in [".", "sub", "/tmp", os.environ["HOME"]]:
            os.makedirs(place, exist_ok=True)
            os.symlink(target, f"{place}/link-{number}")
            made.append(f"{place}/link-{number}")
        got("a hard link", lambda: os.link(target, f"hard-{number}") is None)
    os.symlink("/proc/self/root" + probe["victims"][0], "through-proc")
    return made


def main(probe):
    look_around(probe)
    reach_out(probe)
    return sorted(set(found)) or ["nothing"]


class Handler(BaseHTTPRequestHandler):
    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer("hello")

    def do_POST(self):
        probe = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(leave_traps(probe) if self.path == "/traps" else main(probe))

    def log_message(self, *_):
        pass


if len(sys.argv) > 1:
    print(json.dumps(main(json.loads(sys.argv[1]))))
else:
    HTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
