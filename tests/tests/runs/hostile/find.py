# Finds nothing of the run before, and other random numbers than any.
import builtins, ctypes, json, os, random, sys
libc = ctypes.CDLL(None, use_errno=True)
broken = [path for path in ["/box/left", "/tmp/left", "/dev/shm/left"] if os.path.exists(path)]
broken += [name for name, found in {"shm": libc.shmget(0x1234, 4096, 0), "sem": libc.semget(0x1234, 1, 0),
                                    "msg": libc.msgget(0x1234, 0)}.items() if found != -1]
if hasattr(builtins, "print_left") or hasattr(json, "left") or hasattr(sys, "left") or "LEFT" in os.environ or json.dumps(1) != "1":
    broken.append("the interpreter was changed")
others = [pid for pid in os.listdir("/proc") if pid.isdigit() and int(pid) not in (1, os.getpid())]
for pid in others:
    broken.append(f"process {pid}: {open(f'/proc/{pid}/cmdline').read()}")
stray = set(os.environ) - {"PATH", "HOME", "LANG", "TMPDIR", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHONSAFEPATH", "LC_CTYPE", "PWD", "OWN"}
if stray:
    broken.append(f"variables {stray}")
print("held" if not broken else broken, random.random(), os.urandom(8).hex())
