# Calls that lead out of a sandbox, or into the kernel (attacks 15, 17, 20 to 25).
import ctypes, errno, fcntl, os
libc = ctypes.CDLL(None, use_errno=True)
broken = []
USER, NS, NET, PID = 0x10000000, 0x00020000, 0x40000000, 0x20000000
page = ctypes.create_string_buffer(4096)
calls = {
    "unshare user": (272, USER), "unshare mounts": (272, NS), "unshare net": (272, NET), "unshare pid": (272, PID),
    "clone with a user namespace": (56, USER | 17, 0, 0, 0, 0),
    "setns": (308, 0, 0), "bpf": (321, 0, page, 128), "perf_event_open": (298, page, 0, -1, -1, 0), "keyctl": (250, 0, -3, 0),
    "add_key": (248, b"user", b"x", b"y", 1, -3), "request_key": (249, b"user", b"x", 0, -3), "userfaultfd": (323, 0), "memfd_secret": (447, 0xffff),
    "io_uring_setup": (425, 1, page), "ptrace init": (101, 16, 1, 0, 0), "process_vm_writev": (311, 1, page, 1, page, 1, 0),
    "kexec_load": (246, 0, 0, 0, 0), "init_module": (175, page, 1, b""), "finit_module": (313, 0, b"", 0), "delete_module": (176, b"x", 0),
    "swapon": (167, b"/box/own", 0), "reboot": (169, 0xfee1dead, 672274793, 0, 0), "acct": (163, b"/box/own"), "quotactl": (179, 0, 0, 0, 0),
    "open_by_handle_at": (304, 0, page, 0), "personality": (135, 0x0040000), "modify_ldt": (154, 1, page, 16), "iopl": (172, 3),
    "open_tree": (428, -100, b"/", 1), "move_mount": (429, -100, b"/box", -100, b"/tmp", 0), "fsopen": (430, b"tmpfs", 0),
    "mount_setattr": (442, -100, b"/", 0, page, 32), "settimeofday": (164, page, 0), "sethostname": (170, b"x", 1), "vhangup": (153,),
    "sched_setscheduler": (144, 0, 1, page), "x32 getpid": (0x40000000 + 39,),
}
page.raw = b"\x01" + bytes(4095)
for name, (number, *arguments) in calls.items():
    ctypes.set_errno(0)
    if name.startswith(("unshare", "clone")):
        # A child: what works changes whoever calls.
        pid = os.fork()
        if pid == 0:
            os._exit(1 if libc.syscall(number, *arguments) != -1 else 0)
        if os.waitpid(pid, 0)[1] != 0:
            broken.append(name)
    elif libc.syscall(number, *arguments) != -1:
        broken.append(name)
    elif ctypes.get_errno() in (errno.EFAULT, errno.EINVAL) and name not in ("setns",):
        broken.append(f"{name}: the kernel looked at it ({errno.errorcode[ctypes.get_errno()]})")
if libc.syscall(435, page, 88) != -1 or ctypes.get_errno() != errno.ENOSYS:
    broken.append("clone3")
for request in (0x5412, 0x541c):
    try:
        fcntl.ioctl(0, request, b"x")
        broken.append(f"ioctl {request:x}")
    except OSError:
        pass
try:
    os.setpriority(os.PRIO_PROCESS, 0, -5)
    broken.append("priority")
except OSError:
    pass
status = dict(line.split(":\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\t" in line)
for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]:
    if int(status[name], 16):
        broken.append(f"{name} {status[name]}")
if status["NoNewPrivs"] != "1" or status["Seccomp"] != "2":
    broken.append("privileges can be gained")
print("held" if not broken else broken)
